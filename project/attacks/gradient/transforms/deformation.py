"""Input transform of DeCowA: images warped by a thin plate whose inner vertices are moved."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, partial

import torch
from torch import Tensor

from project.attacks.gradient.transforms.moved import Canvas, Origins, resampled_whole
from project.attacks.gradient.transforms.transform import InputTransform, View
from project.core.errors import InputError
from project.core.randomness import Draws
from project.images.sampling import Border, Sampling


@dataclass(frozen=True)
class Deformation(InputTransform):
    r"""Show the image warped smoothly at random.

    A mesh of vertices lies over the image, its outermost on the edges. The inner ones are moved,
    each by $$\xi \sim U(-\rho, \rho)$$ half sides along each axis, and what lies between follows as
    a thin plate does that is bent as little as possible. A pixel of the view shows what lies in the
    image where the plate takes it. Labels and clean logits move with the pixels; what comes from
    nowhere is void.

    This is the paper's vertex-based warping, without its constraint: DeCowA moves the drawn
    vertices by one small step against the victim's loss before it warps. That asks the victim,
    which an input transform never does, and doubles the passes.

    Source: Lin et al., "Boosting Adversarial Transferability across Model Genus by
    Deformation-Constrained Warping", AAAI 2024, section 3.3 [paper]; mesh, distances and zeros
    beyond the edges [port], where the vertices of all images are moved alike.
    """

    mesh: int = 3
    """Number of vertices along each axis, at least 3: those on the edges stay."""
    strength: float = 1.0
    """Greatest distance ρ that a vertex is moved, in half sides of the image."""
    edges: Border = "zeros"
    """What lies beyond the image: ``zeros``, black and void, or ``mirrored``, the image mirrored at
    its edges."""
    sampling: Sampling = "bilinear"
    """What is shown between the middles of pixels: ``bilinear`` blends four; ``nearest`` takes the
    nearest, with its own label, and costs half as much."""
    copies: int = 20
    """Number of views at each step, 20 as in the paper."""

    def __post_init__(self) -> None:
        if self.mesh < 3 or self.copies < 1 or self.strength <= 0:
            raise InputError(
                "mesh must be at least 3, copies at least 1 and strength above 0, got "
                f"{self.mesh}, {self.copies}, {self.strength}."
            )

    @property
    def view_count(self) -> int:
        """Number of views of a step."""
        return self.copies

    def views(self, draws: Draws) -> Iterator[View]:
        """Yield the warped copies; two draws for each inner vertex."""
        for number in range(self.copies):
            chances = draws.keyed("copy", number).uniform(2, (self.mesh - 2) ** 2)
            yield resampled_whole(partial(self._origins, chances), self.edges, self.sampling)

    def _origins(self, chances: Tensor, canvas: Canvas) -> Origins:
        chances = chances.double().to(canvas.device, non_blocking=True)
        moved = (self.strength * (2 * chances - 1)).to(canvas.dtype)[..., None, None]
        bends = plate(self.mesh, canvas)
        rows, columns = (
            torch.arange(side, device=canvas.device, dtype=canvas.dtype) + 0.5
            for side in (canvas.height, canvas.width)
        )
        across = columns.expand(len(chances), canvas.height, -1)
        down = rows[:, None].expand(len(chances), -1, canvas.width)
        for vertex, bend in enumerate(bends):
            across = across + (canvas.width / 2) * moved[:, 0, vertex] * bend
            down = down + (canvas.height / 2) * moved[:, 1, vertex] * bend
        return Origins(down, across)


@lru_cache(maxsize=8)
def plate(mesh: int, canvas: Canvas) -> Tensor:
    r"""Return how far each pixel goes when one inner vertex of a thin plate is moved by 1.

    The plate through given points is $$\sum_k w_k\,U(|p - p_k|) + a + b^\top p$$ with
    $$U(r) = r^2 \log r^2$$, such that $$\sum_k w_k = 0,\ \sum_k w_k p_k = 0$$; it is linear in
    where the points go.

    Source: Bookstein, "Principal Warps", IEEE TPAMI, 1989 [paper].

    Args:
        mesh: number of vertices along each axis.
        canvas: of the pixels.

    Returns:
        ((mesh - 2)², H, W), inner vertices row by row.
    """
    side = torch.linspace(-1, 1, mesh, dtype=torch.float64)
    vertices = torch.cartesian_prod(side, side)  # (row, column)
    inner = (vertices.abs() < 1 - 1e-9).all(1)
    count = len(vertices)
    affine = torch.cat([torch.ones(count, 1, dtype=torch.float64), vertices], 1)
    system = torch.zeros(count + 3, count + 3, dtype=torch.float64)
    system[:count, :count] = _bending(vertices, vertices)
    system[:count, count:] = affine
    system[count:, :count] = affine.mT
    weights = torch.linalg.inv(system)[:, :count][:, inner]
    rows, columns = (
        (2 * torch.arange(size, dtype=torch.float64) + 1) / size - 1
        for size in (canvas.height, canvas.width)
    )
    pixels = torch.cartesian_prod(rows, columns)
    known = torch.cat(
        [_bending(pixels, vertices), torch.ones(len(pixels), 1, dtype=torch.float64), pixels], 1
    )
    bends: Tensor = (known @ weights).mT.reshape(-1, canvas.height, canvas.width)
    return bends.to(canvas.device, canvas.dtype, non_blocking=True)


def _bending(first: Tensor, second: Tensor) -> Tensor:
    squares = (first[:, None] - second).square().sum(-1)
    bending: Tensor = torch.special.xlogy(squares, squares)
    return bending
