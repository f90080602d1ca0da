"""FAB, the fast adaptive boundary attack, and its projection onto hyperplanes inside a box."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from project.attacks.core.best_so_far import BestSoFar, smallest
from project.attacks.core.query import fooled_share, query
from project.attacks.core.result import Perturbed
from project.attacks.gradient.landscape import finite
from project.attacks.noise.targeted_classes import TargetedClasses
from project.core.errors import InputError
from project.core.losses import wrong_class
from project.threat_models import Norm, norm_ball

_STRETCHES = 8


@dataclass(frozen=True)
class FAB(TargetedClasses):
    """FAB-T: the smallest noise that crosses the boundary to one of the best wrong classes.

    Class after class is tried, the best first, on the images that still resist; see
    :func:`~project.attacks.noise.fab.nearest_boundary`. There is no step size and no loss to
    maximise, so a victim that masks the gradient of its loss is not safe from it. An image whose
    smallest perturbation exceeds eps is not fooled: that perturbation is projected to the ball.
    Otherwise that perturbation is returned, or the smallest of eight longer ones along the same
    line, up to eps, whose 8-bit image fools [ours]: rounding may undo what only just fools.

    Rows hold as ``rank`` which wrong class led to the image, -1 where none did.

    Source: Croce & Hein, "Minimally distorted Adversarial Examples with a Fast Adaptive Boundary
    Attack", ICML 2020; towards classes of the clean image and judged by eps, 100 steps and 9
    classes, as in AutoAttack [code].
    """

    def perturb(
        self, victim: nn.Module, images: Tensor, target: Tensor, index: Tensor
    ) -> Perturbed:
        """Try class after class."""
        require_labels(target, self.name)
        return super().perturb(victim, images, target, index)

    def towards(
        self, victim: nn.Module, rank: int, images: Tensor, target: Tensor, index: Tensor
    ) -> Perturbed:
        """Search for the boundary to one class."""
        with torch.no_grad():
            wanted = wrong_class(query(victim, images, target), target, rank)
        found = nearest_boundary(victim, images, target, wanted, self.norm, self.steps)
        return self._saved(victim, images, target, found)

    def _saved(
        self, victim: nn.Module, images: Tensor, labels: Tensor, found: "Boundary"
    ) -> Perturbed:
        """Return the shortest of several lengths, inside the ball, whose 8-bit image fools."""
        ball = norm_ball(self.norm, self.eps)
        best = BestSoFar(torch.zeros_like(images), images.new_zeros(len(images)))
        longest = (self.eps / found.size.clamp(min=1e-12)).clamp(min=1)
        for number in range(_STRETCHES + 1):
            length = 1 + (longest - 1) * number / _STRETCHES
            tried = ball.project(images, found.perturbation * length.view(-1, 1, 1, 1))
            rounded = ball.round(images, ball.apply(images, tried))
            with torch.no_grad():
                fooled = fooled_share(query(victim, rounded, labels), labels, targeted=False)
            best.offer(tried, *smallest(fooled.float(), 1.0, ball.size(tried)))
        float_images = ball.apply(images, best.found)
        return Perturbed(
            images=ball.round(images, float_images),
            float_images=float_images,
            perturbation=best.found,
            steps=found.steps,
            threat_model=ball,
        )


def require_labels(target: Tensor, name: str) -> None:
    """Refuse targets that are not a classifier's labels.

    Raises:
        ValueError: if it has a class for each pixel.
    """
    if target.ndim > 1:
        raise InputError(
            f"{name} looks for the boundary between an image's classes, but the target has a class "
            f"for each pixel, {tuple(target.shape)}. A classifier takes class labels; attack a "
            "segmenter with SEA."
        )


_OVERSHOOT = 1.05
"""η: length of a step, in units of the way to the boundary."""
_PULL = 0.1
"""α_max: largest weight of the step that starts at the clean image."""
_BACK = 0.9
"""β: factor by which a perturbation that fools is shortened before the next step."""


class Boundary(NamedTuple):
    """The result of a search for the boundary, image by image.

    Attributes:
        perturbation: (N, 3, H, W), the smallest that fools; any where none does.
        steps: (N,) int64, the number of updates that led to it.
        size: (N,), its norm; infinite where none fools.
    """

    perturbation: Tensor
    steps: Tensor
    size: Tensor


def nearest_boundary(
    victim: nn.Module, images: Tensor, labels: Tensor, wanted: Tensor, norm: Norm, steps: int
) -> Boundary:
    r"""Search the smallest perturbation that leads across the boundary towards a wrong class.

    At x the boundary between the classes is approximated by the hyperplane
    $$z_t - z_y + w \cdot (x' - x) = 0$$, w the gradient of the lead $$z_t - z_y$$. With d and d_0
    the least moves onto it from x and from the clean image x_0, each inside [0, 1],

    $$x \leftarrow \mathrm{clip}\left((1 - \alpha)(x + \eta d) + \alpha (x_0 + \eta d_0)\right),
    \quad \alpha = \min\left(\frac{\|d\|}{\|d\| + \|d_0\|}, \alpha_{max}\right),$$

    and where x then is of any wrong class, $$x \leftarrow x_0 + \beta (x - x_0)$$.

    Source: Croce & Hein, "Minimally distorted Adversarial Examples with a Fast Adaptive Boundary
    Attack", ICML 2020, algorithm 1; η = 1.05, α_max = 0.1, β = 0.9, a start at the clean image and
    no search along the last perturbation, as in AutoAttack [code].

    Args:
        victim: a classifier.
        images: (N, 3, H, W), clean, for which the victim predicts the labels.
        labels: (N,), y.
        wanted: (N,), t, the wrong class towards which to search.
        norm: the norm to minimise, ``linf`` or ``l2``.
        steps: number of steps, each two forward passes and a backward pass.

    Returns:
        The smallest perturbations that were found.
    """
    here, size = images, norm_ball(norm, 1.0).size
    none = torch.zeros(len(images), dtype=torch.int64, device=images.device)
    best = BestSoFar((torch.zeros_like(images), none), images.new_zeros(len(images)))
    for number in range(1, steps + 1):
        here = _crossed(victim, images, here, labels, wanted, norm)
        with torch.no_grad():
            fooled = fooled_share(query(victim, here, labels), labels, targeted=False)
        change = here - images
        found = change, torch.full_like(none, number)
        best.offer(found, *smallest(fooled.float(), 1.0, size(change)))
        here = torch.where(fooled.view(-1, 1, 1, 1) == 1, images + _BACK * change, here)
    return Boundary(*best.found, best.cost.masked_fill(~best.reached, torch.inf))


def _crossed(
    victim: nn.Module, images: Tensor, here: Tensor, labels: Tensor, wanted: Tensor, norm: Norm
) -> Tensor:
    """Return the images after one step, (N, 3, H, W)."""
    lead, slope = _lead(victim, here, labels, wanted)
    start, point, normal = (part.flatten(1) for part in (images, here, slope))
    own = onto_hyperplane(point, normal, -lead, norm)
    clean = onto_hyperplane(start, normal, -lead + (normal * (point - start)).sum(1), norm)
    size = norm_ball(norm, 1.0).size
    far, near = size(own).clamp(min=1e-8), size(clean).clamp(min=1e-8)
    pull = (far / (far + near)).clamp(max=_PULL)[:, None]
    moved = (1 - pull) * (point + _OVERSHOOT * own) + pull * (start + _OVERSHOOT * clean)
    return moved.clamp(0, 1).view_as(images)


def _lead(victim: nn.Module, here: Tensor, labels: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Return the wanted class's lead over the label, (N,), and its gradient."""
    here = here.detach().requires_grad_()
    logits = query(victim, here, labels)
    other, own = logits.gather(1, torch.stack([wanted, labels], 1)).unbind(1)
    (slope,) = torch.autograd.grad((other - own).sum(), here)
    slope, _ = finite(slope)
    return (other - own).detach(), slope


def onto_hyperplane(points: Tensor, normal: Tensor, rise: Tensor, norm: Norm) -> Tensor:
    r"""Return the smallest move inside [0, 1] that changes a linear function by a given amount.

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
    # In float64: the gain is a cumulative sum over all of an image's values, and the next iterate
    # has to lie across the boundary by a few percent of its distance only.
    climb = torch.where(rise[:, None] < 0, -normal, normal).double()
    steep = climb.abs()
    room = torch.where(climb > 0, 1 - points.double(), points.double()).clamp(min=0)
    pace = steep if norm == "l2" else (steep > 0).double()
    reach = _reach(steep, room, pace, rise.double().abs()[:, None])
    return (climb.sign() * torch.minimum(reach * pace, room)).to(points)


def _reach(steep: Tensor, room: Tensor, pace: Tensor, rise: Tensor) -> Tensor:
    """Return λ, (N, 1).

    The gain is a piecewise linear function of λ, whose pieces end where a coordinate has no room
    left, at λ = u / v. So the piece that reaches the rise is found by sorting and bisection, and
    the equation is solved there in closed form.
    """
    ends, order = torch.where(pace > 0, room / pace, 0).sort(1)
    last = (steep * room).gather(1, order)
    ended = last.cumsum(1) - last  # the gain of the coordinates without room, before each piece
    slopes = (steep * pace).gather(1, order).flip(1).cumsum(1).flip(1)
    piece = torch.searchsorted(ended + ends * slopes, rise).clamp(max=ends.shape[1] - 1)
    end, ended, slope = (values.gather(1, piece) for values in (ends, ended, slopes))
    return torch.minimum((rise - ended) / slope.clamp(min=torch.finfo(slope.dtype).tiny), end)
