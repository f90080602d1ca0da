import itertools
import math
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from project.report.comparison import comparison_section
from project.report.comparison.pareto import by_budget, pareto
from project.report.comparison.pareto_plot import COLOURS, panels
from project.report.comparison.plot import Box, LogScale, place_labels, spread
from project.report.templates import environment
from tests.report.rows import data_of, rows_of, run_of

NO_NUMBER = re.compile(r"(?<![a-z])(nan|inf|None)(?![a-z])")
SVG = "{http://www.w3.org/2000/svg}"


def budgets():
    return [
        rows_of("pgd@10", "a", "xxx.-", lpips_alex=[0.4, 0.5, 0.6, 9.0, 9.0]),
        rows_of("pgd@2", "a", "xx..-", lpips_alex=[0.1, 0.9, 9.0, 9.0, 9.0]),
        rows_of("ssta", "a", "...x-", lpips_alex=[9.0, 9.0, 9.0, 0.01, 9.0]),
        rows_of("pgd@0.1", "a", "....-", lpips_alex=[9.0] * 5),
    ]


def test_a_family_is_its_budgets_in_the_order_of_their_numbers():
    found = pareto(data_of(*budgets()))
    assert [one.title for one in found.families] == ["pgd, best budget", "ssta"]
    points = found.families[0].points
    assert [point.budget for point in points] == ["0.1", "2", "10"]
    assert [point.success.value for point in points] == [0.0, 0.5, 0.75]
    assert math.isnan(points[0].distance.value)
    assert [point.distance.value for point in points[1:]] == [0.5, 0.5]
    assert by_budget(["a@strong", "a@1"]) == ["a@strong", "a@1"]


def test_of_a_family_each_images_least_visible_budget_counts():
    pgd, ssta = pareto(data_of(*budgets())).families
    assert pgd.distances.tolist() == [0.1, 0.5, 0.6]
    assert (pgd.total, ssta.total) == (4, 4)
    assert ssta.distances.tolist() == [0.01]


def test_the_best_measure_of_visibility_that_the_rows_have_is_taken():
    def chosen(**columns):
        found = pareto(data_of(rows_of("ssta", "a", "x", **columns), rows_of("pgd", "a", "x")))
        return found and found.metric

    assert chosen(mse=[1.0], lpips_squeeze=[0.1], dists=[0.1]) == "lpips_squeeze"
    assert chosen(mse=[1.0], l2=[0.1]) == "mse"
    assert chosen(ssim=[1.0]) is None


def test_there_is_no_plot_where_nothing_is_fooled():
    assert pareto(data_of(rows_of("a", "v", "..", mse=[1.0, 1]), rows_of("b", "v", ".."))) is None


def drawn(*groups):
    section = comparison_section(run_of(*groups), environment())
    return section.picture, str(section.plot)


def test_the_plot_is_well_formed_names_every_family_and_needs_nothing_outside_itself():
    picture, inside = drawn(*budgets())
    root = ElementTree.fromstring(picture)
    assert root.tag == f"{SVG}svg"
    texts = [element.text for element in root.iter(f"{SVG}text")]
    assert {"ssta", "pgd@10", "2", "pgd, best budget", "100 %"} <= set(texts)
    assert not re.search(r"http|url\(|xlink", inside)
    assert not NO_NUMBER.search(inside)
    ElementTree.fromstring(inside)
    assert drawn(*budgets()) == (picture, inside)


def test_names_from_outside_are_escaped_in_the_plot():
    groups = [rows_of(name, "a", "xx", mse=[1.0, 2.0]) for name in ("<b>&", "pgd")]
    root = ElementTree.fromstring(drawn(*groups)[0])
    assert "<b>&" in [element.text for element in root.iter(f"{SVG}text")]


def test_distances_of_zero_or_all_the_same_have_a_plot_without_a_fault():
    for values in ([0.0, 0.0], [0.0, 2.0], [1.0, 1.0]):
        groups = [rows_of(name, "a", "xx", mse=values) for name in ("ssta", "pgd")]
        picture, _ = drawn(*groups)
        ElementTree.fromstring(picture)
        assert not NO_NUMBER.search(picture)


def test_points_and_curves_stand_where_their_numbers_are():
    found = pareto(data_of(*budgets()))
    means, shares = panels(found)
    [pgd, ssta] = means.series
    zero, full = means.y_ticks[0][0], means.y_ticks[-1][0]
    assert [mark.y for mark in pgd.marks] == pytest.approx(
        [zero + share * (full - zero) for share in (0.5, 0.75)]
    )
    assert ssta.marks[0].x < pgd.marks[0].x
    assert (pgd.colour, ssta.colour) == COLOURS[:2]
    [curve] = [one.line for one in shares.series if one.colour == ssta.colour]
    assert curve.count("V") == 1
    assert curve.endswith(f"V{zero + 0.25 * (full - zero):.1f}H{shares.box.right}")


def test_of_many_families_no_two_look_the_same():
    groups = [rows_of(f"attack_{k}", "a", "x", mse=[1.0 + k]) for k in range(12)]
    series = panels(pareto(data_of(*groups)))[1].series
    assert len({(one.colour, one.dash) for one in series}) == 12
    assert len({(one.colour, one.marker) for one in series}) == 12


def test_a_thousand_images_are_a_curve_of_no_more_steps_than_can_be_seen():
    values = np.random.default_rng(0).lognormal(-4, 1, 3000)
    rows = rows_of("ssta", "a", "x" * 3000, mse=values.tolist())
    curve = panels(pareto(data_of(rows, rows_of("pgd", "a", "x"))))[1].series[0].line
    assert 100 < curve.count("V") < 1300
    assert (
        f"V{panels(pareto(data_of(rows, rows_of('p', 'a', 'x'))))[1].y_ticks[-1][0]:.1f}" in curve
    )


def test_a_logarithmic_scale_puts_equal_factors_at_equal_distances():
    scale = LogScale(0.01, 1.0, 100.0, 300.0)
    assert [scale(v) for v in (0.01, 0.1, 1.0)] == pytest.approx([100, 200, 300])
    assert scale(0.0) == 100
    assert scale.ticks()[0] == (100.0, "0.01")
    assert [text for _, text in scale.ticks()] == ["0.01", "0.1", "1"]
    assert [text for _, text in LogScale(0.01, 0.9, 0, 1).ticks()][:3] == ["0.01", "0.02", "0.05"]
    assert [text for _, text in LogScale(30, 60, 0, 1).ticks()] == ["30", "40", "50", "60"]
    assert [text for _, text in LogScale(0.98, 1.11, 0, 1).ticks()] == ["0.98", "0.99", "1", "1.1"]
    assert [text for _, text in LogScale(1e-5, 10, 0, 1).ticks()][:3] == ["10⁻⁵", "0.0001", "0.001"]
    assert next(text for _, text in LogScale(1.2e-5, 1.7e-5, 0, 1).ticks()) == "1.2·10⁻⁵"


def test_labels_keep_clear_of_each_other_and_of_the_points():
    rng = np.random.default_rng(0)
    inside = Box(0, 0, 400, 300)
    named = [(x, y, f"attack_{k}") for k, (x, y) in enumerate(rng.uniform(80, 220, (14, 2)))]
    labels = place_labels(named, inside)
    assert len(labels) >= 10
    boxes = []
    for label in labels:
        width = 6.3 * len(label.text)
        left = label.x - {"start": 0, "middle": 0.5, "end": 1}[label.anchor] * width
        boxes.append(Box(left, label.y - 6, left + width, label.y + 6))
    assert not any(a.meets(b) for a, b in itertools.combinations(boxes, 2))
    points = [Box(x - 3, y - 3, x + 3, y + 3) for x, y, _ in named]
    assert not any(box.meets(point) for box in boxes for point in points)


def test_names_at_the_edge_keep_their_order_and_a_line_between_them():
    places = spread([10.0, 10.0, 11.0, 90.0], 0, 100)
    assert places == pytest.approx([10, 24, 38, 90])
    crowded = spread([50.0] * 20, 0, 100)
    assert all(b > a for a, b in itertools.pairwise(crowded))
    assert 0 <= crowded[0] <= crowded[-1] <= 100
    assert spread([], 0, 100) == []
