"""Strong-Wolfe line searches along many directions at once, one evaluation of each at a time."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from project.core.per_image import PerImage, chosen

_DECREASE = 1e-4  # c1
_CURVATURE = 0.9  # c2
_MARGIN = 0.1  # a step nearer to an end of the bracket than this share of it makes no progress


class Trial(NamedTuple):
    """A step along each direction, with loss and slope there; (n,) each."""

    step: Tensor
    loss: Tensor
    slope: Tensor

    def where(self, chosen: Tensor, other: Trial) -> Trial:
        """Return this trial where ``chosen``, elsewhere the other."""
        return Trial(*(torch.where(chosen, *pair) for pair in zip(self, other, strict=True)))


class LineSearch(PerImage):
    r"""n searches for steps that satisfy the strong Wolfe conditions.

    $$\phi(t) \le \phi(0) + c_1 t\, \phi'(0),\quad |\phi'(t)| \le -c_2\, \phi'(0)$$, c1 = 1e-4,
    c2 = 0.9. Each search first lengthens its step until two trials bracket such a step, then
    shrinks the bracket; both by cubic interpolation. Searches may be in different phases: each
    ``tell`` advances all of them by one evaluation.

    A trial whose loss or slope is not finite counts as too long a step [ours].

    Source: Nocedal & Wright, "Numerical Optimization", 2nd edition, algorithms 3.5 and 3.6
    [paper]; safeguards of the interpolation as in minFunc and ``torch.optim.LBFGS`` [code].

    Attributes:
        start: loss and slope at step 0.
        step: (n,), the steps to evaluate next.
        best: the trial to take once a search has ended; until then the end of the bracket with the
            lower loss.

    Args:
        start: loss and slope at step 0, the slope less than 0.
        step: (n,), the first step to try.
        length: (n,), the largest absolute value of each direction.
        limit: largest number of trials after the first.
        tolerance: a bracket too short to move any value by as much is not searched further.
    """

    def __init__(
        self, start: Trial, step: Tensor, length: Tensor, limit: int, tolerance: float
    ) -> None:
        self.step = step
        self.best = start
        self.start = start
        self._other = start  # the end with the higher loss, once there is a bracket
        self._length = length
        self._limit = limit
        self._tolerance = tolerance
        self._count = torch.zeros_like(step)
        self._bracketed = torch.zeros_like(step, dtype=torch.bool)
        self._stalled = torch.zeros_like(self._bracketed)

    @property
    def gain(self) -> Tensor:
        """Loss at the start less that of the best trial, (n,)."""
        return self.start.loss - self.best.loss

    @property
    def travel(self) -> Tensor:
        """Largest change of any value at the best trial, (n,)."""
        return self.best.step * self._length

    def restart(self, ended: Tensor, start: Trial, step: Tensor, length: Tensor) -> None:
        """Begin new searches where ``ended``, (n,) bool; the other arguments as for the class."""
        fresh = LineSearch(start, step, length, self._limit, self._tolerance)
        vars(self).update(vars(chosen(ended, fresh, self)))

    def tell(self, loss: Tensor, slope: Tensor) -> tuple[Tensor, Tensor]:
        """Take the losses and slopes at ``step``, and choose the next step.

        Args:
            loss: (n,).
            slope: (n,), the gradient along the direction.

        Returns:
            Where the trial is now ``best``, and where the search has ended, (n,) bool each.
        """
        finite = loss.isfinite() & slope.isfinite()
        loss = loss.where(finite, torch.full_like(loss, float("inf")))
        trial = Trial(self.step, loss, slope.where(finite, torch.zeros_like(slope)))
        worse, flat = self._compare(trial)
        exhausted = self._count >= self._limit
        ended = flat & ~worse
        if bool((ended & ~exhausted).all()):  # the usual case: there is nothing to interpolate
            self.best = trial
            return ended, ended
        lengthening = ~self._bracketed & ~worse & ~ended & (trial.slope < 0)
        longer = self._lengthened(trial)
        taken = self._place(trial, worse, ended, lengthening)
        taken = self._settle(trial, exhausted & ~self._bracketed, taken)
        self._bracketed |= ~lengthening
        small = (self._other.step - self.best.step).abs() * self._length < self._tolerance
        ended |= exhausted | (self._bracketed & small)
        shorter = self._shortened(self._bracketed & ~ended)
        self.step = torch.where(lengthening, longer, shorter)
        self._count += 1
        return taken, ended

    def _compare(self, trial: Trial) -> tuple[Tensor, Tensor]:
        """Return where a trial is too long a step, and where its slope is small enough."""
        start = self.start
        allowed = start.loss + _DECREASE * trial.step * start.slope
        # While lengthening, the losses are compared from the third trial on only.
        comparable = self._bracketed | (self._count > 1)
        worse = (trial.loss > allowed) | (comparable & (trial.loss >= self.best.loss))
        return worse, trial.slope.abs() <= -_CURVATURE * start.slope

    def _place(self, trial: Trial, worse: Tensor, ended: Tensor, lengthening: Tensor) -> Tensor:
        """Make the trial an end of the bracket, and return where it is the lower one."""
        lower = (trial.loss < self.best.loss) | lengthening | (ended & ~worse)
        ahead = trial.slope * (self._other.step - self.best.step) >= 0
        turned = ~lengthening & (~self._bracketed | worse | (ahead & ~ended))
        self._other = self.best.where(lower, trial).where(turned, self._other)
        self.best = trial.where(lower, self.best)
        return lower

    def _settle(self, trial: Trial, spent: Tensor, taken: Tensor) -> Tensor:
        """Where no bracket was found in time, take the last trial if it is lower than the start."""
        lower = trial.loss < self.start.loss
        self.best = trial.where(lower, self.start).where(spent, self.best)
        return torch.where(spent, lower, taken)

    def _lengthened(self, trial: Trial) -> Tensor:
        least = trial.step + 0.01 * (trial.step - self.best.step)
        return _minimum(self.best, trial, least, trial.step * 10)

    def _shortened(self, searching: Tensor) -> Tensor:
        """Return a step inside the bracket, not close to one of its ends twice in a row."""
        low = torch.minimum(self.best.step, self._other.step)
        high = torch.maximum(self.best.step, self._other.step)
        step, margin = _minimum(self.best, self._other, low, high), _MARGIN * (high - low)
        near = torch.minimum(high - step, step - low) < margin
        moved = near & (self._stalled | (step >= high) | (step <= low))
        inside = torch.where((step - high).abs() < (step - low).abs(), high - margin, low + margin)
        self._stalled = torch.where(searching, near & ~moved, self._stalled)
        return torch.where(moved, inside, step)


def _minimum(one: Trial, two: Trial, least: Tensor, most: Tensor) -> Tensor:
    """Return where the cubic through two trials has its minimum, or the middle if it has none.

    Source: Nocedal & Wright, "Numerical Optimization", 2nd edition, eq. (3.59) [paper].

    Args:
        one: a trial.
        two: another, at another step.
        least: (n,), the smallest step to return.
        most: (n,), the largest.

    Returns:
        (n,).
    """
    swapped = one.step > two.step
    left, right = two.where(swapped, one), one.where(swapped, two)
    width = right.step - left.step
    chord = left.slope + right.slope - 3 * (left.loss - right.loss) / (left.step - right.step)
    square = chord**2 - left.slope * right.slope
    root = square.clamp(min=0).sqrt()
    part = (right.slope + root - chord) / (right.slope - left.slope + 2 * root)
    step = torch.minimum(torch.maximum(right.step - width * part, least), most)
    usable = square.isfinite() & (square >= 0) & step.isfinite()
    return torch.where(usable, step, (least + most) / 2)
