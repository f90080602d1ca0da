"""L-BFGS for many independent problems at once."""

from __future__ import annotations

import torch
from torch import Tensor

from project.attacks.flow.solvers.curvature import Curvature
from project.attacks.flow.solvers.line_search import LineSearch, Trial
from project.attacks.flow.solvers.solver import Solver
from project.core.errors import InputError
from project.core.per_image import chosen


class LBFGS(Solver):
    """L-BFGS with a strong-Wolfe line search, as torch's, for n independent problems at once.

    Each problem visits the same points as ``torch.optim.LBFGS(line_search_fn="strong_wolfe")`` on
    it alone; but at any time one may lengthen its step while another shrinks its bracket and a
    third turns to a new direction. So every ``tell`` is one evaluation of each, and none waits. A
    problem that has converged (its gradient, its last step or its last gain is within tolerance, or
    its line search finds nothing lower) rests at its best point for good, however often it is
    evaluated there.

    It stores 2 · history + 5 tensors of the point's size.

    Source: Liu & Nocedal, "On the limited memory BFGS method for large scale optimization",
    Mathematical Programming 45, 1989 [paper]; tolerances and the first step as in
    ``torch.optim.LBFGS`` [code].

    Attributes:
        resting: (n,) bool, which problems have converged.

    Args:
        start: (n, ...).
        step_size: the first step tried along each direction; 1 suits a quasi-Newton method. The
            very first direction, the gradient's, is divided by its 1-norm unless that is less.
        history: number of steps whose curvature is remembered, at least 1.
        max_line_search: largest number of evaluations of a line search after its first, at least 1.
        tolerance_grad: a gradient without any larger absolute value counts as zero.
        tolerance_change: a step without any larger absolute value, or a smaller gain, counts as
            none.
    """

    resting: Tensor

    def __init__(
        self,
        start: Tensor,
        step_size: float = 1.0,
        history: int = 10,
        max_line_search: int = 25,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
    ) -> None:
        if history < 1 or max_line_search < 1 or not step_size > 0:
            raise InputError(
                "history and max_line_search must be at least 1 and step_size greater than 0, got "
                f"{history}, {max_line_search}, {step_size}."
            )
        self.step_size = step_size
        self.history = history
        self.max_line_search = max_line_search
        self.tolerance_grad = tolerance_grad
        self.tolerance_change = tolerance_change
        self.point = start.detach().clone().requires_grad_()
        self.resting = torch.zeros(len(start), dtype=torch.bool, device=start.device)
        self._base = start.detach().flatten(1).clone()  # where the line searches start
        self._curvature = Curvature(self._base, history)
        self._search: LineSearch | None = None

    @torch.no_grad()
    def tell(self, losses: Tensor, gradient: Tensor) -> None:
        """Take one evaluation of each problem: go on along its line, or turn to a new direction."""
        losses, gradient = losses.detach(), gradient.detach().flatten(1)
        if self._search is None:
            self._begin(losses, gradient)
        else:
            self._advance(self._search, losses, gradient)
        assert self._search is not None
        step = self._search.step.masked_fill(self.resting, 0)
        point = torch.addcmul(self._base, step[:, None], self._direction)
        self.point = point.view_as(self.point).requires_grad_()

    def shrink_to(self, rows: Tensor) -> None:
        """Keep only some of the problems, with all their state."""
        if rows.dtype == torch.bool and bool(rows.all()):
            return
        self.point = self.point.detach()  # rows of a leaf that requires gradient would be no leaf
        super().shrink_to(rows)
        self.point.requires_grad_()

    def _begin(self, losses: Tensor, gradient: Tensor) -> None:
        finite = losses.isfinite() & gradient.isfinite().all(1)
        # A problem that starts with a non-finite loss or gradient gets gradient 0, and so rests.
        self._gradient = torch.where(finite[:, None], gradient, 0)  # at the base
        self._kept = self._gradient  # at the line search's best trial
        self._direction = torch.zeros_like(gradient)
        self.resting = _largest(self._gradient) <= self.tolerance_grad
        start, length = self._set_out(~self.resting, -self._gradient, losses)
        first = self.step_size / self._gradient.abs().sum(1).clamp(min=1)
        self._search = LineSearch(start, first, length, self.max_line_search, self.tolerance_change)

    def _advance(self, search: LineSearch, losses: Tensor, gradient: Tensor) -> None:
        taken, ended = search.tell(losses, torch.linalg.vecdot(gradient, self._direction))
        self._kept = _replaced(self._kept, gradient, taken)
        ended = ended & ~self.resting
        if not bool(ended.any()):
            return
        steps = search.best.step.masked_fill(~ended, 0)
        moved = steps[:, None] * self._direction
        self._base += moved
        self.resting |= ended & self._converged(search)
        curving = steps * (search.best.slope - search.start.slope)
        direction = self._turned(ended, moved, curving)
        start, length = self._set_out(ended & ~self.resting, direction, search.best.loss)
        search.restart(ended, start, torch.full_like(steps, self.step_size), length)

    def _converged(self, search: LineSearch) -> Tensor:
        """Return which problems have converged, (n,) bool; valid where a line search has ended."""
        level = _largest(self._kept) <= self.tolerance_grad
        short = search.travel <= self.tolerance_change
        return level | short | (search.gain.abs() < self.tolerance_change)

    def _turned(self, ended: Tensor, moved: Tensor, curving: Tensor) -> Tensor:
        """Return new directions, (n, D), with the curvature from the ended line searches.

        Args:
            ended: (n,) bool, where a line search has ended.
            moved: (n, D), their steps; 0 for all others.
            curving: (n,), the inner products of steps and gradient changes; 0 for all others.
        """
        changes = self._kept - self._gradient
        self._gradient = _replaced(self._gradient, self._kept, ended)
        return self._curvature.turned(moved, changes, curving, self._gradient)

    def _set_out(self, chosen: Tensor, direction: Tensor, losses: Tensor) -> tuple[Trial, Tensor]:
        """Take the chosen directions; problems whose direction does not lead down rest.

        Returns:
            The start of the line searches, and the directions' largest absolute values, (n,).
        """
        slope = torch.linalg.vecdot(self._gradient, direction)
        leads = slope.isfinite() & (slope <= -self.tolerance_change)
        self.resting |= chosen & ~leads
        self._direction = _replaced(self._direction, direction, chosen & leads)
        return Trial(torch.zeros_like(losses), losses, slope), _largest(self._direction)


def _largest(rows: Tensor) -> Tensor:
    """Return the largest absolute value of each row of (n, D)."""
    return torch.maximum(rows.amax(1), -rows.amin(1))


def _replaced(old: Tensor, new: Tensor, better: Tensor) -> Tensor:
    """Return the new rows where better, (n,) bool; without a copy if all are, which is usual.

    To know that, the host waits for the device, as it does anyway in a line search.
    """
    return new if bool(better.all()) else chosen(better, new, old)
