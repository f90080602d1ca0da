"""Multipliers of many constraints, one for each pixel."""

from __future__ import annotations

import torch
from torch import Tensor

_SMOOTHING = 0.8
_PERIOD = 10
_IMPROVEMENT = 0.95
_GROWTH = 2.0
_FIRST_MU, _FIRST_RHO = 1.0, 0.01
_LARGEST_RHO = 1e13  # 500 steps do not get there; far beyond, gradients would not fit float32
_SMALLEST_MU = 1e-12


class Multipliers:
    r"""An augmented Lagrangian of constraints c ≤ 0.

    Each has a multiplier $$\mu \leftarrow 0.8 \mu + 0.2\, P'(c, \rho, \mu)$$ in [1e-12, 1], and a
    penalty parameter ρ that doubles after every ten steps in which the constraint was never met and
    did not fall by 5 %.

    Source: Rony et al., "Augmented Lagrangian Adversarial Attacks", ICCV 2021, and "Proximal
    Splitting Adversarial Attacks for Semantic Segmentation", CVPR 2023 [code]; a
    largest ρ, 1e13 [ours].

    Args:
        met: bool (N, E), whatever its values: there are as many constraints.

    Attributes:
        mu: μ, (N, E) float64.
        rho: ρ, (N, E) float64.
    """

    def __init__(self, met: Tensor) -> None:
        self.mu = torch.full_like(met, _FIRST_MU, dtype=torch.float64)
        self.rho = torch.full_like(self.mu, _FIRST_RHO)
        self._before = torch.zeros_like(self.mu)
        self._met = torch.zeros_like(met)

    def update(self, step: int, constraints: Tensor, counted: Tensor, met: Tensor) -> None:
        """Learn from a step.

        Args:
            step: its number, from 0; the first one only tells what to compare with.
            constraints: c, (N, E), without gradient.
            counted: bool (N, E), which constraints count at this step.
            met: bool (N, E), which are met.
        """
        constraints = constraints.double()
        self._met = self._met | met
        if step == 0:
            self._before = constraints
            return
        if (step + 1) % _PERIOD == 0:
            improved = constraints * counted <= _IMPROVEMENT * self._before
            grown = (_GROWTH * self.rho).clamp(max=_LARGEST_RHO)
            self.rho = torch.where(self._met | improved, self.rho, grown)
            self._before, self._met = constraints, torch.zeros_like(met)
        aim = penalty_slope(constraints, self.rho, self.mu) * counted
        mu = _SMOOTHING * self.mu + (1 - _SMOOTHING) * aim
        self.mu = mu.clamp(_SMALLEST_MU, 1)

    def penalty(self, constraints: Tensor) -> Tensor:
        """Return P of each constraint, (N, E), with gradient."""
        return penalty(constraints.double(), self.rho, self.mu)


def penalty(constraints: Tensor, rho: Tensor, mu: Tensor) -> Tensor:
    r"""Return the penalty-Lagrangian function P2.

    $$\mu y + \mu \rho y^2 + \rho^2 y^3 / 6$$ for y ≥ 0, and $$\mu y / (1 - \max(\rho, 1) y)$$
    below.

    Source: Birgin et al., "Numerical comparison of augmented Lagrangian algorithms for nonconvex
    problems", 2005; Rony et al., ICCV 2021 [code].

    Args:
        constraints: y, any shape.
        rho: ρ, of the same shape.
        mu: μ, of the same shape.
    """
    above = mu * constraints + mu * rho * constraints**2 + rho**2 * constraints**3 / 6
    below = mu * constraints / (1 - rho.clamp(min=1) * constraints.clamp(max=0))
    return torch.where(constraints >= 0, above, below)


def penalty_slope(constraints: Tensor, rho: Tensor, mu: Tensor) -> Tensor:
    """Return the derivative of :func:`penalty` by the constraint; it is μ at 0.

    The released ALMA-prox has μ·y for its first term above 0, which makes it 0 there; this is the
    derivative.
    """
    above = mu + 2 * mu * rho * constraints + rho**2 * constraints**2 / 2
    below = mu / (1 - rho.clamp(min=1) * constraints.clamp(max=0)) ** 2
    return torch.where(constraints >= 0, above, below)
