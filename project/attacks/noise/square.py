"""The Square attack: black-box random search by squares, without gradients."""

import math
from abc import ABC, abstractmethod
from bisect import bisect_left
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from project.attacks.core.attack import Attack, Traits
from project.attacks.core.best_so_far import BestSoFar
from project.attacks.core.query import query, resisting
from project.attacks.core.result import Perturbed
from project.core.errors import InputError
from project.core.losses import margin, mean_over_valid, valid_elements
from project.core.randomness import Draws
from project.threat_models import L2, Norm, ThreatModel, norm_ball


class SquareMoves(ABC):
    """The start and the moves of Square's random search for one norm.

    Args:
        eps: budget in units of the [0, 1] range.
    """

    def __init__(self, eps: float) -> None:
        self.eps = eps

    @abstractmethod
    def start(self, images: Tensor, draws: Draws) -> Tensor:
        """Return the noise to start from, (N, C, H, W)."""

    @abstractmethod
    def next(self, noise: Tensor, area: float, draws: Draws) -> Tensor:
        """Return noise (N, C, H, W) that is changed in a random square of each image.

        Args:
            noise: (N, C, H, W).
            area: the square's share of the image, in (0, 1].
            draws: random draws of the samples, for this step.
        """


class LinfMoves(SquareMoves):
    """L∞ moves, every value at ±ε: vertical stripes at the start, then squares of one sign each."""

    def start(self, images: Tensor, draws: Draws) -> Tensor:
        """Return stripes of one pixel's width."""
        channels, width = images.shape[1], images.shape[3]
        signs = _signs(draws.keyed("stripes"), images, channels, 1, width)
        return (self.eps * signs).expand_as(images)

    def next(self, noise: Tensor, area: float, draws: Draws) -> Tensor:
        """Return noise with a new sign in each channel of a square."""
        side = square_side(area, noise, least=1)
        signs = _signs(draws.keyed("signs"), noise, noise.shape[1], 1, 1)
        return torch.where(_Window(side, noise, draws).inside, self.eps * signs, noise)


class L2Moves(SquareMoves):
    """L2 moves on the sphere: a square gets a new bump, and the norm that another square loses."""

    def start(self, images: Tensor, draws: Draws) -> Tensor:
        """Return a grid of bumps, about five rows, with one sign per bump and channel."""
        channels, height, width = images.shape[1:]
        side = max(1, min(height // 5, width))
        rows, columns = height // side, width // side
        signs = _signs(draws.keyed("tiles"), images, channels, rows, columns)
        turned = (_signs(draws.keyed("turns"), images, 1, rows, columns) > 0)[..., None, None]
        shape = bumps(side).to(images)
        tiles = torch.where(turned, shape.T, shape) * signs[..., None, None]
        noise = torch.zeros_like(images)
        tiled = tiles.transpose(3, 4).flatten(4, 5).flatten(2, 3)
        noise[:, :, : rows * side, : columns * side] = tiled
        return self._whole(noise)

    def next(self, noise: Tensor, area: float, draws: Draws) -> Tensor:
        r"""Return noise with a new bump in one square and 0 in another.

        In the first, each channel's noise, at unit norm, and a bump of random sign are added; the
        sum gets the norm of both squares' noise, and a share of what the budget leaves.
        """
        side = square_side(area, noise, least=3)
        window, other = (_Window(side, noise, draws.keyed(name)) for name in ("to", "from"))
        both = _length(noise * (window.inside | other.inside), (2, 3))
        unused = (self.eps**2 - _length(noise, (1, 2, 3)).square()).clamp(min=0)
        signs = _signs(draws.keyed("signs"), noise, noise.shape[1], 1, 1)
        turned = _signs(draws.keyed("turn"), noise, 1, 1, 1) > 0
        old = noise * window.inside
        new = window.filled(bumps(side).to(noise), turned) * signs + _unit(old, (2, 3))
        new = _unit(new, (2, 3)) * (both.square() + unused / noise.shape[1]).sqrt()
        kept = noise.masked_fill(other.inside, 0)
        return self._whole(torch.where(window.inside, new, kept))

    def _whole(self, noise: Tensor) -> Tensor:
        return self.eps * L2(self.eps).ascent(noise)


class _Window:
    """A square of each image, at a random position of its own.

    Attributes:
        inside: (N, 1, H, W) bool.
    """

    def __init__(self, side: int, noise: Tensor, draws: Draws) -> None:
        place = draws.keyed("place").uniform(2).to(noise.device)
        height, width = noise.shape[2:]
        down = torch.arange(height, device=noise.device) - _corner(place[:, :1], height - side)
        right = torch.arange(width, device=noise.device) - _corner(place[:, 1:], width - side)
        self._down, self._right = down[:, :, None], right[:, None, :]
        within = [(offset >= 0) & (offset < side) for offset in (self._down, self._right)]
        self.inside = (within[0] & within[1])[:, None]

    def filled(self, shape: Tensor, turned: Tensor) -> Tensor:
        """Return values (side, side) put into each square, (N, 1, H, W), 0 outside.

        Args:
            shape: the values to put.
            turned: (N, 1, 1, 1) bool, where to put their transpose.
        """
        down, right = (offset.clamp(0, len(shape) - 1) for offset in (self._down, self._right))
        put = torch.where(turned[:, 0], shape[right, down], shape[down, right])
        return put[:, None] * self.inside


def square_side(area: float, noise: Tensor, least: int) -> int:
    """Return the side in pixels of a square with a share ``area`` of the image, cut to fit."""
    height, width = noise.shape[2:]
    return min(max(round(math.sqrt(area * height * width)), least), height, width)


def bumps(side: int) -> Tensor:
    r"""Return two adjacent bumps, one positive and one negative, of unit norm together.

    Each fills half of the square and is, at Chebyshev distance r from its middle,
    $$\sum_{k > r} 1 / k^2$$, k up to half the square's side plus one, at unit norm.

    Source: Andriushchenko et al., "Square Attack", ECCV 2020 [code].

    Returns:
        (side, side) float64; the first rows are positive.
    """
    if side < 2:
        return torch.ones(side, side, dtype=torch.float64)
    half = side // 2
    both = torch.cat([_bump(half, side), -_bump(side - half, side)])
    return both / math.sqrt(2)


def _bump(height: int, width: int) -> Tensor:
    down = (torch.arange(height) - height // 2).abs()[:, None]
    right = (torch.arange(width) - width // 2).abs()[None]
    count = max(height, width) // 2 + 1
    terms = 1 / torch.arange(1, count + 1, dtype=torch.float64).square()
    bump = terms.flip(0).cumsum(0).flip(0)[torch.maximum(down, right)]
    unit: Tensor = bump / bump.norm()
    return unit


def _corner(place: Tensor, last: int) -> Tensor:
    """Return integers 0 … last from uniform draws."""
    # A draw close to 1 may be rounded up to last + 1.
    return (place * (last + 1)).long().clamp(max=last)


def _signs(draws: Draws, like: Tensor, *shape: int) -> Tensor:
    return torch.where(draws.uniform(*shape).to(like) < 0.5, -1.0, 1.0).to(like)


def _length(values: Tensor, axes: tuple[int, ...]) -> Tensor:
    return values.square().sum(axes, keepdim=True).sqrt()


def _unit(values: Tensor, axes: tuple[int, ...]) -> Tensor:
    return values / _length(values, axes).clamp(min=1e-12)


_HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
"""Numbers of moves after which the squares' area is halved."""
_MOVES = {"linf": LinfMoves, "l2": L2Moves}


@dataclass(frozen=True)
class Square(Attack):
    r"""Random search by squares of noise, which keeps the changes that lower the label's lead.

    A move changes the noise inside a square of each image, at a random position; see
    :mod:`~project.attacks.noise.square`. It is kept where the label's lead
    $$z_y - \max_{k \ne y} z_k$$ falls (the target's lag, where targeted); for a segmenter, where
    fewer valid pixels resist or, with as many, the mean of their leads falls [ours]. The squares'
    area is p of the image, halved after 10, 50, 200, 500, 1000, 2000, 4000, 6000 and 8000 moves.
    An image takes part until it is fooled as a whole.

    The victim is queried with the 8-bit image that would be saved [ours], and only for logits, so
    masking its gradient does not protect it.

    Source: Andriushchenko et al., "Square Attack: a query-efficient black-box adversarial attack
    via random search", ECCV 2020; a fixed schedule, whatever the number of queries, as in
    AutoAttack [code]. The square of an image is drawn for itself, and reaches its last row and
    column [ours].
    """

    kind = "black_box"
    budget_fields = ("eps",)

    eps: float = 8 / 255
    """Budget in units of the [0, 1] range; 8/255, the field's usual one."""
    queries: int = 5000
    """Largest number of moves of an image, each one query; 5000 as in AutoAttack."""
    norm: Norm = "linf"
    """Norm of the ball, ``linf`` or ``l2``; an L2 budget is over all values of an image (0.5 or
    more)."""
    area: float = 0.8
    """Share p of the image that the first squares take, in (0, 1]; 0.8 as in AutoAttack. The paper
    has 0.05 (linf) and 0.1 (l2), and says that robust victims need more."""
    targeted: bool = False
    """Whether the attack is targeted: the victim shall predict the target."""
    seed: int = 0
    """Seed from which all random draws derive."""

    def __post_init__(self) -> None:
        norm_ball(self.norm, self.eps)
        if self.queries < 1 or not 0 < self.area <= 1:
            raise InputError(
                "queries must be at least 1 and area in (0, 1], got "
                f"{self.queries} and {self.area}."
            )

    @torch.no_grad()
    def perturb(
        self, victim: nn.Module, images: Tensor, target: Tensor, index: Tensor
    ) -> Perturbed:
        """Search until all images are fooled or the queries are spent."""
        ball, moves = norm_ball(self.norm, self.eps), _MOVES[self.norm](self.eps)
        rows = torch.arange(len(images), device=images.device)
        nothing = torch.zeros_like(images)
        left, _ = self._left(victim, images, target, nothing, ball)
        best = BestSoFar({"noise": nothing, "steps": torch.zeros_like(rows)}, left)
        rows = rows[left > 0]
        for number in range(self.queries + 1):
            if not len(rows):
                break
            draws = Draws(index[rows.cpu()], self.seed, self.name, number)
            here, noise = images[rows], best.found["noise"][rows]
            area = self.area_after(number - 1)
            tried = moves.next(noise, area, draws) if number else moves.start(here, draws)
            tried = ball.project(here, tried)
            left, lead = self._left(victim, here, target[rows], tried, ball)
            steps = torch.full_like(rows, number + 1)
            best.offer({"noise": tried, "steps": steps}, -left, lead, rows)
            rows = rows[best.rank[rows] < 0]
        return self._result(images, best.found["noise"], best.found["steps"], ball)

    def area_after(self, moves: int) -> float:
        """Return the area p after a number of moves."""
        # The halvings are fixed, not scaled to the number of queries, so a search with more queries
        # starts like one with fewer.
        return self.area * 0.5 ** bisect_left(_HALVINGS, moves)

    def traits(self) -> Traits:
        """Describe the attack; its number of steps is that of its queries."""
        return super().traits() | {"steps": self.queries}

    def _left(
        self, victim: nn.Module, images: Tensor, target: Tensor, noise: Tensor, ball: ThreatModel
    ) -> tuple[Tensor, Tensor]:
        """Return the share of elements that resists, and its mean lead, (N,) each."""
        shown = ball.round(images, ball.apply(images, noise))
        logits = query(victim, shown, target)
        lead = margin(logits, target)
        lead = -lead if self.targeted else lead
        standing, valid = resisting(logits, target, self.targeted), valid_elements(target)
        share = mean_over_valid(standing.to(lead), valid)
        return share, mean_over_valid(lead.where(standing, 0), valid)

    def _result(self, images: Tensor, noise: Tensor, steps: Tensor, ball: ThreatModel) -> Perturbed:
        float_images = ball.apply(images, noise)
        return Perturbed(
            images=ball.round(images, float_images),
            float_images=float_images,
            perturbation=noise,
            steps=steps,
            threat_model=ball,
        )
