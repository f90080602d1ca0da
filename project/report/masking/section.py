"""The checks as the report has them: a section of the page, and files beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from project.report.masking.attack_outcome import board_of
from project.report.masking.check import ORDER, Finding, Verdict, write_findings
from project.report.masking.checks_alone import CONFIGS, MOST_ZERO, REACHED, gradients, unbounded
from project.report.masking.checks_between import ALPHA, CONTESTS, MARGIN, Contest, StrengthTest
from project.report.numbers import percent
from project.report.run import Run
from project.statistics.paired_tests import holm
from project.storage import layout

NOTE = (
    "A victim is robust only if attacks that follow its gradient fail for want of a better "
    "direction, not for want of a gradient. Attacks are compared on the same images by the exact "
    f"sign test; a lead is flagged from {percent(MARGIN)} on and below p = {ALPHA} after Holm's "
    f"correction for all comparisons of the run. Without a bound {percent(REACHED['images'])} "
    f"must fall (of pixels {percent(REACHED['pixels'])}), and at most {percent(MOST_ZERO)} of an "
    "attack's steps may find a gradient of zeros, none one that is no number. Checks that are "
    "passed do not prove robustness."
)
_UNTOLD = (
    f"This run does not tell what its attacks are (an older version wrote {layout.FACTS}), so "
    "attacks cannot be compared with one another: run attack.py again; stored images are not "
    "made twice."
)


@dataclass(frozen=True)
class MaskingSection:
    """The section's content, which the page shows and files beside it hold.

    Attributes:
        findings: flagged ones first.
        note: what the verdicts rest on.
    """

    findings: list[Finding]
    note: str

    @property
    def by_verdict(self) -> dict[Verdict, list[Finding]]:
        """The findings by verdict, flagged ones first; only verdicts that there are."""
        return {
            verdict: found
            for verdict in ORDER
            if (found := [one for one in self.findings if one.verdict == verdict])
        }

    @property
    def summary(self) -> str:
        """The number of checks by verdict, in words."""
        return " · ".join(f"{len(found)} {name}" for name, found in self.by_verdict.items())

    def write(self, folder: Path, command: str | None) -> None:
        """Write masking.csv and masking.md.

        Args:
            folder: the run's.
            command: that made the run, for the head of masking.md.
        """
        write_findings(folder, self.findings, self.note, command)


def masking_section(run: Run) -> MaskingSection | None:
    """Check a run's victims; None where none was attacked itself."""
    found = findings(run)
    note = NOTE if "attacks" in run.facts else f"{_UNTOLD} {NOTE}"
    return MaskingSection(found, note) if found else None


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


def _finding(contest: Contest, victim: str, compared: Sequence[StrengthTest]) -> Finding:
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


def _said(shown: Sequence[StrengthTest], compared: Sequence[StrengthTest]) -> str:
    """Give the figures of the comparison with the greatest lead."""
    one = max(shown, key=lambda one: (one.lead, -one.corrected))
    p = "p < 0.001" if one.corrected < 0.001 else f"p = {one.corrected:.3f}"
    among = f"; the greatest lead of {len(compared)} comparisons" if len(compared) > 1 else ""
    return f"{one.weaker}, {one.stronger} ({p}{among})"
