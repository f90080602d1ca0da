"""Traces as charts: what is summed up, where stage 2 is, and what is not drawn."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from project.report import build_report
from project.report.gallery import Sample
from project.report.run import Run
from project.report.traces import attack_traces
from project.report.traces.charts import curve, second_stage
from project.storage.trace_groups import TraceGroup, TraceGroups
from project.storage.traces import Trace, write_traces
from tests.report.conftest import VICTIMS
from tests.report.scripts import CUT_LABELS, LEAST_MARGIN
from tests.report.segmented import drawn_cells, run_of
from tests.report.test_page import Page

STEPS = 6


def trace(index, attack="transegpgd", source="a", switch=3, **more):
    """Stage 2 from step ``switch`` + 1 on."""
    late = np.arange(STEPS) >= switch
    values = {
        "objective": np.linspace(0, 1 + index, STEPS),
        "step_size": np.full(STEPS, 2 / 255),
        "stage": 1.0 + late,
        "resisting": np.linspace(1, 0.1, STEPS),
        "transferable": np.where(late, 0.3, np.nan),
        **more,
    }
    return Trace(attack, source, index, {n: v.astype(np.float32) for n, v in values.items()})


def together(traces):
    """The traces of one attack and source as one group."""
    steps = max(one.steps for one in traces)
    values = {name: np.full((len(traces), steps), np.nan) for one in traces for name in one.values}
    for place, one in enumerate(traces):
        for name, found in one.values.items():
            values[name][place, : len(found)] = found
    return TraceGroup(np.array([one.index for one in traces]), values, steps)


def run_with(*traces):
    run = run_of(drawn_cells())
    gallery = [Sample("pgd", "a", 1, Path())]
    keys = dict.fromkeys((one.attack, one.source) for one in traces)
    groups = {key: together([one for one in traces if one.key[:2] == key]) for key in keys}
    return Run(Path(), run.facts, run.results, run.measures, gallery, run.cells, groups)


def test_a_curve_is_the_median_and_the_quartiles_of_the_images_step_by_step():
    traces = [trace(index) for index in range(5)]
    found = curve("objective", together(traces), shown={1, 4})
    values = np.stack([one.values["objective"] for one in traces]).astype(float)
    for name, share in (("low", 25), ("middle", 50), ("high", 75)):
        np.testing.assert_allclose(getattr(found, name), np.percentile(values, share, axis=0))
    np.testing.assert_array_equal(found.single, values[[1, 4]])


def test_groups_are_the_traces_that_were_written(tmp_path):
    short = Trace("pgd", "b", 9, {"radius": np.array([0.5, 0.25, 0.125], np.float32)})
    nothing = Trace("pgd", "b", 12, {"radius": np.full(8, np.nan, np.float32)})
    written = [
        *(trace(index, source=source) for source in "ab" for index in (4, 2, 7)),
        trace(3, "pgd", "b", switch=6),
        short,
        nothing,
    ]
    write_traces(tmp_path / "traces.parquet", written)
    groups = TraceGroups(tmp_path / "traces.parquet")
    assert list(groups) == [("pgd", "b"), ("transegpgd", "a"), ("transegpgd", "b")]
    for key, group in groups.items():
        ordered = sorted((one for one in written if one.key[:2] == key), key=lambda one: one.key)
        told = [one for one in ordered if one is not nothing]
        expected = together([*told, *(replace(one, values={}) for one in ordered[len(told) :])])
        assert group.index.tolist() == [one.index for one in ordered]
        assert group.steps == expected.steps == STEPS
        known = {n: v for n, v in expected.values.items() if not np.isnan(v).all()}
        assert group.values.keys() == known.keys()
        for name, values in known.items():
            np.testing.assert_array_equal(group.values[name], values)


def test_steps_without_anything_to_tell_are_nan_and_do_not_count():
    traces = [trace(0, switch=2), trace(1, switch=4), Trace("x", "a", 2, {})]
    found = curve("transferable", together(traces), shown=())
    assert np.isnan(found.middle[:2]).all()
    assert found.middle[2:] == pytest.approx(0.3)


def test_the_share_in_stage_2_is_counted_image_by_image():
    traces = [trace(0, switch=2), trace(1, switch=4), trace(2, switch=4), trace(3, switch=6)]
    assert second_stage(together(traces)).tolist() == [0, 0, 0.25, 0.25, 0.75, 0.75]
    assert second_stage(together([Trace("pgd", "a", 0, {"objective": np.ones(3)})])).tolist() == [
        0,
        0,
        0,
    ]


def test_the_charts_say_whether_and_when_stage_2_acts():
    [attack] = attack_traces(run_with(trace(0, switch=2), trace(1, switch=4)))
    [source] = attack.sources
    assert attack.staged
    assert source.told.startswith(
        "stage 2: from step 3 of 6, 50 % of all steps, 100 % of the images"
    )
    for chart in source.charts:
        (left, width, half), (start, rest, all_of_them) = chart.shade
        assert (half, all_of_them) == (0.5, 1.0)
        assert start == pytest.approx(left + width)
        assert (width, rest) == (pytest.approx(2 * 194 / 6), pytest.approx(2 * 194 / 6))


def test_shares_stand_on_one_axis_from_0_to_100_and_a_constant_step_size_is_said_not_drawn():
    [attack] = attack_traces(run_with(trace(0), trace(1)))
    [source] = attack.sources
    objective, shares = source.charts
    assert [text for _, text in shares.y_ticks] == ["0", "50", "100"]
    assert [text for _, text in objective.y_ticks] == ["0", "1", "2"]
    assert len(shares.lines) == 2
    assert [len(line.single) for line in shares.lines] == [1, 1]
    assert "step size, in the threat model's units: 0.007843 throughout" in source.told


def test_a_step_size_that_changes_and_traces_that_are_new_have_charts_of_their_own():
    traces = [
        trace(index, step_size=np.linspace(1, 2, STEPS), radius=np.linspace(3, 1, STEPS))
        for index in range(3)
    ]
    [attack] = attack_traces(run_with(*traces))
    titles = [chart.title for chart in attack.sources[0].charts]
    assert titles[-2:] == ["step size, in the threat model's units", "radius"]


def test_attacks_without_stages_have_charts_without_shade_in_the_runs_order():
    plain = [
        Trace("pgd", source, 0, {"objective": np.linspace(0, 1, 4), "step_size": np.ones(4)})
        for source in "ba"
    ]
    found = attack_traces(run_with(trace(0), *plain))
    assert [(one.attack, one.staged) for one in found] == [("pgd", False), ("transegpgd", True)]
    assert [source.source for source in found[0].sources] == ["a", "b"]
    [chart] = found[0].sources[0].charts
    assert chart.shade == []
    assert chart.lines[0].middle.startswith("M76.2,98.0L")
    assert chart.lines[0].middle.endswith("L221.8,8.0")


def test_the_page_draws_traces_and_is_light(segmentation_run, tmp_path):
    for name in ("rows.parquet", "metrics.csv", "run.json"):
        shutil.copy(segmentation_run / name, tmp_path)
    without = build_report(tmp_path).read_text(encoding="utf-8")
    assert "steps" not in Page(without).attributes("id")
    traces = [trace(index, source=source) for index in range(40) for source in VICTIMS[:2]]
    write_traces(tmp_path / "traces.parquet", traces)
    text = build_report(tmp_path).read_text(encoding="utf-8")
    page = Page(text)
    assert "steps" in page.attributes("id")
    labels = [label for label in page.attributes("aria-label") if "transegpgd on" in label]
    assert len(labels) == 2 * 2
    assert len(text) - len(without) < 20_000


@pytest.fixture
def traced(segmentation_run, tmp_path):
    """Draw traces beside a gallery, whose styles they must not meet."""

    def draw(*traces):
        folder = shutil.copytree(segmentation_run, tmp_path / "run")
        write_traces(folder / "traces.parquet", traces)
        build_report(folder)
        return folder

    return draw


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1280])
def test_the_shade_is_as_wide_as_its_steps_and_charts_keep_off_the_edge(visit, traced, width):
    folder = traced(*(trace(k, source=VICTIMS[0], switch=2 + k) for k in range(2)))
    opened = visit(folder, viewport={"width": width, "height": 900})
    shades = opened.page.locator(".steps rect").evaluate_all(
        "(all) => all.map((one) => [one.getBBox().width, Number(one.getAttribute('width'))])"
    )
    assert len(shades) == 2 * 2
    for drawn, meant in shades:
        assert drawn == pytest.approx(meant)
    assert opened.page.locator("#steps details[open]").evaluate(LEAST_MARGIN) >= 12


@pytest.mark.browser
def test_no_label_is_cut_off_however_long_its_number(visit, traced):
    numbers = [-1.234e-12, -1.234e-5, -0.0001234, 0.001234, -123456, 1.2e9]
    more = {f"trace_{k}": np.linspace(v, 1.1 * v, 1000) for k, v in enumerate(numbers)}
    long = Trace("pgd", VICTIMS[0], 0, {n: v.astype(np.float32) for n, v in more.items()})
    opened = visit(traced(long))
    opened.page.locator("#steps summary").click()
    assert "1000" in opened.page.locator("#steps text").all_text_contents()
    assert opened.page.evaluate(CUT_LABELS) == []
