"""Courses of the learning rate over a training, beside the three that have a name alone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from project.core.errors import InputError
from project.core.fields import CheckedFields


@dataclass(frozen=True)
class LearningRateSchedule(CheckedFields, ABC):
    """A factor of the learning rate, from the share of the optimiser's steps that are done."""

    @abstractmethod
    def factor(self, progress: float) -> float:
        """Return the factor.

        Args:
            progress: steps done ÷ all steps, in [0, 1].
        """


@dataclass(frozen=True)
class Piecewise(LearningRateSchedule):
    """A constant rate that is multiplied by ``gamma`` at each milestone.

    Milestones are shares of the training: of 200 epochs, 100 and 150 are ``[1/2, 3/4]``. The step
    that starts at a milestone has the new rate.
    """

    milestones: Sequence[float] = (0.5, 0.75)
    """Rising shares, each in (0, 1)."""
    gamma: float = 0.1
    """The factor, in (0, 1)."""

    def require_together(self) -> None:
        """Refuse milestones that do not rise inside the training, and rates that do not fall."""
        marks = [0.0, *self.milestones, 1.0]
        if not self.milestones or not all(a < b for a, b in pairwise(marks)):
            raise InputError(
                "Piecewise's milestones must rise inside (0, 1), as shares of the training, got "
                f"{list(self.milestones)}. For epoch 100 of 200 write 100/200."
            )
        if not 0 < self.gamma < 1:
            raise InputError(f"Piecewise's gamma must be in (0, 1), got {self.gamma}.")

    def factor(self, progress: float) -> float:
        """Return gamma to the power of the milestones that were reached."""
        return self.gamma ** sum(progress >= mark for mark in self.milestones)


@dataclass(frozen=True)
class Cyclic(LearningRateSchedule):
    """From zero up to the learning rate and back to zero, along two straight lines.

    Source: Smith, "Cyclical Learning Rates for Training Neural Networks", WACV 2017, one cycle, as
    in Wong et al., "Fast is better than free", ICLR 2020 [code].
    """

    peak: float = 0.5
    """Where the rate is highest, as a share of the training, in (0, 1)."""

    def require_together(self) -> None:
        """Refuse a peak that is not inside the training."""
        if not 0 < self.peak < 1:
            raise InputError(f"Cyclic's peak must be in (0, 1), got {self.peak}.")

    def factor(self, progress: float) -> float:
        """Return the height of a triangle whose top is 1."""
        return min(progress / self.peak, (1 - progress) / (1 - self.peak))


@dataclass(frozen=True)
class Polynomial(LearningRateSchedule):
    r"""$$(1 - t)^p$$, which segmentation calls poly.

    Source: Chen et al., "DeepLab", TPAMI 2018, section 4.1.2, with p = 0.9 [paper].
    """

    power: float = 0.9
    """p, greater than 0."""

    def require_together(self) -> None:
        """Refuse a rate that does not fall."""
        if not self.power > 0:
            raise InputError(f"Polynomial's power must be greater than 0, got {self.power}.")

    def factor(self, progress: float) -> float:
        """Return (1 - progress) to the power p."""
        return float((1 - progress) ** self.power)
