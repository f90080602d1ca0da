"""Gradients that lead nowhere: all zeros, or no numbers."""

from __future__ import annotations

from torch import Tensor

Flaws = dict[str, Tensor]
"""By name, (N,) bool each: ``zero_gradient``, exactly 0 everywhere; ``bad_gradient``, NaN or
infinite somewhere."""

_NAMES = ("zero_gradient", "bad_gradient")


def mended(gradient: Tensor, labelled: Tensor) -> tuple[Tensor, Flaws]:
    """Take a gradient as 0 where it is NaN or infinite, and tell what was wrong with it.

    Image by image, one such value would else spread over the whole perturbation.

    Args:
        gradient: (N, C, H, W).
        labelled: (N,) bool, images of which not everything is void; of others 0 is right.

    Returns:
        The gradient, finite, and its flaws.
    """
    flat = gradient.flatten(1)
    low, high = flat.amin(1), flat.amax(1)  # both are NaN where a value is
    zero = (low == 0) & (high == 0) & labelled
    bad = ~(low.isfinite() & high.isfinite())
    return gradient.nan_to_num(0.0, 0.0, 0.0), dict(zip(_NAMES, (zero, bad), strict=True))


def flaw_facts(traces: dict[str, Tensor]) -> dict[str, Tensor]:
    """Take the flaws out of a run's traces, (N, T) each, and return them as shares of its steps.

    Returns:
        (N,) in [0, 1] each.
    """
    return {name: traces.pop(name).float().mean(1) for name in _NAMES}
