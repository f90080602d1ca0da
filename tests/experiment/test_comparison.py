"""An experiment compares its attacks by itself, and leaves no comparison of an earlier one."""

import csv

import pytest

from project.storage.rows import read_measures
from tests.experiment.scene import attacks, run, shapes, victims

FILES = ("comparison.csv", "comparison.md", "pareto.svg")


def test_attacks_on_classifiers_are_compared_and_their_rates_are_those_measured(tmp_path):
    run(tmp_path, victims=victims(), attacks=attacks())
    assert all((tmp_path / "run" / name).is_file() for name in FILES)
    with (tmp_path / "run/comparison.csv").open(newline="", encoding="utf-8") as file:
        lines = [line for line in csv.DictReader(file) if line["table"] == "success"]
    found = {(line["attack"], line["victim"]): line for line in lines}
    for measure in read_measures(tmp_path / "run/metrics.csv"):
        if measure.metric == "asr" and measure.source == measure.victim:
            line = found[measure.attack, measure.victim]
            assert (int(line["hits"]), int(line["pairs"])) == (measure.hits, measure.total)
            for name in ("value", "low", "high"):
                assert float(line[name]) == pytest.approx(getattr(measure, name), abs=1e-12)


def test_a_run_without_a_comparison_removes_that_of_the_run_before(tmp_path):
    judged = victims()
    run(tmp_path, victims=judged, attacks=attacks())
    run(tmp_path, victims=judged, attacks={"pgd": attacks()["pgd"]})
    assert not any((tmp_path / "run" / name).exists() for name in FILES)


def test_segmenters_have_none_of_the_files_of_classifiers(tmp_path):
    task = "segmentation"
    run(tmp_path, data=shapes(task), victims=victims(task), attacks=attacks())
    assert (tmp_path / "run/report.html").is_file()
    assert not any((tmp_path / "run" / name).exists() for name in FILES)
