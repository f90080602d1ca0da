import math

import numpy as np
import pytest
from scipy.stats import norm

from project.statistics.detection import fleiss_kappa, forced_choice, yes_no


@pytest.mark.parametrize("dprime", [0.0, 0.5, 1.0, 2.5])
def test_forced_choice_finds_the_sensitivity_that_made_the_choices(dprime):
    # the modified image's trace is N(d', 1), the clean one's N(0, 1), and the larger is chosen
    right = norm.cdf(dprime / math.sqrt(2))
    assert forced_choice(round(1e9 * right), 1e9) == pytest.approx(dprime, abs=1e-6)


@pytest.mark.parametrize(("dprime", "bias"), [(0.0, 0.3), (1.0, 0.5), (2.0, -0.4)])
def test_yes_no_finds_the_sensitivity_whatever_the_bias(dprime, bias):
    hits, alarms = norm.cdf(dprime - bias), norm.cdf(-bias)
    found = yes_no(round(1e9 * hits), 1e9, round(1e9 * alarms), 1e9)
    assert found == pytest.approx(dprime, abs=1e-6)


def test_a_table_of_forced_choice():
    # Macmillan & Creelman's table A5.2: p(c) 0.76 is d' 1.00, 0.92 is 1.99
    assert forced_choice([76, 92], [100, 100]) == pytest.approx([1.00, 1.99], abs=0.005)


@pytest.mark.parametrize("trials", [1, 10, 400])
def test_shares_of_none_and_all_are_half_a_trial_away(trials):
    least = math.sqrt(2) * norm.ppf(0.5 / trials)
    assert forced_choice([0, trials], [trials, trials]) == pytest.approx([least, -least])
    assert yes_no(trials, trials, 0, trials) == pytest.approx(-math.sqrt(2) * least)


def test_nothing_judged_has_no_sensitivity():
    assert np.isnan(forced_choice(0, 0))
    assert np.isnan(yes_no(3, 5, 0, 0))


def test_kappa_is_that_of_statsmodels():
    inter_rater = pytest.importorskip("statsmodels.stats.inter_rater")
    rng = np.random.default_rng(0)
    for categories in (2, 4):
        counts = rng.multinomial(7, np.ones(categories) / categories, size=30).astype(float)
        assert fleiss_kappa(counts) == pytest.approx(inter_rater.fleiss_kappa(counts))


def test_kappa_of_fleiss_own_example():
    # Fleiss 1971, as reprinted by Wikipedia: 10 items, 14 raters, 5 categories
    counts = """0 0 0 0 14  0 2 6 4 2  0 0 3 5 6  0 3 9 2 0  2 2 8 1 1
                7 7 0 0 0  3 2 6 3 0  2 5 3 2 2  6 5 2 1 0  0 2 2 3 7"""
    table = np.array(counts.split(), float).reshape(10, 5)
    assert fleiss_kappa(table) == pytest.approx(0.210, abs=0.0005)


def test_kappa_is_one_where_all_agree_and_nothing_where_nothing_can_be_told():
    assert fleiss_kappa(np.array([[3.0, 0], [0, 2], [4, 0]])) == 1
    assert math.isnan(fleiss_kappa(np.array([[3.0, 0], [2, 0]])))
    assert math.isnan(fleiss_kappa(np.array([[1.0, 0], [0, 1]])))


def test_kappa_of_items_with_different_numbers_of_raters_follows_its_pairs():
    counts = np.array([[2.0, 1], [0, 4], [1, 1], [1, 0]])  # the last has no pair
    pairs = []
    for first, second in counts[:3]:
        votes = [0] * int(first) + [1] * int(second)
        agreed = [a == b for i, a in enumerate(votes) for j, b in enumerate(votes) if i != j]
        pairs.append(np.mean(agreed))
    shares = counts[:3].sum(0) / counts[:3].sum()
    chance = (shares**2).sum()
    assert fleiss_kappa(counts) == pytest.approx((np.mean(pairs) - chance) / (1 - chance))


def test_kappa_of_independent_raters_is_about_none():
    rng = np.random.default_rng(1)
    modified = rng.binomial(20, 0.3, 4000).astype(float)
    assert fleiss_kappa(np.stack([modified, 20 - modified], 1)) == pytest.approx(0, abs=0.01)
