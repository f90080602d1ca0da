"""What an experiment on segmenters leaves for its comparison: counts, intervals, kin, traces."""

import csv
import json

import numpy as np
import pytest
import torch

from project.attacks import PGD, TranSegPGD
from project.report.run import Run
from project.report.segmentation.pairs import transfer_data
from project.statistics.bootstrap import bootstrap
from project.statistics.miou import mean_iou, scores
from project.storage.rows import read_measures, read_rows
from project.storage.traces import read_traces
from project.victims import EnsembleVictim
from project.victims.acceleration import Acceleration, accelerated
from tests.experiment.scene import IMAGES, results, run, shapes, victim, victims

STEPS = 4
FILES = ("transfer.csv", "transfer.md", "transfer.svg", "transfer.png", "traces.parquet")


def segmentation_attacks():
    common = {"eps": 8 / 255, "step_size": 4 / 255, "steps": STEPS}
    return {"pgd": PGD(**common), "transegpgd": TranSegPGD(**common)}


def experiment(folder):
    """Attack a segmenter, and an ensemble of it (made anew) and a stranger."""
    task = "segmentation"
    both = EnsembleVictim([victim(task, 1), victim(task, 3)])
    run(
        folder,
        data=shapes(task),
        victims=victims(task) | {"both": both},
        attacks=segmentation_attacks(),
        sources=["a", "both"],
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("transfer")
    experiment(folder)
    return folder


@pytest.fixture(scope="module")
def finished(folder):
    return Run.read(folder / "run")


def test_miou_from_rows_is_that_of_the_confusion_matrix_to_the_bit(finished):
    assert len(finished.cells) == 2 * 2 * 3
    for (attack, source, judge), cell in finished.cells.items():
        assert len(cell.index) == IMAGES
        measure = finished.measure("miou", attack, source, judge)
        assert measure.value == float(mean_iou(cell.adversarial.sum(0)))
        clean = finished.clean("clean_miou", judge)
        assert clean.value == float(mean_iou(cell.clean.sum(0)))
        drop = finished.measure("miou_drop", attack, source, judge)
        assert drop.value == clean.value - measure.value


def test_counts_by_class_add_up_to_those_of_the_rows(folder, finished):
    for row in read_rows(folder / "run" / "rows.parquet").to_pylist():
        cell = finished.cells[row["attack"], row["source"], row["victim"]]
        place = cell.index.tolist().index(row["index"])
        correct, predicted, labelled = cell.adversarial[place].sum(1)
        assert (correct, labelled) == (row["correct_pixels"], row["valid_pixels"])
        assert predicted == labelled
        assert cell.clean[place, 0].sum() == row["clean_correct_pixels"]
        assert cell.fooled[place] == row["fooled_pixels"]


def test_measures_carry_their_intervals_over_images(finished):
    cell = finished.cells["pgd", "a", "b"]
    found = bootstrap(cell.columns, lambda sums: np.stack(scores(sums), -1))
    names = ("miou", "miou_drop", "pixel_accuracy", "fooled_pixels")
    for name, expected in zip(names, found[:4], strict=True):
        measure = finished.measure(name, "pgd", "a", "b")
        assert (measure.low, measure.high) == expected[1:]
        assert measure.low < measure.value < measure.high
    for judge in finished.victims:
        clean = finished.clean("clean_miou", judge)
        assert clean.low < clean.value < clean.high
        assert clean.total == IMAGES


def test_an_ensemble_and_its_member_are_kin_though_the_member_was_made_anew(folder, finished):
    facts = json.loads((folder / "run/run.json").read_text())
    assert facts["kin"] == {"a": ["both"], "both": ["a"]}
    assert transfer_data(finished).transfer == [("a", "b"), ("both", "b")]


def test_the_comparisons_files_lie_beside_the_report(folder):
    assert all((folder / "run" / name).is_file() for name in FILES)
    with (folder / "run/transfer.csv").open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    cells = {
        (line["attack"], line["source"], line["victim"], line["metric"]): float(line["value"])
        for line in lines
        if line["table"] == "cell"
    }
    for measure in read_measures(folder / "run/metrics.csv"):
        if measure.metric in ("miou", "miou_drop", "fooled_pixels", "clean_miou"):
            assert cells[measure[:4]] == measure.value


def test_traces_are_those_of_the_attack_image_by_image(folder, finished):
    found = {trace.key: trace.values for trace in read_traces(folder / "run/traces.parquet")}
    assert len(found) == 2 * 2 * IMAGES
    samples = shapes("segmentation").samples
    whole = [samples[place] for place in range(4)]  # the first batch
    images, target, index = (
        torch.stack([sample[name] for sample in whole]) for name in ("image", "target", "index")
    )
    source = accelerated(victim("segmentation", 1), Acceleration(), images).victim
    for name, attack in segmentation_attacks().items():
        result = attack.run(source, images, target, index)
        for place, sample in enumerate(index.tolist()):
            traces = found[name, "a", sample]
            assert traces.keys() == result.traces.keys()
            for key, values in result.traces.items():
                np.testing.assert_array_equal(traces[key], values[place].float().numpy())
    assert found["transegpgd", "a", 0]["stage"].tolist() == [1, 1, 2, 2]


def test_traces_come_from_the_store_as_they_were(folder, attacked):
    before = results(folder)
    experiment(folder)
    assert attacked == []
    assert results(folder) == before
    assert "traces.parquet" in before


def test_classifiers_have_traces_and_a_picture_and_no_counts(tmp_path):
    run(tmp_path, victims=victims(), attacks={"pgd": PGD(4 / 255, 2 / 255, steps=2)})
    finished = Run.read(tmp_path / "run")
    assert finished.cells == {}
    assert sum(len(group.index) for group in finished.traces.values()) == 2 * IMAGES
    assert (tmp_path / "run/transfer.png").is_file()
    assert not (tmp_path / "run/transfer.csv").exists()
