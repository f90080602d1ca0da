"""The passes of an experiment over its data set: one on clean images, one per (attack, source)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from project.core.errors import InputError
from project.core.yaml_keys import require_text_keys


class Pass(NamedTuple):
    """One pass over the data set.

    Attributes:
        attack: name of the attack, empty for the pass on clean images.
        source: name of the victim attacked, likewise.
    """

    attack: str
    source: str

    @property
    def clean(self) -> bool:
        """Whether this is the pass on clean images."""
        return not self.attack

    def __str__(self) -> str:
        return "clean" if self.clean else f"{self.attack} on {self.source}"


CLEAN = Pass("", "")


def plan_passes(
    attacks: Collection[str], victims: Collection[str], sources: Sequence[str] | None
) -> list[Pass]:
    """List the passes, clean images first: only a victim that was right before can be fooled.

    Args:
        attacks: names of the attacks.
        victims: names of the victims.
        sources: names of the victims to attack; None is every one.

    Raises:
        ValueError: if a source is no victim or given twice, the list is empty, or a victim's name
            is none.
    """
    require_text_keys("victims", victims)
    unknown = [source for source in sources or () if source not in victims]
    if unknown:
        raise InputError(
            f"source {', '.join(map(repr, unknown))} is not among the victims: {', '.join(victims)}"
        )
    if sources is not None and not 0 < len(sources) == len(set(sources)):
        raise InputError(
            "sources must be at least one victim, each once, got "
            f"{', '.join(map(str, sources)) or 'none'}. Leave sources out to attack every victim."
        )
    chosen = victims if sources is None else sources
    return [CLEAN, *(Pass(attack, source) for attack in attacks for source in chosen)]
