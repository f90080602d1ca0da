"""Pairs of source and victim that every attack has, with their pixel counts image by image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from project.core.choices import choose
from project.report.masking.attack_outcome import Traits, traits_of
from project.report.run import Run
from project.statistics.bootstrap import Floats
from project.statistics.miou import Counts
from project.storage import layout


class SourceVictim(NamedTuple):
    """A source and the victim that judges its images."""

    source: str
    victim: str


@dataclass(frozen=True)
class TransferData:
    """Attacks that were made on the same sources and judged on the same images.

    Attributes:
        run: the run.
        attacks: their names, in the run's order.
        pairs: white box and transfer, those that every attack has, in the run's order; a victim
            that only shares a network with the source is neither.
        images: how many different ones.
    """

    run: Run
    attacks: list[str]
    pairs: list[SourceVictim]
    images: int

    @property
    def transfer(self) -> list[SourceVictim]:
        """The pairs whose victim shares no network with the source."""
        return [pair for pair in self.pairs if pair.source != pair.victim]

    @property
    def white_box(self) -> list[SourceVictim]:
        """The pairs whose victim is the source."""
        return [pair for pair in self.pairs if pair.source == pair.victim]

    def columns(self, attack: str, pairs: Sequence[SourceVictim]) -> Floats:
        """Return all counts, (images, pairs, 6 K + 2), to sum and to score."""
        return np.stack([self.run.cells[attack, *pair].columns for pair in pairs], 1)

    def counts(self, attack: str, pairs: Sequence[SourceVictim]) -> Counts:
        """Return the counts of the adversarial images, (images, pairs, 3, K)."""
        return np.stack([self.run.cells[attack, *pair].adversarial for pair in pairs], 1)

    def reference(self, named: str | None) -> str:
        """Return the attack that the others are tested against.

        Args:
            named: which; None is the first TranSegPGD, else the last.

        Raises:
            ValueError: if it is none of the attacks.
        """
        if named is None:
            return next(filter(self._is_transegpgd, self.attacks), self.attacks[-1])
        return choose("the reference", self.attacks, named)

    def _is_transegpgd(self, attack: str) -> bool:
        """Tell by the attack's class; by its name in runs of before the class was kept."""
        method = traits_of(self.run).get(attack, Traits()).method or attack
        return "transegpgd" in "".join(filter(str.isalnum, method)).lower()


def transfer_data(run: Run) -> TransferData | None:
    """Return what can be compared, None in a run without counts by class."""
    attacks = [attack for attack in run.attacks if any(key[0] == attack for key in run.cells)]
    pairs = [
        SourceVictim(source, victim)
        for source in (run.sources(attacks[0]) if attacks else [])
        for victim in run.victims
        if source == victim or run.transfers(source, victim)
        if all((attack, source, victim) in run.cells for attack in attacks)
    ]
    if not pairs:
        return None
    indices = [run.cells[attack, *pair].index for attack in attacks for pair in pairs]
    if any(not np.array_equal(index, indices[0]) for index in indices):
        raise ValueError(
            f"every victim must have judged the same images; {layout.ROWS} is not whole."
        )
    return TransferData(run, attacks, pairs, len(indices[0]))
