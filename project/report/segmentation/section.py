"""The comparison of attacks on segmenters: a section of the page, and files beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from project.report.run import Run
from project.report.segmentation.compare import (
    METRICS,
    MiouContrast,
    PairMean,
    contrasts,
    means,
)
from project.report.segmentation.pairs import TransferData, transfer_data
from project.report.segmentation.tables import (
    matrix_table,
    mean_table,
    overall_table,
    pair_table,
)
from project.report.tables import Table, write_markdown, write_numbers
from project.storage import layout


@dataclass(frozen=True)
class TransferSection:
    """The section's content, which the page shows and files beside it hold.

    Attributes:
        data: what is compared.
        reference: the attack that the others are tested against.
        means: over pairs.
        overall: contrasts of means over transfer pairs.
        by_pair: contrasts of each pair.
    """

    data: TransferData
    reference: str
    means: list[PairMean]
    overall: list[MiouContrast]
    by_pair: list[MiouContrast]

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
        write_numbers(folder / layout.TRANSFER, TransferRow._fields, self._rows())
        matrices = [matrix_table(self.data, attack) for attack in self.data.attacks]
        write_markdown(folder / layout.TRANSFER_TEXT, [*self.tables, *matrices], command)

    def _rows(self) -> Iterator[TransferRow]:
        contrasted = [*self.overall, *self.by_pair]
        for rows in (
            _cells(self.data),
            _means(self.means),
            _contrasts(contrasted, self.reference, self.data),
        ):
            for row in rows:
                yield row._replace(images=self.data.images)


def transfer_section(run: Run, reference: str | None = None) -> TransferSection | None:
    """Compare a run's attacks on segmenters; None where rows have no counts by class.

    Args:
        run: the run.
        reference: the attack that the others are tested against; None is the first TranSegPGD.

    Raises:
        ValueError: if the reference is none of the attacks, or there is nothing to compare.
    """
    data = transfer_data(run)
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


class TransferRow(NamedTuple):
    """One number of transfer.csv.

    Attributes:
        table: cell, mean or contrast.
        attack: its name; empty for a clean cell.
        reference: what a contrast is against, else empty.
        source: ``transfer`` or ``white box`` where pairs of that kind are averaged.
        victim: ``all`` likewise.
        metric: miou, miou_drop or fooled_pixels; of a contrast, the other's minus the reference's.
        value: in [0, 1], a contrast in [-1, 1].
        low: lower end of the 95 % interval.
        high: upper end.
        pairs: of source and victim, that the value is of.
        images: that it is counted on.
        p: of the permutation test.
        p_holm: corrected for all attacks, or of single pairs for all attacks and pairs.
    """

    table: str
    attack: str
    reference: str
    source: str
    victim: str
    metric: str
    value: float
    low: float | None = None
    high: float | None = None
    pairs: int = 1
    images: int | None = None
    p: float | None = None
    p_holm: float | None = None


def _cells(data: TransferData) -> Iterator[TransferRow]:
    wanted = (*METRICS, "clean_miou")
    for measure in data.run.measures:
        if measure.metric in wanted:
            attack, source, victim, metric, value, low, high, *_ = measure
            yield TransferRow("cell", attack, "", source, victim, metric, value, low, high)


def _means(found: Sequence[PairMean]) -> Iterator[TransferRow]:
    for one in found:
        line = TransferRow("mean", one.attack, "", one.group, "all", one.metric, *one.estimate)
        yield line._replace(pairs=one.pairs)


def _contrasts(
    found: Sequence[MiouContrast], reference: str, data: TransferData
) -> Iterator[TransferRow]:
    for one in found:
        source, victim = one.pair or ("transfer", "all")
        line = TransferRow(
            "contrast", one.attack, reference, source, victim, "miou", *one.difference
        )
        pairs = 1 if one.pair else len(data.transfer)
        yield line._replace(pairs=pairs, p=one.p, p_holm=one.corrected)
