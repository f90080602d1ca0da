"""Paired contrasts: an attack against a reference on the same images, and which is ahead."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from project.statistics.paired_tests import holm

Winner = Literal["reference", "other", "neither"]
LEVEL = 0.05
"""Of significance, after Holm's correction."""


@dataclass(frozen=True, kw_only=True)
class PairedContrast:
    """An attack against the reference in one quantity, with the p-value of a paired test.

    Attributes:
        attack: the other attack.
        ahead: which of the two is better in the sample, whether or not the test shows it.
        p: of the two-sided test.
        corrected: p by Holm, over all contrasts of the same table; NaN before the correction.
    """

    attack: str
    ahead: Winner
    p: float
    corrected: float = math.nan

    @property
    def winner(self) -> Winner:
        """Who is better, where the corrected p is below 5 %."""
        # NaN, of what could not be tested, is below nothing.
        return self.ahead if self.corrected < LEVEL else "neither"


AnyContrast = TypeVar("AnyContrast", bound=PairedContrast)


def ahead_by(lead: float) -> Winner:
    """Return who is ahead by the reference's lead over the other attack; at 0 or NaN neither is."""
    return "reference" if lead > 0 else "other" if lead < 0 else "neither"


def corrected(contrasts: Sequence[AnyContrast]) -> list[AnyContrast]:
    """Return the contrasts of a table with their p-values corrected by Holm for their number."""
    p_values = holm([one.p for one in contrasts])
    return [replace(one, corrected=p) for one, p in zip(contrasts, p_values, strict=True)]
