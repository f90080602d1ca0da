"""The report of a training run, from its folder alone."""

import json
import sys

import numpy as np
import pytest
from PIL import Image

from project.report.__main__ import main
from project.report.training import TrainingRun, build_training_report, epochs_of
from project.report.training.charts import COLLAPSE, charts
from project.report.training.frames import MOST_EPOCHS, films
from project.report.training.scores import best, best_table, validations
from project.report.training.slices import slices
from project.storage.history import History
from tests.report.conftest import photo, write_sample
from tests.report.scripts import CUT_LABELS
from tests.report.test_page import Page

ROBUST, CLEAN = (0.2, 0.5, 0.4), (0.6, 0.7, 0.9)


def make_training(folder, task="classification", epochs=3, robust=True):
    rng, history = np.random.default_rng(0), History()
    score = "miou" if task == "segmentation" else "accuracy"
    for step in range(10 * epochs):
        losses = {"train/loss": 2 - step / 20, "train/attack_strength": 1.0}
        history.add(step, step // 10, losses)
    for epoch in range(epochs):
        last = 10 * epoch + 9
        history.add(last, epoch, {f"val/{score}": CLEAN[epoch % 3]})
        if robust:
            history.add(last, epoch, {f"val/robust_{score}": ROBUST[epoch % 3]})
        sample = folder / "samples" / f"epoch_{epoch:05d}" / f"{7:08d}"
        write_sample(sample, rng, classes=task == "segmentation")
        if task == "classification":
            told = {"target": 3, "prediction_clean": 3, "prediction_adversarial": 1 + epoch % 3}
            (sample / "verdict.json").write_text(json.dumps(told))
        (folder / "slices").mkdir(exist_ok=True)
        planes = rng.random((4, 5, 5)) + epoch
        path = folder / "slices" / f"epoch_{epoch:05d}.npz"
        np.savez(path, loss=planes, index=np.arange(4), eps=8 / 255)
    history.write(folder / "history.csv")
    facts = {
        "title": "<i>At</i>",
        "kind": "training",
        "task": task,
        "class_names": ["a", "b", "c", "<i>d</i>"],
        "images": 300,
        "command": "python train.py fit",
        "versions": {"torch": "2"},
        "config": "seed_everything: 0",
    }
    (folder / "run.json").write_text(json.dumps(facts))
    return folder


@pytest.fixture(params=["classification", "segmentation"])
def folder(request, tmp_path):
    return make_training(tmp_path, request.param)


def page_of(folder):
    return Page(build_training_report(folder).read_text(encoding="utf-8"))


def test_the_page_is_well_formed_and_needs_nothing_outside_itself(folder):
    page = page_of(folder)
    assert all(source.startswith("data:image/webp") for source in page.attributes("src"))
    assert {link[1:] for link in page.attributes("href")} <= set(page.attributes("id"))
    assert {"scores", "curves", "samples", "slices"} <= set(page.attributes("id"))
    assert not any(tag == "i" for tag, _ in page.elements)
    assert "<i>At</i>" in " ".join(page.text)


def test_the_page_tells_command_versions_and_config(folder):
    text = " ".join(page_of(folder).text)
    assert "python train.py fit" in text
    assert "seed_everything: 0" in text
    assert "300 training images · 30 steps · 3 validations" in text


def test_the_best_epochs_are_told_apart(folder):
    named = best(validations(TrainingRun.read(folder)))
    assert {kind: one.epoch for kind, one in named.items()} == {
        "best robust": 1,
        "best clean": 2,
        "last": 2,
    }
    rows = dict(best_table(TrainingRun.read(folder)).rows)
    assert [cell.main for cell in rows["best robust"]][:4] == ["1", "20", "70.0 %", "50.0 %"]


def test_a_training_without_attacks_has_no_robust_score(tmp_path):
    run = TrainingRun.read(make_training(tmp_path, robust=False))
    assert set(best(validations(run))) == {"best clean", "last"}
    assert "–" in [cell.main for cell in dict(best_table(run).rows)["last"]]


def test_clean_and_robust_share_a_chart_and_a_constant_is_told_instead(folder):
    drawn, constant = charts(TrainingRun.read(folder))
    assert [(chart.title, len(chart.lines)) for chart in drawn] == [
        ("validation, %", 2),
        ("loss", 1),
    ]
    assert constant == ["attack strength 1"]


def test_a_curve_stands_where_its_numbers_say(tmp_path):
    history = History()
    for step, value in ((0, 0.0), (10, 0.5), (20, 1.0)):
        history.add(step, 0, {"val/accuracy": value})
    (chart,), _ = charts(TrainingRun(tmp_path, {}, history.points, {}, {}))
    (line,) = chart.lines
    assert line.dots == [(52.0, 98.0), (149.0, 53.0), (246.0, 8.0)]
    assert line.path == "M52.0,98.0L149.0,53.0L246.0,8.0"
    assert chart.y_ticks == [(98.0, "0"), (53.0, "50"), (8.0, "100")]
    assert [text for _, text in chart.x_ticks] == ["1", "11", "21"]


def test_a_collapse_is_marked_where_it_came(folder):
    history = History.read(folder / "history.csv")
    history.add(29, 2, {COLLAPSE: 1.0})
    history.add(5, 0, {COLLAPSE: 0.0})
    history.write(folder / "history.csv")
    drawn, _ = charts(TrainingRun.read(folder))
    assert all(chart.marks == [246.0] for chart in drawn)
    assert "robustness collapsed" in " ".join(page_of(folder).text)


def test_a_broken_number_breaks_the_line_and_not_the_page(folder):
    history = History.read(folder / "history.csv")
    history.add(12, 1, {"train/loss": float("nan")})
    history.write(folder / "history.csv")
    loss = charts(TrainingRun.read(folder))[0][1].lines[0]
    assert loss.path.count("M") == 2
    assert "nan" not in loss.path
    page_of(folder)


def test_many_epochs_are_thinned_out_from_the_first_to_the_last(tmp_path):
    run = TrainingRun.read(make_training(tmp_path, epochs=30))
    (film,) = films(run)
    epochs = [frame.epoch for frame in film.frames]
    assert len(epochs) == MOST_EPOCHS
    assert (epochs[0], epochs[-1]) == (0, 29)


def test_a_film_says_what_the_victim_saw_and_when_it_was_fooled(tmp_path):
    (film,) = films(TrainingRun.read(make_training(tmp_path)))
    assert film.truth == "<i>d</i>"
    assert [(frame.text, frame.fooled) for frame in film.frames] == [
        ("<i>d</i> → b", True),
        ("<i>d</i> → c", True),
        ("<i>d</i>", False),
    ]


def test_slices_are_averaged_over_images_on_one_scale(tmp_path):
    run = TrainingRun.read(make_training(tmp_path))
    found = slices(run)
    with np.load(run.slices[2]) as last:
        plane = last["loss"].mean(0)
    assert found.shown[2].centre == pytest.approx(plane[2, 2])
    assert found.high == pytest.approx(plane.max())
    assert (found.images, found.eps) == (4, pytest.approx(8 / 255))


def test_a_flat_slice_can_be_drawn(tmp_path):
    folder = make_training(tmp_path, epochs=1)
    path = folder / "slices" / "epoch_00000.npz"
    np.savez(path, loss=np.zeros((1, 3, 3)), index=np.arange(1), eps=0.1)
    assert slices(TrainingRun.read(folder)).high == 0


def test_a_run_that_has_just_begun_has_a_page(tmp_path):
    History().write(tmp_path / "history.csv")
    (tmp_path / "run.json").write_text("{}")
    text = " ".join(page_of(tmp_path).text)
    assert "Nothing has been validated yet" in text


def test_the_same_folder_gives_the_same_page(folder):
    assert build_training_report(folder).read_bytes() == build_training_report(folder).read_bytes()


def test_the_command_line_knows_a_training_by_its_folder(tmp_path, monkeypatch, capsys):
    folder = make_training(tmp_path)
    monkeypatch.setattr(sys, "argv", ["report", str(folder)])
    main()
    assert capsys.readouterr().out.strip() == str(folder / "report.html")
    assert "Samples over the epochs" in (folder / "report.html").read_text()


def test_a_folder_that_is_no_training_is_named_with_what_it_lacks(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"has no history\.csv"):
        build_training_report(tmp_path)


def test_epochs_are_known_by_their_number(tmp_path):
    Image.fromarray(photo(np.random.default_rng(0))).save(tmp_path / "epoch_00012.png")
    (tmp_path / "epoch_00003").mkdir()
    assert list(epochs_of(tmp_path)) == [3, 12]
    assert epochs_of(tmp_path / "none") == {}


@pytest.mark.browser
def test_no_label_is_cut_off_however_long_its_number(browser, tmp_path):
    folder = make_training(tmp_path, robust=False)
    history = History.read(folder / "history.csv")
    numbers = [-1.234e-12, -1.234e-5, -0.0001234, 0.00374, -123456, 1.234e9]
    for step, factor in ((0, 1.0), (10**6, 1.1)):
        history.add(step, 0, {f"number_{k}": factor * v for k, v in enumerate(numbers)})
    history.write(folder / "history.csv")
    page = browser.new_page()
    page.goto(build_training_report(folder).as_uri())
    labels = page.locator(".steps text").all_text_contents()
    assert {"-1.23·10⁻¹²", "-0.000123", "0.00374", "1.36·10⁹", "1,000,001"} <= set(labels)
    assert page.evaluate(CUT_LABELS) == []
    page.close()
