"""The rows that attacks are compared on: white box, images that the victim gets right when clean.

Names
    ATTACK           compared with the others in tables and tests
    FAMILY@BUDGET    one budget of a family, such as ``pgd@4`` or ``ssta@0.5``: a point of the
                     family's curve. The sign is safe in YAML, file names and CSV, and parts a name
                     once; the tables leave budgets out unless there is nothing else to compare.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from project.core.choices import choose
from project.core.errors import InputError
from project.core.yaml_files import parse_yaml
from project.report.comparison.published import method
from project.report.run import Row, Run, judged
from project.storage import layout


class ImageVictim(NamedTuple):
    """An image and the victim that was attacked on it and judges it."""

    image: int
    victim: str


@dataclass(frozen=True)
class WhiteBox:
    """White-box rows of attacks on the same victims.

    Attributes:
        attacks: their names, in the run's order.
        victims: those that every attack was made on.
        rows: by attack, then by pair.
        methods: by attack, see :func:`project.report.comparison.published.method`.
        metrics: columns of numbers that any row has.
    """

    attacks: list[str]
    victims: list[str]
    rows: dict[str, dict[ImageVictim, Row]]
    methods: dict[str, str]
    metrics: list[str]

    def fooled(self, attack: str) -> set[ImageVictim]:
        """Return the pairs that an attack fools."""
        return {pair for pair, row in self.rows[attack].items() if row["fooled"]}

    def matched(self, attacks: Sequence[str]) -> list[ImageVictim]:
        """Return the pairs that every one of some attacks fools, in order."""
        return sorted(set.intersection(*(self.fooled(attack) for attack in attacks)))

    def values(self, attack: str, metric: str, pairs: Sequence[ImageVictim]) -> NDArray[np.float64]:
        """Return a column at some pairs, NaN where a row lacks it."""
        rows = self.rows[attack]
        found = (rows[pair].get(metric) for pair in pairs)
        return np.array([np.nan if value is None else value for value in found], dtype=np.float64)

    def tabled(self) -> list[str]:
        """Return the attacks that the tables compare: those that are no budget of a family."""
        plain = [attack for attack in self.attacks if family(attack)[1] is None]
        return plain if len(plain) > 1 else self.attacks

    def reference(self, named: str | None) -> str:
        """Return the attack that the others are tested against.

        Args:
            named: which; None is the first that is an SSTA, else the first.

        Raises:
            ValueError: if it is none of the attacks that the tables compare.
        """
        attacks = self.tabled()
        if named is None:
            return next((a for a in attacks if self.methods[a] == "ssta"), attacks[0])
        return choose("the reference", attacks, named)


def white_box(run: Run) -> WhiteBox | None:
    """Return what can be compared: None on segmentation, or with fewer than two attacks."""
    by_source = {key: found for key, found in run.white_box.items() if found}
    attacks = [a for a in run.attacks if any(attack == a for attack, _ in by_source)]
    victims = [v for v in run.victims if all((attack, v) in by_source for attack in attacks)]
    if run.task != "classification" or len(attacks) < 2 or not victims:
        return None
    rows = {
        attack: {
            ImageVictim(row["index"], victim): row
            for victim in victims
            for row in by_source[attack, victim]
            if judged(row)
        }
        for attack in attacks
    }
    settings = _settings(run)
    return WhiteBox(
        attacks=attacks,
        victims=victims,
        rows=rows,
        methods={attack: method(attack, settings.get(attack)) for attack in attacks},
        metrics=run.float_columns,
    )


def family(attack: str) -> tuple[str, str | None]:
    """Split an attack's name into its family and its budget, None without one."""
    name, sign, budget = attack.rpartition("@")
    return (name, budget) if sign and name and budget else (attack, None)


def _settings(run: Run) -> dict[str, Any]:
    """Return the attacks' settings from the config that run.json keeps; empty without one."""
    try:
        config = parse_yaml(run.facts.get("config") or "", layout.FACTS)
    except InputError:
        return {}
    found = config.get("attack") if isinstance(config, dict) else None
    attacks = found.get("attacks") if isinstance(found, dict) else None
    return attacks if isinstance(attacks, dict) else {}
