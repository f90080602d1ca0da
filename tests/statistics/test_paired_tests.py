"""Paired tests against every outcome counted, and against closed forms."""

import math
from itertools import pairwise, product

import numpy as np
import pytest
from scipy.stats import wilcoxon

from project.statistics import paired_tests
from project.statistics.paired_tests import holm, mcnemar, permutation_test, signed_rank
from tests.report.segmented import drawn_cells, slow_miou, stacked

TRANSFER = [("a", "b"), ("b", "a")]


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


def slow_p(cells, one, other, pairs):
    """All 2^N swaps of whole images, one after another."""
    images = len(cells[one, *pairs[0]].index)

    def difference(swapped):
        found = []
        for pair in pairs:
            ours, theirs = cells[one, *pair].adversarial, cells[other, *pair].adversarial
            first = sum(theirs[i] if swapped[i] else ours[i] for i in range(images))
            second = sum(ours[i] if swapped[i] else theirs[i] for i in range(images))
            found.append(slow_miou(second) - slow_miou(first))
        return sum(found) / len(found)

    seen = abs(difference([False] * images))
    every = [abs(difference(swapped)) for swapped in product((False, True), repeat=images)]
    return np.mean([found >= seen - 1e-12 for found in every])


def test_the_test_counts_all_swaps_of_whole_images_with_all_their_pairs():
    cells = drawn_cells(seed=1, images=6)
    ours, theirs = (stacked(cells, attack, TRANSFER) for attack in ("pgd", "transegpgd"))
    found = permutation_test(ours, theirs, [0, 1])
    expected = [slow_p(cells, "pgd", "transegpgd", pairs) for pairs in ([p] for p in TRANSFER)]
    assert found[:2] == pytest.approx(expected)
    assert found[2] == pytest.approx(slow_p(cells, "pgd", "transegpgd", TRANSFER))
    assert permutation_test(theirs, ours, [0, 1]) == pytest.approx(found)


def test_pairs_that_mirror_each_other_are_swapped_together():
    # On each image the attacks differ much on either pair and not at all in the mean. Swapped pair
    # by pair, the mean would vary; swapped together, it is 0 whatever is swapped.
    strong, weak = np.array([[1, 5], [5, 5], [6, 4]]), np.array([[5, 1], [5, 5], [6, 4]])
    ours = np.stack([np.stack([strong, weak])] * 4)
    theirs = np.stack([np.stack([weak, strong])] * 4)
    ours[:, 1], theirs[:, 1] = theirs[:, 0], ours[:, 0]
    assert permutation_test(ours, theirs, [0, 1])[2] == 1.0


def test_one_attack_that_is_stronger_on_every_image_has_the_least_p_there_is():
    labelled = np.full((7, 1, 2), 10)
    weak = np.stack([labelled - 1, labelled, labelled], 2)
    strong = np.stack([labelled - np.arange(2, 9)[:, None, None], labelled, labelled], 2)
    assert permutation_test(weak, strong, []).tolist() == [2 / 2**7]


def test_attacks_that_are_the_same_cannot_be_told_apart():
    cells = drawn_cells(images=8)
    ours = stacked(cells, "pgd", TRANSFER)
    assert permutation_test(ours, ours, [0, 1]).tolist() == [1.0, 1.0, 1.0]


def test_drawn_swaps_come_near_all_of_them_and_are_the_same_every_time(monkeypatch):
    cells = drawn_cells(seed=4, images=11)
    ours, theirs = (stacked(cells, attack, TRANSFER) for attack in ("pgd", "transegpgd"))
    exact = permutation_test(ours, theirs, [0, 1])
    monkeypatch.setattr(paired_tests, "PERMUTATIONS", 1999)
    found = permutation_test(ours, theirs, [0, 1])
    assert np.abs(found - exact).max() < 0.05
    assert (found * 2000 % 1 < 1e-9).all()
    assert (found != exact).any()
    assert np.array_equal(permutation_test(ours, theirs, [0, 1]), found)
    assert found.min() >= 1 / 2000


def test_a_pair_without_any_valid_pixel_has_no_p():
    nothing = np.zeros((4, 1, 3, 2), dtype=int)
    assert math.isnan(permutation_test(nothing, nothing, [])[0])


def test_equal_attacks_are_told_apart_about_as_seldom_as_the_level_says():
    rng, seldom = np.random.default_rng(0), []
    for _ in range(120):
        cells = drawn_cells(seed=rng.integers(2**31), images=8)
        both = (stacked(cells, attack, TRANSFER) for attack in ("pgd", "transegpgd"))
        seldom.append(permutation_test(*both, [0, 1])[-1] < 0.05)
    assert np.mean(seldom) < 0.12
