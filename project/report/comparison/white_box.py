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
from typing import Any

import numpy as np
from numpy.typing import NDArray

from project.core.choices import choose
from project.core.errors import InputError
from project.core.yaml_files import parse_yaml
from project.report.comparison.published import method
from project.report.run import Run
from project.report.run_rows import Indices, RunRows, of_images
from project.statistics.bootstrap import Floats
from project.storage import layout

Chosen = NDArray[np.bool_]
"""Some of all pairs of an image and the victim that was attacked on it and judges it, as a mask
(images, victims). In order, they are by image and then by the victim's name."""


@dataclass(frozen=True)
class WhiteBox:
    """White-box rows of attacks on the same victims.

    Attributes:
        attacks: their names, in the run's order.
        victims: those that every attack was made on, in the run's order.
        images: (I,), ids of all images, ascending: the first axis of masks.
        judged: by attack the pairs that count: right when clean, and with a prediction now.
        fooled: by attack those of them that it fools.
        methods: by attack, see :func:`project.report.comparison.published.method`.
        metrics: columns of numbers that any row has.
        results: the run's rows.
    """

    attacks: list[str]
    victims: list[str]
    images: Indices
    judged: dict[str, Chosen]
    fooled: dict[str, Chosen]
    methods: dict[str, str]
    metrics: list[str]
    results: RunRows

    @property
    def by_name(self) -> list[str]:
        """The victims by name: the second axis of masks."""
        return sorted(self.victims)

    def matched(self, attacks: Sequence[str]) -> Chosen:
        """Return the pairs that every one of some attacks fools."""
        found: Chosen = np.logical_and.reduce([self.fooled[attack] for attack in attacks])
        return found

    def values(self, attack: str, metrics: Sequence[str]) -> Floats:
        """Return columns of all pairs, (images, victims, K), NaN where a row lacks one or is none.

        Args:
            attack: whose.
            metrics: K columns.
        """
        found = np.full((len(self.images), len(self.victims), len(metrics)), np.nan)
        for place, victim in enumerate(self.by_name):
            columns = self.results.columns(metrics, (attack, victim, victim))
            at = np.searchsorted(self.images, columns.index)
            for k, metric in enumerate(metrics):
                found[at, place, k] = columns[metric]
        return found

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
    there = {pair for pair in run.white_box if run.results.count((*pair, pair[1]))}
    attacks = [a for a in run.attacks if any(attack == a for attack, _ in there)]
    victims = [v for v in run.victims if all((attack, v) in there for attack in attacks)]
    if run.task != "classification" or len(attacks) < 2 or not victims:
        return None
    keys = [(attack, victim, victim) for attack in attacks for victim in victims]
    images = of_images(run.results.columns((), key).index for key in keys)
    judged, fooled = (
        {attack: np.zeros((len(images), len(victims)), bool) for attack in attacks}
        for _ in range(2)
    )
    for attack in attacks:
        for place, victim in enumerate(sorted(victims)):
            found = run.results.columns(("clean_correct", "fooled"), (attack, victim, victim))
            at = np.searchsorted(images, found.index)
            counts = (found["clean_correct"] > 0) & ~np.isnan(found["fooled"])
            judged[attack][at, place] = counts
            fooled[attack][at, place] = counts & (found["fooled"] > 0)
    settings = _settings(run)
    return WhiteBox(
        attacks=attacks,
        victims=victims,
        images=images,
        judged=judged,
        fooled=fooled,
        methods={attack: method(attack, settings.get(attack)) for attack in attacks},
        metrics=run.results.float_columns,
        results=run.results,
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
