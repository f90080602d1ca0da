"""The bootstrap of what follows from sums, against scipy's and against draws by hand."""

import math

import numpy as np
import pytest
from scipy.stats import bootstrap as scipys

from project.statistics import bootstrap as resampling
from project.statistics.bootstrap import bootstrap, cluster_ratios, resampled_sums


def ratio(sums):
    return sums[:, :1] / sums[:, 1:]


def drawn(images=60):
    rng = np.random.default_rng(3)
    counts = rng.integers(1, 40, images).astype(float)
    return np.stack([counts * rng.lognormal(0, 1, images), counts], 1)


def test_the_interval_is_scipys_bca_over_images(monkeypatch):
    monkeypatch.setattr(resampling, "RESAMPLES", 20_000)
    columns = drawn()
    [estimate] = bootstrap(columns, ratio)
    expected = scipys(
        tuple(columns.T),
        lambda above, below, axis: above.sum(axis) / below.sum(axis),
        paired=True,
        n_resamples=20_000,
        rng=np.random.default_rng(5),
    ).confidence_interval
    width = expected.high - expected.low
    assert estimate.value == pytest.approx(columns[:, 0].sum() / columns[:, 1].sum())
    assert estimate.low == pytest.approx(expected.low, abs=0.03 * width)
    assert estimate.high == pytest.approx(expected.high, abs=0.05 * width)


def test_every_resample_draws_as_many_images_as_there_are():
    sums = resampled_sums(np.stack([np.ones(7), 10.0 ** np.arange(7)], 1))
    assert sums.shape == (resampling.RESAMPLES, 2)
    assert (sums[:, 0] == 7).all()
    assert len(np.unique(sums[:, 1])) > 900  # of the 1716 ways to draw 7 of 7
    assert sums[:, 1].mean() / 7 == pytest.approx(1111111 / 7, rel=0.1)


def test_columns_of_the_same_images_share_their_resamples():
    columns = drawn()
    both = resampled_sums(np.hstack([columns, columns[:, :1]]))
    assert np.array_equal(both[:, 0], both[:, 2])
    assert np.array_equal(both[:, 1:2], resampled_sums(columns[:, 1:]))


def test_sums_of_counts_are_exact_however_many_are_drawn_at_once(monkeypatch):
    columns = np.random.default_rng(0).integers(0, 2**20, (30, 5)).astype(float)
    first = bootstrap(columns, lambda sums: sums)
    monkeypatch.setattr(resampling, "_AT_ONCE", 30 * 7)
    assert bootstrap(columns, lambda sums: sums) == first


def test_a_single_image_has_a_value_and_no_interval():
    [one] = bootstrap(np.array([[3.0, 2.0]]), ratio)
    assert one.value == 1.5
    assert all(map(math.isnan, one[1:]))


def test_resamples_without_a_value_are_left_out():
    columns = np.array([[1.0], [0.0], [3.0], [2.0]])
    [found] = bootstrap(columns, lambda sums: np.where(sums > 2, sums, np.nan))
    assert 2 < found.low <= 6 <= found.high <= 12


def test_a_mean_over_clusters_is_the_mean_over_their_pairs():
    sums, counts = np.array([[3.0], [10.0], [2.0]]), np.array([[2.0], [1.0], [1.0]])
    [estimate] = cluster_ratios(sums, counts)
    assert estimate.value == pytest.approx(15 / 4)
    assert 1.5 <= estimate.low < 15 / 4 < estimate.high <= 10


@pytest.mark.parametrize("victims", [1, 3])
def test_the_interval_of_a_ratio_is_scipys_bca_over_clusters(victims, monkeypatch):
    rng = np.random.default_rng(3)
    counts = rng.integers(1, victims + 1, 60).astype(float)
    sums = counts * rng.lognormal(0, 1, 60)
    monkeypatch.setattr(resampling, "RESAMPLES", 20_000)
    [estimate] = cluster_ratios(sums[:, None], counts[:, None])
    expected = scipys(
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
