"""How much of what a victim gets right each attack fools, image by image."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from project.report.run import Run
from project.report.run_rows import Columns, Indices

COUNTED = (
    *("clean_correct", "fooled"),
    *("fooled_pixels", "clean_correct_pixels", "judged_pixels"),
)
"""Columns that :func:`counted` asks for."""


class Count(NamedTuple):
    """How much is right when clean (the image, or its pixels), and how much of that is fooled."""

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
        index: (N,), the images' ids, ascending.
        fooled: (N,), how much of each image is fooled.
        right: (N,), how much of each is right when clean, 0 where it does not count.
        unit: what is counted, ``images`` or ``pixels``.
    """

    attack: str
    source: str
    victim: str
    traits: Traits
    index: Indices
    fooled: NDArray[Any]
    right: NDArray[Any]
    unit: str

    @cached_property
    def total(self) -> Count:
        """The sum over all images."""
        return Count(int(self.fooled[self.right > 0].sum()), int(self.right.sum()))

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
class Outcomes:
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


def board_of(run: Run) -> Outcomes:
    """Count a run's rows."""
    traits, unit = traits_of(run), "pixels" if run.task == "segmentation" else "images"
    found, index = [], np.zeros(0, np.int64)
    for key in run.results.groups:
        attack, source, victim = key
        if source != victim and not run.transfers(source, victim):
            continue
        columns = run.results.columns(COUNTED, key)
        # Nearly all groups are of the same images, whose ids are kept once.
        index = index if np.array_equal(index, columns.index) else columns.index
        fooled, right = counted(columns, run.results.is_segmented(key))
        if right.any():
            own = traits.get(attack, Traits())
            found.append(Outcome(attack, source, victim, own, index, fooled, right, unit))
    order = {victim: place for place, victim in enumerate(run.victims)}
    return Outcomes(sorted(found, key=lambda one: order[one.victim]))


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


def counted(found: Columns, segmented: bool) -> tuple[NDArray[Any], NDArray[Any]]:
    """Count the rows of a group, of a classifier the image and of a segmenter its pixels.

    What has no prediction, clean or now, is not right, so it stands in no comparison.

    Args:
        found: the columns of :data:`COUNTED`.
        segmented: whether a segmenter judged them.

    Returns:
        How much is fooled, and how much is right when clean, (N,) each.
    """
    if not segmented:
        judged = (found["clean_correct"] > 0) & ~np.isnan(found["fooled"])
        return found["fooled"] > 0, judged
    told = found["judged_pixels"]
    right = np.where(np.isnan(told), found["clean_correct_pixels"], told)
    return _whole(found["fooled_pixels"]), _whole(right)


def _whole(pixels: NDArray[Any]) -> NDArray[np.int64]:
    return np.where(np.isnan(pixels), 0.0, pixels).astype(np.int64)


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
