"""L-BFGS's memory of steps and gradient changes for n problems, in compact form."""

from __future__ import annotations

import torch
from torch import Tensor

from project.core.per_image import PerImage

_LEAST_CURVATURE = 1e-10


class Curvature(PerImage):
    r"""The last steps s and gradient changes y, and the inverse Hessian H that follows from them.

    With the pairs as columns of S and Y, oldest first, R the upper triangle of $$S^T Y$$, D its
    diagonal and γ the scale $$s^T y / y^T y$$ of the newest pair,

    $$H g = \gamma g + S\, R^{-T} \left((D + \gamma Y^T Y)\, u - \gamma Y^T g\right) -
    \gamma Y u,\quad u = R^{-1} S^T g.$$

    This is what the two-loop recursion computes, but it goes through the memory twice, not four
    times, in two large products. A new pair takes no third: its y is the difference of two
    gradients, and so are its products with the memory. The small systems are solved in double
    precision [ours].

    Source: Byrd, Nocedal & Schnabel, "Representations of quasi-Newton matrices and their use in
    limited memory methods", Mathematical Programming 63, 1994, eq. (3.1) [paper].

    Args:
        like: (n, D), a tensor of the problems' shape.
        history: m, how many pairs to remember.
    """

    def __init__(self, like: Tensor, history: int) -> None:
        count, size = like.shape
        self._pairs = like.new_zeros(count, 2 * history, size)  # every s, then every y
        self._inner = like.new_zeros(count, 2 * history, history).double()  # of pairs and every y
        self._onto = like.new_zeros(count, 2 * history).double()  # of pairs and the last gradient
        self._scale = like.new_ones(count).double()
        self._pushed = torch.zeros(count, dtype=torch.int64, device=like.device)

    def turned(self, steps: Tensor, changes: Tensor, curving: Tensor, gradient: Tensor) -> Tensor:
        """Store a pair of each problem in place of its oldest, and return the new directions.

        Pairs without positive curvature are not stored, which keeps H positive definite.

        Args:
            steps: (n, D), s.
            changes: (n, D), y, the difference of the gradient from that of the last call.
            curving: (n,), s^T y.
            gradient: (n, D), g.

        Returns:
            -H g, (n, D).
        """
        rows = (curving > _LEAST_CURVATURE).nonzero()[:, 0]
        steps, changes = _some(steps, rows), _some(changes, rows)
        slots = self._store(rows, steps, changes)
        # The new y is the difference of two gradients, so its products with the memory are the
        # difference of theirs. Only those with the pair just stored are new (``own``).
        before, self._onto = self._onto, self._products(gradient)
        own = torch.stack([curving[rows], torch.linalg.vecdot(changes, changes)], 1).double()
        self._relate(rows, slots, (self._onto - before)[rows].scatter(1, slots, own))
        self._scale[rows] = own[:, 0] / own[:, 1]
        self._pushed[rows] += 1
        return self._direction(gradient)

    def _store(self, rows: Tensor, steps: Tensor, changes: Tensor) -> Tensor:
        """Store pairs of k problems; return the slots of s and y in the memory, (k, 2)."""
        history = self._inner.shape[2]
        slot = self._pushed[rows] % history
        slots = torch.stack([slot, history + slot], 1)
        flat = self._pairs.flatten(0, 1)  # copying whole rows is faster than indexing
        for part, place in zip((steps, changes), slots.T, strict=True):
            flat.index_copy_(0, 2 * history * rows + place, part)
        return slots

    def _relate(self, rows: Tensor, slots: Tensor, inner: Tensor) -> None:
        """Store ``inner``, (k, 2m): the products of k problems' new y with all of their memory."""
        self._inner[rows, :, slots[:, 0]] = inner
        self._inner[rows, slots[:, 1]] = inner.chunk(2, dim=1)[1]  # with every y

    def _direction(self, gradient: Tensor) -> Tensor:
        """Return -H g, (n, D), for the gradients that were last multiplied with the memory."""
        along_s, along_y = self._solve(*self._onto.chunk(2, dim=1))
        scale = self._scale[:, None]
        weights = torch.cat([-along_s, scale * along_y], 1).to(gradient)
        pairs = torch.bmm(weights[:, None], self._pairs)[:, 0]
        return pairs.addcmul_(gradient, -scale.to(gradient))

    def _solve(self, onto_s: Tensor, onto_y: Tensor) -> tuple[Tensor, Tensor]:
        """Solve the two triangular systems.

        Args:
            onto_s: (n, m), the products of the gradient with every s.
            onto_y: (n, m), likewise with every y.

        Returns:
            (n, m) each: R^-T (…) and u of the formula, slot by slot.
        """
        history = onto_s.shape[1]
        places = torch.arange(history, device=onto_s.device)
        order = (self._pushed[:, None] + places) % history  # slots, oldest first
        scale = self._scale[:, None]
        halves = self._inner.chunk(2, dim=1)  # S^T Y and Y^T Y
        mixed, gram = (_ordered(_ordered(part, order).mT, order).mT for part in halves)
        triangle = mixed.triu()
        diagonal = triangle.diagonal(dim1=1, dim2=2)
        # Empty slots would make the triangle singular; with 1 there, their solutions are 0.
        triangle = triangle + torch.diag_embed((diagonal == 0).to(triangle))
        along_y = _solved(triangle, _ordered(onto_s, order), upper=True)
        right = diagonal * along_y - scale * _ordered(onto_y, order)
        right = right + scale * (gram @ along_y[:, :, None])[:, :, 0]
        along_s = _solved(triangle.mT, right, upper=False)
        return along_s.scatter(1, order, along_s), along_y.scatter(1, order, along_y)

    def _products(self, vectors: Tensor) -> Tensor:
        """Return the inner products of (n, D) vectors with the memory, (n, 2m)."""
        return torch.bmm(vectors[:, None], self._pairs.mT)[:, 0].double()


def _some(values: Tensor, rows: Tensor) -> Tensor:
    """Return some rows, rising; without a copy if they are all rows."""
    return values if len(rows) == len(values) else values.index_select(0, rows)


def _ordered(values: Tensor, order: Tensor) -> Tensor:
    """Bring the entries of axis 1 of (n, m, ...) from their slots into the order (n, m)."""
    index = order.view(*order.shape, *[1] * (values.ndim - 2)).expand_as(values)
    return values.gather(1, index)


def _solved(triangle: Tensor, right: Tensor, upper: bool) -> Tensor:
    solution: Tensor = torch.linalg.solve_triangular(triangle, right[:, :, None], upper=upper)
    return solution[:, :, 0]
