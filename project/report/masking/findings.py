"""All checks of a run, and what came of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from project.report.masking.absolutes import CONFIGS, gradients, unbounded
from project.report.masking.comparison import Comparison
from project.report.masking.contests import CONTESTS, Contest
from project.report.masking.finding import ORDER, Finding
from project.report.masking.outcome import board_of
from project.report.run import Run
from project.statistics.paired_tests import holm


def findings(run: Run) -> list[Finding]:
    """Return a finding per check and attacked victim, flagged ones first."""
    board = board_of(run)
    contests = {
        (contest, victim): list(contest.find(board, victim))
        for contest in CONTESTS
        for victim in board.victims
    }
    corrected = iter(holm([one.p for compared in contests.values() for one in compared]))
    found = [
        _finding(contest, victim, [replace(one, corrected=next(corrected)) for one in compared])
        for (contest, victim), compared in contests.items()
    ]
    for victim in board.victims:
        found += [unbounded(board, victim), gradients(run, victim)]
    return sorted(found, key=lambda one: ORDER.index(one.verdict))


def _finding(contest: Contest, victim: str, compared: Sequence[Comparison]) -> Finding:
    """Sum up the comparisons of one check on one victim by the one that says most."""
    if not compared:
        said = f"needs {contest.needs}"
        return Finding(contest.name, victim, "not checked", said, f"{CONFIGS} has them.")
    if flagged := [one for one in compared if one.flagged]:
        said = f"{contest.flaw}: {_said(flagged, compared)}"
        return Finding(contest.name, victim, "flagged", said, contest.advice)
    if undecided := [one for one in compared if one.undecided]:
        said = f"too few images to tell whether {contest.health}: {_said(undecided, compared)}"
        return Finding(contest.name, victim, "not checked", said, "Attack more images.")
    said = f"{contest.health}: {_said(compared, compared)}"
    return Finding(contest.name, victim, "passed", said)


def _said(shown: Sequence[Comparison], compared: Sequence[Comparison]) -> str:
    """Give the figures of the comparison with the greatest lead."""
    one = max(shown, key=lambda one: (one.lead, -one.corrected))
    p = "p < 0.001" if one.corrected < 0.001 else f"p = {one.corrected:.3f}"
    among = f"; the greatest lead of {len(compared)} comparisons" if len(compared) > 1 else ""
    return f"{one.weaker}, {one.stronger} ({p}{among})"
