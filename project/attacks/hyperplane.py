"""The nearest point of a hyperplane inside the range of an image."""

from __future__ import annotations

import torch
from torch import Tensor

from project.threat_models import Norm


def onto_hyperplane(points: Tensor, normal: Tensor, rise: Tensor, norm: Norm) -> Tensor:
    r"""Return the least move that climbs by a given rise without leaving [0, 1].

    $$\min \|d\|_p \text{ with } w \cdot d = c,\ 0 \le x + d \le 1$$, p = ∞ or 2. With c > 0 (else
    w changes its sign) the solution is $$d_i = \mathrm{sign}(w_i) \min(\lambda v_i, u_i)$$, u_i the
    room up to the border that w_i points at, and v_i = 1 for p = ∞, |w_i| for p = 2; λ is where
    $$\sum_i |w_i| \min(\lambda v_i, u_i) = c$$. Where no move inside the range climbs that far, it
    goes as far as it can.

    Source: Croce & Hein, "Minimally distorted Adversarial Examples with a Fast Adaptive Boundary
    Attack", ICML 2020, the problem and where it has no solution [code]; solved in double precision,
    alike for both norms [ours].

    Args:
        points: x, (N, D) in [0, 1].
        normal: w, (N, D).
        rise: c, (N,), of any sign.
        norm: p, ``linf`` or ``l2``.

    Returns:
        d, (N, D), 0 where w is.
    """
    climb = torch.where(rise[:, None] < 0, -normal, normal).double()
    steep = climb.abs()
    room = torch.where(climb > 0, 1 - points.double(), points.double()).clamp(min=0)
    pace = steep if norm == "l2" else (steep > 0).double()
    reach = _reach(steep, room, pace, rise.double().abs()[:, None])
    return (climb.sign() * torch.minimum(reach * pace, room)).to(points)


def _reach(steep: Tensor, room: Tensor, pace: Tensor, rise: Tensor) -> Tensor:
    """Return λ, (N, 1).

    The gain is made of straight pieces, which end where a coordinate has no room left, at u / v.
    """
    ends, order = torch.where(pace > 0, room / pace, 0).sort(1)
    last = (steep * room).gather(1, order)
    ended = last.cumsum(1) - last  # what the coordinates without room have gained
    slopes = (steep * pace).gather(1, order).flip(1).cumsum(1).flip(1)
    piece = torch.searchsorted(ended + ends * slopes, rise).clamp(max=ends.shape[1] - 1)
    end, ended, slope = (values.gather(1, piece) for values in (ends, ended, slopes))
    return torch.minimum((rise - ended) / slope.clamp(min=torch.finfo(slope.dtype).tiny), end)
