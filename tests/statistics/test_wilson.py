import pytest
from scipy.stats import binomtest

from project.statistics.wilson import wilson

COUNTS = [(hits, total) for total in (1, 2, 7, 24, 300) for hits in range(total + 1)]


def test_the_interval_is_that_of_statsmodels():
    proportion = pytest.importorskip("statsmodels.stats.proportion")
    for hits, total in COUNTS:
        expected = proportion.proportion_confint(hits, total, method="wilson")
        assert wilson(hits / total, total) == pytest.approx(expected, abs=1e-12)


def test_the_interval_of_whole_trials_is_scipys_bit_for_bit():
    for hits, total in COUNTS:
        expected = binomtest(hits, total).proportion_ci(confidence_level=0.95, method="wilson")
        assert wilson(hits / total, total) == (expected.low, expected.high)


def test_both_ends_solve_the_equation_that_defines_them_with_fractional_trials_too():
    for rate, trials in [(0.3, 7.5), (0.75, 0.8), (0.999, 2500 / 3)]:
        for end in wilson(rate, trials):
            deviation = abs(rate - end) / (end * (1 - end) / trials) ** 0.5
            assert deviation == pytest.approx(1.959963984540054, rel=1e-9)


def test_the_interval_has_a_width_at_both_ends_and_stays_in_0_to_1():
    low, high = wilson(0.0, 10)
    assert low == 0.0
    assert high == pytest.approx(0.2775327998628892)
    assert wilson(1.0, 10) == (pytest.approx(1 - high), 1.0)
