import itertools
import math
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from project.report.comparison import comparison_section
from project.report.comparison.labels import label_points
from project.report.comparison.pareto import by_budget, pareto
from project.report.comparison.pareto_plot import (
    COLOURS,
    description,
    log_limits,
    log_ticks,
    pareto_plot,
    stairs,
)
from project.report.numbers import tick_text
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
    return comparison_section(run_of(*groups)).picture


def figure_of(*groups):
    return pareto_plot(pareto(data_of(*groups)))


def lines(axes, gid="family"):
    return [line for line in axes.lines if line.get_gid() == gid]


def many_images(count):
    values = np.random.default_rng(0).lognormal(-4, 1, count)
    rows = rows_of("ssta", "a", "x" * count, mse=values.tolist())
    return pareto(data_of(rows, rows_of("pgd", "a", "x"))).families[0]


def test_the_plot_is_well_formed_names_every_family_and_is_the_same_every_time():
    picture = drawn(*budgets())
    root = ElementTree.fromstring(picture)
    assert root.tag == f"{SVG}svg"
    assert root.find(f"{SVG}title").text == ("Success against visibility of pgd, best budget, ssta")
    texts = ["".join(element.itertext()) for element in root.iter(f"{SVG}text")]
    assert {"ssta", "pgd@10", "2", "pgd, best budget", "100 %"} <= set(texts)
    assert not NO_NUMBER.search(picture.decode())
    assert drawn(*budgets()) == picture


def test_the_plot_needs_nothing_outside_itself_and_holds_no_date():
    picture = drawn(*budgets()).decode()
    references = re.findall(r'(?:href|src)="([^"]*)"|url\(([^)]*)\)', picture)
    assert all(name.startswith("#") for pair in references for name in pair if name)
    assert not re.search(r"<script|<image|@import|dc:date", picture)


@pytest.mark.parametrize("name", ["<b>&", "x^2$_b$", "_hidden"])
def test_names_from_outside_are_texts_and_no_markup(name):
    groups = [rows_of(one, "a", "xx", mse=[1.0, 2.0]) for one in (name, "pgd")]
    root = ElementTree.fromstring(drawn(*groups))
    texts = ["".join(element.itertext()) for element in root.iter(f"{SVG}text")]
    assert texts.count(name) == 2  # beside the point, and in the legend


def test_distances_of_zero_or_all_the_same_have_a_plot_without_a_fault():
    for values in ([0.0, 0.0], [0.0, 2.0], [1.0, 1.0]):
        groups = [rows_of(name, "a", "xx", mse=values) for name in ("ssta", "pgd")]
        picture = drawn(*groups)
        ElementTree.fromstring(picture)
        assert not NO_NUMBER.search(picture.decode())


def test_points_lines_and_intervals_stand_where_their_numbers_are():
    found = pareto(data_of(*budgets()))
    means, _ = pareto_plot(found).axes
    assert means.get_xscale() == "log"
    pgd, ssta = lines(means)
    assert pgd.get_xydata().tolist() == [[0.5, 0.5], [0.5, 0.75]]
    assert ssta.get_xydata().tolist() == [[0.01, 0.25]]
    assert (pgd.get_color(), ssta.get_color()) == COLOURS[:2]
    intervals = [line.get_xydata().tolist() for line in lines(means, "interval")]
    for point in (point for family in found.families for point in family.shown):
        at, up = point.distance.value, point.success.value
        assert [[at, point.success.low], [at, point.success.high]] in intervals
        if not math.isnan(point.distance.low):
            assert [[point.distance.low, up], [point.distance.high, up]] in intervals
    assert len(intervals) == 2 + 2 + 1  # one image alone has no interval of its distance


def test_each_point_bears_its_budget_and_the_last_of_a_family_its_name():
    means, _ = figure_of(*budgets()).axes
    labels = {label.get_text(): tuple(map(float, label.xy)) for label in means.texts}
    assert labels == {"pgd@10": (0.5, 0.75), "2": (0.5, 0.5), "ssta": (0.01, 0.25)}


def test_a_curve_rises_by_one_image_at_each_images_distance():
    _, shares = figure_of(*budgets()).axes
    assert shares.get_xscale() == "log"
    low, high = shares.get_xlim()
    pgd, ssta = lines(shares)
    assert pgd.get_drawstyle() == "steps-post"  # up at the distance, not before
    expected = [[low, 0], [0.1, 0.25], [0.5, 0.5], [0.6, 0.75], [high, 0.75]]
    assert pgd.get_xydata() == pytest.approx(np.array(expected))
    assert ssta.get_xydata() == pytest.approx(np.array([[low, 0], [0.01, 0.25], [high, 0.25]]))


def test_a_distance_of_zero_counts_from_the_left_end_on():
    rows = rows_of("ssta", "a", "xx", mse=[0.0, 2.0]), rows_of("pgd", "a", "xx", mse=[1.0, 4.0])
    _, shares = figure_of(*rows).axes
    low, high = shares.get_xlim()
    expected = [[low, 0], [low, 0.5], [2, 1], [high, 1]]
    assert lines(shares)[0].get_xydata() == pytest.approx(np.array(expected))


def test_the_legend_has_every_family_in_the_order_of_their_curves_with_its_style():
    figure = figure_of(*budgets()[::-1])
    [legend] = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["pgd, best budget", "ssta"]
    drawn_styles = {
        (line.get_color(), line.get_marker(), line.get_linestyle())
        for line in lines(figure.axes[0])
    }
    handles = legend.legend_handles
    assert {(h.get_color(), h.get_marker(), h.get_linestyle()) for h in handles} == drawn_styles


def test_of_many_families_no_two_look_the_same():
    groups = [rows_of(f"attack_{k}", "a", "x", mse=[1.0 + k]) for k in range(12)]
    means, shares = figure_of(*groups).axes
    assert len({(one.get_color(), one.get_linestyle()) for one in lines(shares)}) == 12
    assert len({(one.get_color(), one.get_marker()) for one in lines(means)}) == 12


def test_who_does_not_see_the_plot_is_told_its_points():
    assert description(pareto(data_of(*budgets()))) == (
        "Success against visibility. pgd@2: 50.0 % fooled, mean 0.5 over 2 fooled images. "
        "pgd@10: 75.0 % fooled, mean 0.5 over 3 fooled images. "
        "ssta: 25.0 % fooled, mean 0.01 over 1 fooled images."
    )


def test_thousands_of_images_are_a_curve_of_no_more_steps_than_can_be_seen():
    found = many_images(3000)
    low, high = log_limits(found.distances)
    x, y = stairs(found, low, high)
    assert 100 < len(x) < 2000
    assert (y[0], y[-1]) == (0, 1)
    assert (np.diff(x) >= 0).all()
    assert (np.diff(y) >= 0).all()
    # Wherever the curve is read, it is less than two thousandths off.
    at = np.geomspace(low, high, 500)
    shown = y[np.searchsorted(x, at, side="right") - 1]
    exact = np.searchsorted(found.distances, at, side="right") / found.total
    assert np.abs(shown - exact).max() < 0.002


def test_a_few_images_are_a_curve_of_every_step():
    x, y = stairs(many_images(20), 1e-9, 1e9)
    assert x[1:-1].tolist() == many_images(20).distances.tolist()
    assert y[1:-1] == pytest.approx(np.arange(1, 21) / 20)


def test_an_axis_has_room_around_its_values_and_leaves_out_what_has_no_logarithm():
    low, high = log_limits([0.0, 0.01, 1.0, math.inf, math.nan])
    assert (low, high) == pytest.approx((0.01 / 100**0.06, 100**0.06))
    assert log_limits([2.0]) == pytest.approx((2 / 1.15, 2.3))
    assert log_limits([0.0]) == pytest.approx((1 / 1.15, 1.15))


def test_ticks_are_powers_of_ten_and_what_else_three_of_them_need():
    def texts(low, high):
        return [tick_text(value) for value in log_ticks(low, high)]

    assert texts(0.01, 1.0) == ["0.01", "0.1", "1"]
    assert texts(0.01, 0.9)[:3] == ["0.01", "0.02", "0.05"]
    assert texts(30, 60) == ["30", "40", "50", "60"]
    assert texts(0.012, 0.031) == ["0.015", "0.02", "0.025", "0.03"]
    assert texts(0.98, 1.11) == ["0.98", "0.99", "1", "1.1"]
    assert texts(1e-5, 10)[:3] == ["10⁻⁵", "0.0001", "0.001"]
    assert texts(1.2e-5, 1.7e-5)[0] == "1.2·10⁻⁵"
    assert texts(1e-12, 10) == ["10⁻¹²", "10⁻¹⁰", "10⁻⁸", "10⁻⁶", "0.0001", "0.01", "1"]


def boxes_of(figure, labels):
    figure.draw_without_rendering()  # or annotations do not know where they are
    return [Text.get_window_extent(label) for label in labels]


def test_labels_keep_clear_of_each_other_of_the_points_and_of_the_frame():
    rng = np.random.default_rng(0)
    figure = Figure((6, 4.5))
    axes = figure.subplots()
    axes.set(xlim=(0, 1), ylim=(0, 1))
    places = rng.uniform(0.25, 0.75, (14, 2))
    labels = label_points(axes, places, [f"attack_{k}" for k in range(14)])
    assert len(labels) >= 12
    boxes = boxes_of(figure, labels)
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    points = axes.transData.transform(places)
    assert not any(box.padded(3).contains(*point) for box in boxes for point in points)
    frame = axes.bbox
    assert all(frame.contains(*corner) for box in boxes for corner in box.corners())


def test_a_label_keeps_clear_of_lines_where_there_is_room():
    figure = Figure((6, 4.5))
    axes = figure.subplots()
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.plot([0.3, 0.9], [0.3, 0.9], gid="family")
    [label] = label_points(axes, np.array([[0.5, 0.5]]), ["attack"])
    [box] = boxes_of(figure, [label])
    across = axes.transData.transform(np.linspace([0.3, 0.3], [0.9, 0.9], 400))
    assert box.count_contains(across) == 0


def test_a_label_without_room_is_left_out():
    figure = Figure((6, 4.5))
    axes = figure.subplots()
    axes.set(xlim=(0, 1), ylim=(0, 1))
    assert label_points(axes, np.array([[0.5, 0.5]]), ["attack" * 40]) == []
    assert list(axes.texts) == []
