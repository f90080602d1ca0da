"""What an attack made of the images that a victim gets right."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from project.report.masking.traits import Budget, Traits, traits_of
from project.report.run import Row, Run


class Count(NamedTuple):
    """Of what is right when clean (the image, or its pixels), how much is wrong now."""

    fooled: int
    right: int


@dataclass(frozen=True)
class Outcome:
    """One attack, made on one source and judged by one victim.

    Attributes:
        attack: its name.
        source: the victim it was made on.
        victim: the victim that judges.
        traits: of the attack.
        counts: by image; only images of which something is right when clean.
        unit: what is counted, ``images`` or ``pixels``.
    """

    attack: str
    source: str
    victim: str
    traits: Traits
    counts: dict[int, Count]
    unit: str

    @cached_property
    def total(self) -> Count:
        """The sum over all images."""
        fooled, right = (sum(part) for part in zip(*self.counts.values(), strict=True))
        return Count(fooled, right)

    @property
    def share(self) -> float:
        """The share that is fooled, in [0, 1]."""
        return self.total.fooled / self.total.right

    def __str__(self) -> str:
        """Say which attack it is, and what it fooled."""
        made = "" if self.source == self.victim else f" made on {self.source}"
        traits = f" ({self.traits})" if str(self.traits) else ""
        fooled, right = self.total
        return f"{self.attack}{made}{traits} fools {fooled:,} of {right:,} {self.unit}"


@dataclass(frozen=True)
class Board:
    """All outcomes of a run that count: white box, and transfer between unrelated networks."""

    outcomes: list[Outcome]

    @property
    def victims(self) -> list[str]:
        """The victims that were attacked themselves, in the run's order."""
        return list(dict.fromkeys(one.victim for one in self.outcomes if one.source == one.victim))

    def white_box(self, victim: str, kind: str = "") -> list[Outcome]:
        """Return the attacks on a victim itself, of one kind or of any."""
        own = [one for one in self.outcomes if one.source == one.victim == victim]
        return [one for one in own if not kind or one.traits.kind == kind]

    def transferred(self, victim: str) -> list[Outcome]:
        """Return the attacks on other networks that a victim judges."""
        return [one for one in self.outcomes if one.victim == victim != one.source]


def board_of(run: Run) -> Board:
    """Count a run's rows."""
    traits, rows = traits_of(run), dict[tuple[str, str, str], list[Row]]()
    for row in run.rows:
        rows.setdefault((row["attack"], row["source"], row["victim"]), []).append(row)
    unit = "pixels" if run.task == "segmentation" else "images"
    found = [
        Outcome(attack, source, victim, traits.get(attack, Traits()), _counts(of), unit)
        for (attack, source, victim), of in rows.items()
        if source == victim or run.transfers(source, victim)
    ]
    order = {victim: place for place, victim in enumerate(run.victims)}
    counted = [one for one in found if one.counts]
    return Board(sorted(counted, key=lambda one: order[one.victim]))


def strongest(outcomes: Iterable[Outcome]) -> Outcome:
    """Return the outcome with the greatest share fooled, of equal ones that of most steps."""
    return max(outcomes, key=lambda one: (one.share, one.traits.steps or 0))


def by_budget(outcomes: Iterable[Outcome]) -> dict[Budget, list[Outcome]]:
    """Return the outcomes of attacks inside norm balls, by ball, the smallest first."""
    found: dict[Budget, list[Outcome]] = {}
    for one in outcomes:
        if one.traits.budget is not None:
            found.setdefault(one.traits.budget, []).append(one)
    return dict(sorted(found.items()))


def counted(row: Row) -> Count:
    """Count one row, of a classifier the image and of a segmenter its pixels."""
    if row["clean_correct"] is None:
        return Count(row["fooled_pixels"] or 0, row["clean_correct_pixels"] or 0)
    return Count(int(bool(row["fooled"])), int(row["clean_correct"]))


def _counts(rows: Iterable[Row]) -> dict[int, Count]:
    counts = {row["index"]: counted(row) for row in rows}
    return {index: count for index, count in counts.items() if count.right}
