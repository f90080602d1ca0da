"""What a run tells of its attacks: how they search, how far, and how long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from project.report.run import Run

UNBOUNDED = 0.5
"""A maximum norm from which any image can be made mid-grey, so that nothing is left to be right
about (Carlini et al., 2019, section 5.1)."""


class Budget(NamedTuple):
    """A norm ball, the norm's name and its radius for images in [0, 1]."""

    norm: str
    eps: float

    @property
    def boundless(self) -> bool:
        """Whether it allows any image to be made mid-grey."""
        return self.norm == "linf" and self.eps >= UNBOUNDED

    def __str__(self) -> str:
        """Write it as the field does, the maximum norm in levels of 8 bits."""
        return f"{self.norm} {255 * self.eps:.4g}/255" if self.norm == "linf" else self._plain()

    def _plain(self) -> str:
        return f"{self.norm} {self.eps:.4g}"


@dataclass(frozen=True)
class Traits:
    """One attack of ``run.json["attacks"]``.

    Attributes:
        kind: ``gradient``, ``black_box``, ``flow``, ``ensemble`` or ``other``; empty if not told.
        method: the attack's class; empty if not told.
        steps: None where it has no fixed number.
        budget: None where it is no norm ball.
    """

    kind: str = ""
    method: str = ""
    steps: int | None = None
    budget: Budget | None = None

    def __str__(self) -> str:
        """Return the budget and the number of steps, as far as they are told."""
        steps = "" if self.steps is None else f"{self.steps} step{'s' * (self.steps != 1)}"
        return ", ".join(filter(None, [str(self.budget or ""), steps]))


def traits_of(run: Run) -> dict[str, Traits]:
    """Return the traits by attack; runs of before they were kept have none."""
    return {name: _traits(told) for name, told in (run.facts.get("attacks") or {}).items()}


def _traits(told: dict[str, str | float | int]) -> Traits:
    norm, eps = told.get("norm"), told.get("eps")
    known = norm is not None and eps is not None
    return Traits(
        kind=str(told.get("kind", "")),
        method=str(told.get("method", "")),
        steps=int(told["steps"]) if "steps" in told else None,
        # Rounded, so that 8/255 and 2 · 4/255 are one budget.
        budget=Budget(str(norm), round(float(eps or 0), 9)) if known else None,
    )
