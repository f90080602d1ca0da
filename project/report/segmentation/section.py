"""The comparison of attacks on segmenters as the report has it: tables, and files beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from project.report.comparison.files import write_markdown
from project.report.comparison.tables import Table
from project.report.run import Run
from project.report.segmentation.contrast import Contrast, contrasts
from project.report.segmentation.files import write_numbers
from project.report.segmentation.means import Mean, means
from project.report.segmentation.pairs import Judged, judged
from project.report.segmentation.tables import (
    matrix_table,
    mean_table,
    overall_table,
    pair_table,
)


@dataclass(frozen=True)
class TransferSection:
    """What is shown, and written beside the page.

    Attributes:
        data: what is compared.
        reference: the attack that the others are tested against.
        means: over pairs.
        overall: contrasts of means over transfer pairs.
        by_pair: contrasts of each pair.
    """

    data: Judged
    reference: str
    means: list[Mean]
    overall: list[Contrast]
    by_pair: list[Contrast]

    @property
    def tables(self) -> list[Table]:
        """The tables that have rows."""
        made = (
            mean_table(self.data, self.means),
            overall_table(self.data, self.overall, self.reference),
            pair_table(self.data, self.by_pair, self.reference),
        )
        return [table for table in made if table.rows and table.columns]

    def write(self, folder: Path, command: str | None) -> None:
        """Write transfer.csv and transfer.md.

        Args:
            folder: the run's.
            command: that made the run, for the head of transfer.md.
        """
        found = [*self.overall, *self.by_pair]
        write_numbers(folder / "transfer.csv", self.data, self.means, found, self.reference)
        matrices = [matrix_table(self.data, attack) for attack in self.data.attacks]
        write_markdown(folder / "transfer.md", [*self.tables, *matrices], command)


def transfer_section(run: Run, reference: str | None = None) -> TransferSection | None:
    """Compare a run's attacks on segmenters; None where rows have no counts by class.

    Args:
        run: the run.
        reference: the attack that the others are tested against; None is the first TranSegPGD.

    Raises:
        ValueError: if the reference is none of the attacks, or there is nothing to compare.
    """
    data = judged(run)
    if data is None:
        if reference is not None:
            raise ValueError(
                "a comparison of attacks on segmenters needs rows with counts of pixels by class, "
                "and this run has none. Run attack.py again, or leave the reference out."
            )
        return None
    chosen = data.reference(reference)
    overall, by_pair = contrasts(data, chosen)
    return TransferSection(data, chosen, means(data), overall, by_pair)
