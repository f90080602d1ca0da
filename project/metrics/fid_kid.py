"""FID and KID: distances between two sets of images, from the features of each.

Convention
    features   (N, D), a row per image; computed in float64
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

BIASED_BELOW = 10_000
"""With fewer images FID is far from its limit, so that only values of equal N compare."""

_ROWS = 1024  # rows of a kernel matrix computed at a time, to bound memory


def frechet_distance(first: Tensor, second: Tensor) -> float:
    r"""Return the Fréchet distance of two Gaussians fitted to features: FID.

    $$\|\mu_1 - \mu_2\|^2 + \mathrm{tr}(\Sigma_1) + \mathrm{tr}(\Sigma_2) - 2\,\mathrm{tr}
    (\Sigma_1 \Sigma_2)^{1/2}$$. With $$\Sigma_i = A_i^T A_i$$ the last trace is the nuclear norm of
    $$A_1 A_2^T$$, N×N instead of D×D: no square root of a singular matrix, and fast for N < D.

    Biased for small N, below about 10,000 by far: compare values of equal N only.

    Source: Heusel et al., "GANs trained by a two time-scale update rule converge to a local Nash
    equilibrium", NeurIPS 2017, eq. (6).

    Args:
        first: (N, D), N at least 2.
        second: (M, D), likewise.

    Returns:
        At least 0; NaN with fewer than 2 images, which have no covariance.
    """
    if min(len(first), len(second)) < 2:
        return float("nan")
    first, second = first.double(), second.double()
    root, other = _root(first), _root(second)
    shift = (first.mean(0) - second.mean(0)).square().sum()
    spread = root.square().sum() + other.square().sum()
    overlap = torch.linalg.svdvals(root @ other.T).sum()
    return max(0.0, float(shift + spread - 2 * overlap))


def kernel_distance(first: Tensor, second: Tensor) -> float:
    r"""Return the unbiased squared MMD of two sets of features: KID.

    $$\frac{1}{N(N-1)} \sum_{i \ne j} k(x_i, x_j) + \frac{1}{M(M-1)} \sum_{i \ne j} k(y_i, y_j) -
    \frac{2}{NM} \sum_{i,j} k(x_i, y_j)$$ with $$k(x, y) = (x^T y / D + 1)^3$$, over all images at
    once: no random subsets. Unbiased at any N where the sets are independent; it can be negative.

    Source: Bińkowski, Sutherland, Arbel, Gretton, "Demystifying MMD GANs", ICLR 2018, eq. (4).

    Args:
        first: (N, D), N at least 2.
        second: (M, D), likewise.

    Returns:
        The distance; NaN with fewer than 2 images.
    """
    if min(len(first), len(second)) < 2:
        return float("nan")
    first, second = first.double(), second.double()
    within = _mean_of_others(first) + _mean_of_others(second)
    return within - 2 * _kernel_sum(first, second) / (len(first) * len(second))


def paired_kernel_distance(first: Tensor, second: Tensor) -> float:
    r"""Return the unbiased squared MMD of two sets whose rows are paired: KID of pairs.

    As :func:`kernel_distance`, but the last mean is over i ≠ j too: $$\frac{1}{N(N-1)} \sum_{i \ne
    j} k(x_i, x_j) + k(y_i, y_j) - 2 k(x_i, y_j)$$. An adversarial image resembles the image that it
    was made from, which independent sets would not: with these pairs counted, KID is biased
    downwards by their mean similarity over N, to far below 0 where N is small. Without them it is
    unbiased at any N, and 0 for equal sets.

    Source: Gretton, Borgwardt, Rasch, Schölkopf, Smola, "A kernel two-sample test", JMLR 13, 2012,
    lemma 6, eq. (4).

    Args:
        first: (N, D), N at least 2.
        second: (N, D), row by row the partners of the first.

    Returns:
        The distance; NaN with fewer than 2 pairs, since there is no i ≠ j.
    """
    count, dimension = first.shape
    if count < 2:
        return float("nan")
    first, second = first.double(), second.double()
    pairs = float(_kernel((first * second).sum(1), dimension).sum())
    across = (_kernel_sum(first, second) - pairs) / (count * (count - 1))
    return _mean_of_others(first) + _mean_of_others(second) - 2 * across


def _root(features: Tensor) -> Tensor:
    """Return A with AᵀA the covariance, (min(N, D), D)."""
    centred = (features - features.mean(0)) / math.sqrt(len(features) - 1)
    if len(centred) <= centred.shape[1]:
        return centred
    _, triangle = torch.linalg.qr(centred, mode="r")
    assert isinstance(triangle, Tensor)
    return triangle


def _mean_of_others(features: Tensor) -> float:
    """Return the mean kernel over pairs of different images of one set."""
    own = _kernel(features.square().sum(1), features.shape[1]).sum()
    count = len(features)
    return (_kernel_sum(features, features) - float(own)) / (count * (count - 1))


def _kernel_sum(first: Tensor, second: Tensor) -> float:
    parts = (_kernel(rows @ second.T, first.shape[1]).sum() for rows in torch.split(first, _ROWS))
    return float(sum(parts))


def _kernel(products: Tensor, dimension: int) -> Tensor:
    return (products / dimension + 1).pow(3)
