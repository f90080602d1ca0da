"""What a check has found on one victim."""

from __future__ import annotations

from typing import Literal, NamedTuple

Verdict = Literal["flagged", "not checked", "passed"]
ORDER: tuple[Verdict, ...] = ("flagged", "not checked", "passed")
"""As findings are shown, what matters most first."""


class Finding(NamedTuple):
    """One line of masking.csv.

    Attributes:
        check: its name.
        victim: the victim that was attacked.
        verdict: what came of it.
        sentence: the same in words, with its figures.
        advice: what to run next; empty where the check was passed.
    """

    check: str
    victim: str
    verdict: Verdict
    sentence: str
    advice: str = ""
