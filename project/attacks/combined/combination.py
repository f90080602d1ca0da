"""Base class of attacks that are composed of others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any, Self

from project.attacks.core.attack import Attack, Traits
from project.core.errors import InputError
from project.core.samples import Samples


class Combination(Attack):
    """An attack composed of others in its fields, from which it takes target, seed and budgets."""

    @property
    def members(self) -> tuple[Attack, ...]:
        """The attacks in its fields, in the fields' order."""
        held = [getattr(self, field.name) for field in fields(self)]  # type: ignore[arg-type]
        return tuple(attack for value in held for attack in _attacks_in(value))

    @property
    def targeted(self) -> bool:  # type: ignore[override]
        """Whether its attacks are targeted, which all or none are."""
        return self.members[0].targeted

    @property
    def seed(self) -> int:  # type: ignore[override]
        """The seed of the first attack."""
        return self.members[0].seed

    def attach(self, samples: Samples) -> None:
        """Give all attacks access to the samples."""
        for attack in self.members:
            attack.attach(samples)

    def reseeded(self, seed: int) -> Self:
        """Return the same combination with another seed for all its attacks."""
        return self._with_each(lambda attack: attack.reseeded(seed))

    def scaled(self, factor: float) -> Self:
        """Return the same combination with all budgets and step sizes multiplied by ``factor``."""
        return self._with_each(lambda attack: attack.scaled(factor))

    def _with_each(self, change: Callable[[Attack], Attack]) -> Self:
        """Return the same combination with a change applied to each attack."""
        changed: dict[str, Any] = {}
        for field in fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if isinstance(value, Attack):
                changed[field.name] = change(value)
            elif _attacks_in(value):
                changed[field.name] = [change(attack) for attack in value]
        return self._replaced(**changed)


def traits_around(wrapper: Attack, attack: Attack) -> Traits:
    """Return the traits of an attack inside of another one, with its method in brackets."""
    traits = attack.traits()
    return traits | {"method": f"{wrapper.name}({traits['method']})"}


def require_several(attack: Attack, members: Sequence[Attack]) -> None:
    """Refuse fewer attacks than two, and a mix of targeted and untargeted ones."""
    if len(members) < 2:
        raise InputError(f"{attack.name} needs at least two attacks, got {len(members)}.")
    if len({member.targeted for member in members}) > 1:
        raise InputError(f"{attack.name} needs attacks that are all targeted or all untargeted.")


def _attacks_in(value: Any) -> list[Attack]:
    if isinstance(value, Attack):
        return [value]
    if isinstance(value, list | tuple):
        return [one for one in value if isinstance(one, Attack)]
    return []
