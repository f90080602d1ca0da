"""The interval of a rate."""

from __future__ import annotations

import math

_Z = 1.959963984540054  # the normal quantile of 97.5 %


def wilson(rate: float, trials: float) -> tuple[float, float]:
    r"""Return the 95 % Wilson score interval of a rate.

    $$\frac{\hat p + z^2/2n \pm z\sqrt{\hat p(1-\hat p)/n + z^2/4n^2}}{1 + z^2/n}$$, z = 1.96.
    Unlike the normal approximation it stays inside [0, 1] and has a width at 0 and at n hits.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
    Journal of the American Statistical Association 22, 1927.

    Args:
        rate: in [0, 1].
        trials: how many independent trials it rests on, greater than 0. It may be a fraction: a
            rate over pairs that share their images rests on the images of one pair.

    Returns:
        Both ends, in [0, 1].
    """
    # SciPy's interval refuses fractional trials; this is its order of operations, to the last bit.
    across = 2 * (trials + _Z**2)
    centre = (2 * trials * rate + _Z**2) / across
    half = _Z / across * math.sqrt(4 * trials * rate * (1 - rate) + _Z**2)
    # At its ends the formula is exact, its rounding is not.
    return 0.0 if rate == 0 else centre - half, 1.0 if rate == 1 else centre + half
