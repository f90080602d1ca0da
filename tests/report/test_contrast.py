"""Paired contrasts: Holm's correction, and who is ahead."""

import math

import pytest

from project.report.contrast import PairedContrast, ahead_by, corrected
from project.statistics.paired_tests import holm


def contrast(p, ahead="reference"):
    return PairedContrast(attack="pgd", ahead=ahead, p=p)


@pytest.mark.parametrize(
    ("lead", "ahead"),
    [(0.1, "reference"), (-3, "other"), (0, "neither"), (0.0, "neither"), (math.nan, "neither")],
)
def test_who_leads_is_ahead(lead, ahead):
    assert ahead_by(lead) == ahead


def test_who_is_ahead_wins_only_where_the_test_shows_it_after_correction():
    assert contrast(0.001).winner == "neither"  # not corrected yet
    found = corrected([contrast(0.01), contrast(0.02, "other"), contrast(0.04), contrast(0.2)])
    assert [one.corrected for one in found] == pytest.approx([0.04, 0.06, 0.08, 0.2])
    assert [one.winner for one in found] == ["reference", "neither", "neither", "neither"]
    [alone] = corrected([contrast(0.02, "other")])
    assert alone.winner == "other"


def test_a_p_of_exactly_the_level_shows_nothing():
    [one] = corrected([contrast(0.05)])
    assert one.winner == "neither"


def test_what_could_not_be_tested_is_no_test_and_nobody_wins():
    found = corrected([contrast(math.nan), contrast(0.03)])
    assert math.isnan(found[0].corrected)
    assert found[0].winner == "neither"
    assert found[1].corrected == holm([math.nan, 0.03])[1] == 0.03
    assert corrected([]) == []
