"""The bootstrap of what follows from sums, against scipy's and against draws by hand."""

import math

import numpy as np
import pytest
from scipy.stats import bootstrap as scipys

from project.statistics import bootstrap as resampling
from project.statistics.bootstrap import bootstrap, resampled_sums


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
