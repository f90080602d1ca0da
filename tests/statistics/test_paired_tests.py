import math
from itertools import pairwise, product

import numpy as np
import pytest
from scipy.stats import bootstrap, wilcoxon

from project.statistics import bootstrap as resampling
from project.statistics.bootstrap import cluster_ratios
from project.statistics.paired_tests import holm, mcnemar, signed_rank


def test_a_mean_over_clusters_is_the_mean_over_their_pairs():
    sums, counts = np.array([[3.0], [10.0], [2.0]]), np.array([[2.0], [1.0], [1.0]])
    [estimate] = cluster_ratios(sums, counts)
    assert estimate.value == pytest.approx(15 / 4)
    assert 1.5 <= estimate.low < 15 / 4 < estimate.high <= 10


@pytest.mark.parametrize("victims", [1, 3])
def test_the_interval_is_scipys_bca_over_clusters(victims, monkeypatch):
    rng = np.random.default_rng(3)
    counts = rng.integers(1, victims + 1, 60).astype(float)
    sums = counts * rng.lognormal(0, 1, 60)
    monkeypatch.setattr(resampling, "RESAMPLES", 20_000)
    [estimate] = cluster_ratios(sums[:, None], counts[:, None])
    expected = bootstrap(
        (sums, counts),
        lambda above, below, axis: above.sum(axis) / below.sum(axis),
        paired=True,
        n_resamples=20_000,
        rng=np.random.default_rng(5),
    ).confidence_interval
    width = expected.high - expected.low
    assert estimate.low == pytest.approx(expected.low, abs=0.02 * width)
    assert estimate.high == pytest.approx(expected.high, abs=0.04 * width)


def test_the_interval_covers_a_known_mean_about_as_often_as_it_says(monkeypatch):
    monkeypatch.setattr(resampling, "RESAMPLES", 1000)
    rng = np.random.default_rng(0)
    images = rng.gamma(2.0, 0.5, (50, 400, 1))  # what victims have in common; mean 1
    values = images + 0.1 * rng.standard_normal((50, 400, 4))
    found = cluster_ratios(values.sum(2), np.full((50, 400), 4.0))
    covered = np.mean([one.low <= 1.0 <= one.high for one in found])
    assert 0.91 <= covered <= 0.975


def test_images_are_drawn_whole_so_more_victims_do_not_narrow_the_interval():
    rng = np.random.default_rng(1)
    values = rng.normal(size=(40, 1))
    once = cluster_ratios(values, np.ones((40, 1)))
    five_times = cluster_ratios(5 * values, np.full((40, 1), 5.0))
    assert np.allclose(once, five_times)


def test_values_that_are_all_the_same_have_an_interval_without_width():
    [estimate] = cluster_ratios(np.full((7, 1), 8 / 255), np.ones((7, 1)))
    assert estimate == pytest.approx((8 / 255, 8 / 255, 8 / 255), rel=1e-12)


def test_a_single_image_has_no_interval_and_no_image_no_mean():
    [one] = cluster_ratios(np.array([[3.0]]), np.array([[2.0]]))
    [none] = cluster_ratios(np.zeros((0, 1)), np.zeros((0, 1)))
    assert one.value == 1.5
    assert all(map(math.isnan, [*one[1:], *none]))


def test_an_image_that_a_column_lacks_does_not_count_for_that_column():
    sums, counts = np.array([[1.0, 1.0], [3.0, 3.0], [5.0, 0.0]]), np.ones((3, 2))
    counts[2, 1] = 0
    both, lacking = cluster_ratios(sums, counts)
    assert (both.value, lacking.value) == (3.0, 2.0)
    assert 1 <= lacking.low <= lacking.high <= 3


def test_the_interval_is_the_same_every_time_and_however_many_are_drawn_at_once(monkeypatch):
    sums, counts = np.random.default_rng(2).random((30, 2)), np.ones((30, 2))
    first = cluster_ratios(sums, counts)
    assert cluster_ratios(sums, counts) == first
    monkeypatch.setattr(resampling, "_AT_ONCE", 30 * 7)
    assert np.allclose(cluster_ratios(sums, counts), first)


def slow_signed_rank(differences):
    """Every sign of every rank: the share of the 2^n outcomes at least as far from the middle."""
    ranks = np.abs(differences).argsort().argsort() + 1
    middle, seen = ranks.sum() / 2, ranks[differences > 0].sum()
    sums = [sum(r for r, up in zip(ranks, s, strict=True) if up) for s in product((0, 1), repeat=9)]
    return np.mean([abs(x - middle) >= abs(seen - middle) for x in sums])


def test_signed_rank_counts_all_signs_of_all_ranks():
    differences = np.array([0.4, -0.1, 0.9, 1.3, 0.2, -0.5, 2.1, 0.7, 0.35])
    assert signed_rank(differences) == pytest.approx(slow_signed_rank(differences))
    assert signed_rank(-differences) == pytest.approx(slow_signed_rank(differences))


def test_signed_rank_of_six_of_one_sign_is_two_in_sixty_four():
    assert signed_rank(np.arange(1.0, 7)) == pytest.approx(2 / 64)


def test_signed_rank_leaves_zeros_out_and_says_nothing_of_nothing():
    differences = np.array([0.0, 1.0, 2.0, 0.0, 3.0])
    assert signed_rank(differences) == pytest.approx(0.25)
    assert signed_rank(np.zeros(4)) == 1.0
    assert math.isnan(signed_rank(np.zeros(0)))


@pytest.mark.parametrize("many", [False, True])
def test_signed_rank_approximates_where_there_are_ties_or_many_images(many):
    rng = np.random.default_rng(4)
    differences = rng.normal(0.2, 1, 80) if many else np.array([1.0, 1, 2, -1, 2, 3, 3, -2, 4])
    expected = wilcoxon(differences, method="approx").pvalue
    assert signed_rank(differences) == pytest.approx(expected)


@pytest.mark.parametrize(("ours", "theirs"), [(0, 0), (5, 5), (8, 1), (1, 8), (0, 6), (30, 12)])
def test_mcnemar_is_the_binomial_tail_on_both_sides(ours, theirs):
    n, least = ours + theirs, min(ours, theirs)
    tail = sum(math.comb(n, k) for k in range(least + 1)) / 2**n
    assert mcnemar(ours, theirs) == pytest.approx(min(1.0, 2 * tail))


def test_holm_by_hand():
    # sorted: 0.01·4, 0.02·3, 0.025·2 (raised to 0.06), 0.5·1
    assert holm([0.025, 0.01, 0.5, 0.02]) == pytest.approx([0.06, 0.04, 0.5, 0.06])
    assert holm([0.4, 0.9]) == pytest.approx([0.8, 0.9])
    assert holm([]) == []


def test_holm_keeps_the_order_and_what_was_not_tested_does_not_count():
    p_values = [0.04, math.nan, 0.001, 0.2]
    corrected = holm(p_values)
    assert math.isnan(corrected[1])
    assert [corrected[k] for k in (0, 2, 3)] == pytest.approx(holm([0.04, 0.001, 0.2]))
    assert all(a <= b for a, b in pairwise([corrected[2], corrected[0], corrected[3]]))
