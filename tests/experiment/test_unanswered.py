"""A victim that turns NaN under attack: in no rate, counted, and named where one looks first.

The reference counts with plain Python, image by image and pixel by pixel, from the stored images.
"""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from project.report.masking.attack_outcome import board_of
from project.report.page import build_report
from project.report.run import Run
from project.report.unanswered import unanswered_sentences
from project.statistics.miou import mean_iou as mean_iou_of_counts
from project.storage.rows import read_measures, read_rows
from tests.experiment.scene import IMAGES, attacks, run, shapes, stored_images, victims

TASKS = ("classification", "segmentation")
LARGEST = 65504.0  # of float16


class Fragile(nn.Module):
    """A network with a quantity in float16 that overflows on rough images, as attacked ones are."""

    def __init__(self, network: nn.Module, scale: float) -> None:
        super().__init__()
        self.network = network
        self.scale = scale

    def forward(self, images: Tensor) -> Tensor:
        logits = self.network(images)
        steps = (images.diff(dim=3).abs().mean(1, keepdim=True) * self.scale)[..., :-1, :]
        if logits.ndim == 2:
            large = steps.mean((1, 2, 3)).half()[:, None]
        else:
            large = nn.functional.pad(steps, (1, 0, 0, 1)).half()
        return logits + (large - large)  # 0, and NaN where it is infinite


def roughness(task: str) -> Tensor:
    images = torch.stack([shapes(task).samples[place]["image"] for place in range(IMAGES)])
    steps = images.diff(dim=3).abs().mean(1)
    return steps.mean((1, 2)) if task == "classification" else steps


def made(task: str, folder):
    judged = victims(task)
    fragile = judged["b"]
    fragile.network = Fragile(fragile.network, LARGEST / float(roughness(task).max()) / 1.001)
    run(folder, data=shapes(task), victims=judged, attacks=attacks())
    return folder, judged


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {task: made(task, tmp_path_factory.mktemp(task)) for task in TASKS}


def slow(victim, images: np.ndarray) -> list:
    """Return each element's class by plain Python; None where a logit is not finite."""
    batch = torch.from_numpy(images.transpose(0, 3, 1, 2).copy()).float() / 255
    with torch.no_grad():
        logits = victim(batch).movedim(1, -1).flatten(0, -2).tolist()
    return [
        max(range(len(row)), key=lambda k: (row[k], -k)) if all(map(math.isfinite, row)) else None
        for row in logits
    ]


def told(task: str, folder):
    samples = shapes(task).samples
    images, targets = zip(*(samples.read(index) for index in range(IMAGES)), strict=True)
    measures = {
        (m.attack, m.source, m.victim, m.metric): m
        for m in read_measures(folder / "run" / "metrics.csv")
    }
    return np.stack(images), np.stack(targets).flatten().tolist(), measures


@pytest.mark.parametrize("task", TASKS)
def test_rates_are_those_of_a_slow_count_without_what_is_no_prediction(task, folders):
    folder, judged = folders[task]
    clean, target, measures = told(task, folder)
    lost_somewhere = 0
    for attack, source, name in [(a, s, v) for a in attacks() for s in "ab" for v in "ab"]:
        before = slow(judged[name], clean)
        after = slow(judged[name], stored_images(folder / "store", attack, source))
        counted = [k for k, label in enumerate(target) if label != 255 or task != "segmentation"]
        lost = [k for k in counted if after[k] is None]
        right = [k for k in counted if before[k] == target[k] and after[k] is not None]
        fooled = [k for k in right if after[k] != target[k]]
        still = [k for k in counted if after[k] == target[k]]
        lost_somewhere += len(lost)
        assert all(before[k] is not None for k in counted)
        rate = "asr" if task == "classification" else "fooled_pixels"
        accuracy = "robust_accuracy" if task == "classification" else "pixel_accuracy"
        found, robust = (measures[attack, source, name, metric] for metric in (rate, accuracy))
        assert (found.hits, found.total) == (len(fooled), len(right))
        assert (robust.hits, robust.total) == (len(still), len(counted) - len(lost))
        unanswered = measures.get((attack, source, name, "unanswered"))
        if lost:
            assert (unanswered.hits, unanswered.total) == (len(lost), len(counted))
        else:
            assert unanswered is None
    assert lost_somewhere > 0
    assert ("", "", "b", "clean_unanswered") not in measures


def test_miou_leaves_out_what_is_no_prediction_and_matches_the_rows(folders):
    folder, judged = folders["segmentation"]
    _, target, measures = told("segmentation", folder)
    finished = Run.read(folder / "run")
    for attack, source, name in [(a, s, v) for a in attacks() for s in "ab" for v in "ab"]:
        after = slow(judged[name], stored_images(folder / "store", attack, source))
        ious = []
        for k in range(7):
            both = either = 0
            for label, predicted in zip(target, after, strict=True):
                if label != 255 and predicted is not None:
                    both += label == predicted == k
                    either += k in (label, predicted)
            if either:
                ious.append(both / either)
        miou = measures[attack, source, name, "miou"]
        assert miou.value == pytest.approx(sum(ious) / len(ious), rel=1e-12)
        cell = finished.cells[attack, source, name]
        assert miou.value == float(mean_iou_of_counts(cell.adversarial.sum(0)))
        assert miou.low <= miou.value <= miou.high


def test_rows_say_null_where_there_is_nothing_to_say(folders):
    folder, _ = folders["classification"]
    rows = read_rows(folder / "run" / "rows.parquet").to_pylist()
    lost = [row for row in rows if row["unanswered"]]
    assert {row["victim"] for row in lost} == {"b"}
    for row in rows:
        empty = [row[name] is None for name in ("prediction", "confidence", "correct", "fooled")]
        assert set(empty) == {row["unanswered"]}
    assert not any(row["clean_unanswered"] for row in rows)
    assert not any(row["success"] for row in lost if row["source"] == "b")  # nor did the attack


@pytest.mark.parametrize("task", TASKS)
def test_the_run_says_so_in_one_line_where_one_looks_first(task, folders, capsys):
    folder, _ = folders[task]
    finished = Run.read(folder / "run")
    (sentence,) = unanswered_sentences(finished)
    unit = "images" if task == "classification" else "pixels"
    assert sentence.startswith("b gave NaN or infinite logits for ")
    assert f"{unit} under " in sentence
    assert "none on clean images" in sentence
    assert "count in no rate" in sentence
    assert "half precision inside it" in sentence
    page = build_report(folder / "run").read_text()
    first = page.partition('id="strength"')[2].partition("</section>")[0]
    assert "gave NaN or infinite logits" in first
    json.loads((folder / "run" / "run.json").read_text())
    half = {**finished.facts, "precision": "16-mixed"}
    (sentence,) = unanswered_sentences(replace(finished, facts=half))
    assert (
        "Precision 16-mixed is the likely cause: run with --trainer.precision 32-true" in sentence
    )


def test_the_summary_of_the_terminal_has_the_line(tmp_path, capsys):
    made("classification", tmp_path)
    printed = capsys.readouterr().out
    assert "warning: b gave NaN or infinite logits" in printed
    assert printed.index("warning: b gave NaN") < printed.index("report:")


def test_comparisons_and_checks_of_masking_leave_it_out(folders):
    for task in TASKS:
        folder, _ = folders[task]
        finished = Run.read(folder / "run")
        for outcome in board_of(finished).outcomes:
            rate = finished.measure(
                "asr" if task == "classification" else "fooled_pixels",
                outcome.attack,
                outcome.source,
                outcome.victim,
            )
            assert outcome.total == (rate.hits, rate.total)
