"""The two designs: what a page asks, shows, and takes for an answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from project.core.errors import InputError
from project.study.settings import DesignName, Settings
from project.study.stimulus_kind import CLEAN, IDENTICAL, OBVIOUS, REFERENCE, Panel

MOST_CANDIDATES = 4


class Design(ABC):
    """A way to ask what people see.

    A page holds one reference, the clean image, and one or more targets, each of which is judged
    modified or not.

    Attributes:
        name: also of its template.
        heading: of the study's pages; it must not tell what is asked for.
        question: on every page.
        checks: the targets that test attention, dealt in turn.
    """

    name: ClassVar[DesignName]
    heading: ClassVar[str]
    question: ClassVar[str]
    checks: ClassVar[tuple[Panel, ...]]

    @abstractmethod
    def targets(self, attacks: Sequence[str]) -> list[Panel]:
        """Return what an image can be shown as."""

    @abstractmethod
    def candidates(self, settings: Settings) -> int:
        """Return how many targets a page has.

        Raises:
            InputError: if the settings ask for what the design cannot show.
        """

    @abstractmethod
    def arranged(
        self, pages: Sequence[Sequence[Panel]], rng: np.random.Generator
    ) -> list[list[Panel]]:
        """Return the panels of a rater's pages from left to right, references included.

        Args:
            pages: the targets of each.
            rng: of the rater.
        """

    @abstractmethod
    def verdicts(self, panels: Sequence[Panel], form: Mapping[str, str]) -> dict[int, bool]:
        """Return which targets a form judges modified, by place; those not judged are absent."""


class SameAsLeft(Design):
    """SSTA's user study: the clean image at the left, and up to four others, each same or not.

    Source: the question, and two to five images of which the left one is clean and the others are
    adversarial examples of several methods or the clean image itself [paper]; one answer for each
    of the others [ours], which the paper leaves open.
    """

    name = "paper"
    heading = "Same or different?"
    question = "Are the images on the right the same as the left?"
    checks = (OBVIOUS, IDENTICAL)

    def targets(self, attacks: Sequence[str]) -> list[Panel]:
        """Return the attacks and the hidden control."""
        return [*(Panel("attack", attack) for attack in attacks), CLEAN]

    def candidates(self, settings: Settings) -> int:
        """Return the number asked for, or one for each attack and at most four."""
        count = settings.candidates or min(MOST_CANDIDATES, len(settings.attacks))
        if count > min(MOST_CANDIDATES, len(settings.attacks) + 1):
            raise InputError(
                f"candidates must be at most {MOST_CANDIDATES}, and at most the number of attacks "
                f"plus the clean image, got {count} for {len(settings.attacks)}. Give fewer."
            )
        return count

    def arranged(
        self, pages: Sequence[Sequence[Panel]], rng: np.random.Generator
    ) -> list[list[Panel]]:
        """Put the reference at the left, and the targets in an order drawn for each page."""
        return [
            [REFERENCE, *(targets[k] for k in rng.permutation(len(targets)))] for targets in pages
        ]

    def verdicts(self, panels: Sequence[Panel], form: Mapping[str, str]) -> dict[int, bool]:
        """Read ``panel-1`` … as ``same`` or ``different``."""
        given = {slot: form.get(f"panel-{slot}") for slot in range(1, len(panels))}
        return {
            slot: said == "different"
            for slot, said in given.items()
            if said in ("same", "different")
        }


class TwoAlternatives(Design):
    """Two-alternative forced choice: a clean image and its modified copy; which is modified?

    Source: Macmillan & Creelman, "Detection Theory", 2nd ed. 2005, ch. 7, for the design.
    """

    name = "2afc"
    heading = "Which one was changed?"
    question = "One of these two images was modified. Which one?"
    checks = (OBVIOUS,)

    def targets(self, attacks: Sequence[str]) -> list[Panel]:
        """Return the attacks: a pair of equal images has no right answer."""
        return [Panel("attack", attack) for attack in attacks]

    def candidates(self, settings: Settings) -> int:
        """Return 1."""
        if settings.candidates > 1:
            raise InputError(
                f"a page of 2afc shows one candidate, got {settings.candidates}. Leave it out."
            )
        return 1

    def arranged(
        self, pages: Sequence[Sequence[Panel]], rng: np.random.Generator
    ) -> list[list[Panel]]:
        """Put the modified image at the left on half of the pages, give or take one, in any order.

        Who always picks one side is then right half of the time, and no more.
        """
        sides = (np.arange(len(pages)) + rng.integers(2)) % 2
        return [
            [target, REFERENCE] if side else [REFERENCE, target]
            for (target,), side in zip(pages, rng.permutation(sides), strict=True)
        ]

    def verdicts(self, panels: Sequence[Panel], form: Mapping[str, str]) -> dict[int, bool]:
        """Read ``modified`` as the place of the picture chosen."""
        if form.get("modified") not in ("0", "1"):
            return {}
        return {
            slot: form["modified"] == str(slot)
            for slot, panel in enumerate(panels)
            if panel != REFERENCE
        }


DESIGNS: dict[DesignName, Design] = {one.name: one for one in (SameAsLeft(), TwoAlternatives())}
