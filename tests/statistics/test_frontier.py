"""The frontier over budgets: by hand, and its intervals against known distributions."""

import math

import numpy as np
import pytest

from project.statistics.bootstrap import RESAMPLES
from project.statistics.frontier import (
    Frontier,
    drawn_sums,
    estimate,
    frontier,
    mean_gap,
    paired_p,
    ratio,
)


def curve(*points: tuple[float, float]) -> Frontier:
    """The frontier of one draw."""
    visibility, rate = np.array(points).T[:, None]
    return frontier(visibility, rate)


HAND = ((1.0, 0.2), (3.0, 0.6), (4.0, 0.5), (7.0, 0.9))
"""Budgets with (visibility, rate); the third is behind the second."""


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        (0.1, 0.5),  # half way from the unchanged image to the first budget
        (0.2, 1.0),
        (0.5, 2.5),
        (0.6, 3.0),
        (0.75, 5.5),  # from 0.6 at 4, where the frontier still is, to 0.9 at 7
        (0.9, 7.0),
        (0.91, math.inf),
        (1.0, math.inf),
    ],
)
def test_visibility_at_a_rate_is_as_by_hand_and_is_never_extrapolated(level, expected):
    assert curve(*HAND).at(level).tolist() == pytest.approx([expected])


def test_order_of_budgets_does_not_count_and_neither_do_those_without_images():
    again = curve(HAND[2], (math.nan, math.nan), HAND[0], HAND[3], (2.0, math.nan), HAND[1])
    for level in (0.1, 0.3, 0.7, 0.9, 0.95):
        assert again.at(level).tolist() == pytest.approx(curve(*HAND).at(level).tolist())


def test_a_family_that_never_fools_reaches_nothing():
    found = curve((1.0, 0.0), (2.0, -0.1))
    assert found.best.tolist() == [0.0]
    assert found.at(0.01).tolist() == [math.inf]
    gap, top = mean_gap(found, curve(*HAND))
    assert math.isnan(gap[0])
    assert top.tolist() == [0.0]


def test_of_equally_visible_budgets_the_stronger_counts():
    assert curve((2.0, 0.8), (2.0, 0.4)).at(0.8).tolist() == [2.0]


def test_area_is_that_of_trapezia_between_the_curve_and_the_axis_of_rates():
    # 0.2 · 0.5, 0.4 · 2, then the jump from 3 to 4 at 0.6, and 0.3 · 5.5
    assert curve(*HAND).area(np.array([0.9])) == pytest.approx([0.1 + 0.8 + 1.65])
    assert curve(*HAND).area(np.array([0.4])) == pytest.approx([0.1 + 0.2 * 1.5])


def test_area_is_that_of_a_fine_sum_whatever_the_curves():
    rng = np.random.default_rng(0)
    found = frontier(rng.random((40, 6)), rng.random((40, 6)))
    top = found.best * rng.random(40)
    levels = (np.arange(20000) + 0.5) / 20000
    slow = [
        np.mean([found.at(level * high)[k] for level in levels[::20]]) * high
        for k, high in enumerate(top[:3])
    ]
    assert found.area(top)[:3] == pytest.approx(slow, rel=2e-3)


def test_gap_is_the_mean_difference_over_the_rates_that_both_reach():
    ours, theirs = curve((1.0, 0.5), (4.0, 1.0)), curve((3.0, 0.5))
    gap, top = mean_gap(ours, theirs)
    assert top.tolist() == [0.5]
    assert gap == pytest.approx([1.5 - 0.5])  # mean visibilities up to 0.5
    assert mean_gap(theirs, ours)[0] == pytest.approx([-1.0])


def test_ratio_says_who_never_reaches_a_rate():
    ours, theirs = (
        np.array([2.0, 2.0, math.inf, math.inf]),
        np.array([3.0, math.inf, 1.0, math.inf]),
    )
    assert ratio(ours, theirs)[:3].tolist() == [1.5, math.inf, 0.0]
    assert math.isnan(ratio(ours, theirs)[3])


def test_sums_are_of_all_images_and_then_of_resamples_that_two_attacks_share():
    columns = np.random.default_rng(0).random((30, 2))
    sums = drawn_sums(columns)
    assert sums.shape == (1 + RESAMPLES, 2)
    assert sums[0] == pytest.approx(columns.sum(0))
    assert sums[1:].mean(0) == pytest.approx(columns.sum(0), rel=0.02)
    assert np.allclose(drawn_sums(columns[:, 1:]), sums[:, 1:], rtol=1e-14, atol=0)


def test_interval_ends_at_infinity_where_a_fortieth_of_the_resamples_never_gets_there():
    draws = np.concatenate([[5.0], np.arange(100.0)])
    assert estimate(draws) == (5.0, 2.0, 97.0)
    draws[-4:] = math.inf
    assert estimate(draws) == (5.0, 2.0, math.inf)
    assert estimate(np.array([math.inf, 1.0, math.inf]))[0] == math.inf
    assert np.isnan(estimate(np.full(3, math.nan))).all()


def test_p_value_is_the_level_at_which_the_interval_of_the_difference_ends_at_zero():
    zero = np.zeros(100)
    draws = np.concatenate([[0.0], np.arange(99.0)])
    assert paired_p(draws, zero + 2) == pytest.approx(2 * (1 + 3) / 100)  # 0, 1 and the tie 2
    assert paired_p(zero + 2, draws) == paired_p(draws, zero + 2)
    assert paired_p(zero, zero) == 1
    assert paired_p(zero + math.inf, zero + math.inf) == 1
    assert paired_p(zero, zero + math.inf) == pytest.approx(2 / 100)
    assert math.isnan(paired_p(zero + math.nan, zero))


BUDGETS = np.array([0.5, 1.0, 1.5, 2.0, 3.0, 4.0])
IMAGES = 60


def sample(rng, scale=1.0):
    """Columns of images that fall at exponential budgets, and are as visible as the budget.

    The rate at a budget b is 1 − exp(−b / scale); hits, then visibilities.
    """
    threshold = rng.exponential(scale, (IMAGES, 1))
    noise = rng.normal(1.0, 0.1, (IMAGES, len(BUDGETS)))
    return np.concatenate([threshold <= BUDGETS, BUDGETS * noise], 1).astype(float)


def found(columns):
    sums = drawn_sums(columns) / IMAGES
    return frontier(sums[:, len(BUDGETS) :], sums[:, : len(BUDGETS)])


def truth(scale, level):
    rates = 1 - np.exp(-BUDGETS / scale)
    return frontier(BUDGETS[None], rates[None]).at(level)[0]


@pytest.mark.parametrize("level", [0.5, 0.8])
def test_intervals_hold_the_truth_of_a_known_distribution_as_often_as_they_say(level):
    rng, trials = np.random.default_rng(1), 150
    held = 0
    for _ in range(trials):
        _, low, high = estimate(found(sample(rng)).at(level))
        held += low <= truth(1.0, level) <= high
    assert 0.9 <= held / trials <= 0.99  # 0.95, with room for 150 trials


def test_paired_test_of_equal_families_rejects_as_seldom_as_it_says():
    rng, trials = np.random.default_rng(2), 100
    p = np.array(
        [paired_p(found(sample(rng)).at(0.5), found(sample(rng)).at(0.5)) for _ in range(trials)]
    )
    assert (p < 0.05).mean() <= 0.1  # with room for 100 trials


def test_paired_test_sees_a_family_that_is_twice_as_visible():
    rng = np.random.default_rng(3)
    p = [paired_p(found(sample(rng)).at(0.5), found(sample(rng, 2.0)).at(0.5)) for _ in range(20)]
    assert np.mean(np.array(p) < 0.05) > 0.8
