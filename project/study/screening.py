"""Screening: only raters who pass the attention checks count."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from project.core.errors import InputError
from project.study.answers import Judgement

MINIMUM = 0.75
"""Least share of attention checks that a rater must get right [ours]."""


class Screened(NamedTuple):
    """A rater and their attention checks.

    Attributes:
        rater: anonymous.
        passed: checks answered right.
        checks: checks that were shown; one that ran out of time is not passed.
        accepted: whether the rater counts.
    """

    rater: str
    passed: int
    checks: int
    accepted: bool


def screened(
    found: Sequence[Judgement], has_checks: bool, minimum: float = MINIMUM
) -> list[Screened]:
    """Return every rater that answered anything, by id.

    Who saw no check is not accepted: nothing shows that they looked. In a study without checks all
    are.

    Args:
        found: all judgements.
        has_checks: whether the study has checks.
        minimum: share of the checks to get right, 0 … 1.

    Raises:
        InputError: if the minimum is no share.
    """
    if not 0 <= minimum <= 1:
        raise InputError(
            f"--minimum is a share of the attention checks, 0 … 1, got {minimum}. Give for example "
            f"{MINIMUM}."
        )
    raters = sorted({one.rater for one in found})
    return [_screened(rater, found, has_checks, minimum) for rater in raters]


def _screened(rater: str, found: Sequence[Judgement], has_checks: bool, minimum: float) -> Screened:
    checks = [one for one in found if one.rater == rater and one.target.is_check]
    passed = sum(one.modified is one.target.modified for one in checks)
    good = passed >= minimum * len(checks) if checks else not has_checks
    return Screened(rater, passed, len(checks), good)
