"""The transfer matrices as one picture."""

import io
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from project.report.heat_map import heat_map, panel, write_heat_map
from project.report.run import Run
from project.storage.rows import Measure
from tests.report.rows import results_of
from tests.report.segmented import drawn_cells, run_of

KIN = {"both": ["a"], "a": ["both"]}


def texts(svg):
    return {
        "".join(node.itertext())
        for node in ElementTree.fromstring(svg).iter()
        if "text" in node.tag
    }


def test_a_panel_holds_miou_over_clean_miou_and_its_heat_is_the_drop():
    run = run_of(drawn_cells(names=("a", "b", "both")), kin=KIN)
    found = panel(run, "pgd")
    assert (found.sources, found.victims) == (["a", "b", "both"], ["a", "b", "both"])
    assert found.shown[0, 1] == 100 * run.measure("miou", "pgd", "a", "b").value
    assert found.shown[3, 1] == 100 * run.clean("clean_miou", "b").value
    assert np.array_equal(found.heat, found.shown[3] - found.shown[:3])
    assert found.framed.tolist() == [[1, 0, 2], [0, 1, 0], [2, 0, 1]]


def test_a_panel_of_classifiers_holds_success_and_nothing_where_nothing_was_judged(tmp_path):
    measures = [
        Measure("", "", "a", "clean_accuracy", 0.9),
        Measure("pgd", "a", "a", "asr", 1.0),
        Measure("pgd", "a", "b", "asr", float("nan")),
    ]
    run = Run(tmp_path, {"task": "classification"}, results_of([]), measures, [])
    found = panel(run, "pgd")
    assert found.heat[0, 0] == 100
    assert np.isnan(found.shown[:, 1]).all()
    svg = write_heat_map(heat_map(run), tmp_path)
    assert {"100.0", "90.0", "–", "clean accuracy"} <= texts(svg)


def test_names_numbers_and_the_clean_row_are_in_the_picture_and_names_are_no_markup(tmp_path):
    names = ("a$_b$", "<i>")
    run = run_of(drawn_cells(names=names, attacks=("pgd", "x^2$", "y", "z")))
    svg = write_heat_map(heat_map(run), tmp_path)
    found = texts(svg)
    assert {*names, "pgd", "x^2$", "y", "z", "clean mIoU", "drop in mIoU, points"} <= found
    for measure in run.measures:
        assert f"{100 * measure.value:.1f}" in found
    assert (tmp_path / "transfer.svg").read_bytes() == svg
    with Image.open(io.BytesIO((tmp_path / "transfer.png").read_bytes())) as image:
        assert image.size[0] > 800


def test_the_same_run_gives_the_same_picture(tmp_path):
    run = run_of(drawn_cells())
    assert write_heat_map(heat_map(run), tmp_path) == write_heat_map(heat_map(run), tmp_path)


def test_a_run_without_attacks_has_no_picture(tmp_path):
    assert heat_map(Run(tmp_path, {}, results_of([]), [], [])) is None


@pytest.mark.parametrize("strength", [0.85, 1.0])
def test_an_attack_that_helps_its_victims_is_drawn_too(tmp_path, strength):
    run = run_of(drawn_cells(strength={"pgd": strength}, attacks=("pgd",), names=("a",)))
    assert write_heat_map(heat_map(run), tmp_path)
