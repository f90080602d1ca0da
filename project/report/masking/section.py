"""The checks as the report has them: a section of the page, and files beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from project.report.masking.absolutes import MOST_ZERO, REACHED
from project.report.masking.comparison import ALPHA, MARGIN
from project.report.masking.files import write_findings
from project.report.masking.finding import ORDER, Finding, Verdict
from project.report.masking.findings import findings
from project.report.numbers import percent
from project.report.run import Run

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
    "This run does not tell what its attacks are (an older version wrote run.json), so attacks "
    "cannot be compared with one another: run attack.py again; stored images are not made twice."
)


@dataclass(frozen=True)
class MaskingSection:
    """What is shown, and written beside the page.

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
        """How many checks came to which verdict."""
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
