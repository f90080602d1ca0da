"""Attacks compared on the same images and victims: success, quality at matched success, tests."""

from __future__ import annotations

from dataclasses import dataclass

from project.report.columns import perceptual
from project.report.comparison.quality import (
    QualityContrast,
    QualityMean,
    qualities,
    quality_contrasts,
)
from project.report.comparison.success import Success, SuccessContrast, success_contrasts, successes
from project.report.comparison.white_box import WhiteBox

_MATCHED = 0.5
"""The least success of an attack whose quality is compared [ours]."""


@dataclass(frozen=True)
class Comparison:
    """All that is compared.

    Attributes:
        reference: the attack that the others are tested against.
        attacks: what is compared, in the run's order.
        victims: attacked by all of them.
        matched: by victim, how many of its images every attack fools, but for the weak ones.
        matched_images: how many different images these are.
        weak: attacks that fool fewer than half of the pairs; there is no success to match, and with
            them hardly a pair would be left to compare the others on.
        successes: attacks × (victims, then all of them together).
        qualities: attacks × metrics.
        quality_contrasts: other attacks × metrics.
        success_contrasts: other attacks × victims.
        methods: by attack, see :mod:`project.report.comparison.published`.
        fooled: pairs that each attack fools.
    """

    reference: str
    attacks: list[str]
    victims: list[str]
    matched: dict[str, int]
    matched_images: int
    weak: list[str]
    metrics: list[str]
    successes: list[Success]
    qualities: list[QualityMean]
    quality_contrasts: list[QualityContrast]
    success_contrasts: list[SuccessContrast]
    methods: dict[str, str]
    fooled: dict[str, int]

    @property
    def pairs(self) -> int:
        """How many pairs of image and victim every attack fools, but for the weak ones."""
        return sum(self.matched.values())


def compare(data: WhiteBox, reference: str | None = None) -> Comparison:
    """Compare attacks.

    Args:
        data: the rows.
        reference: the attack that the others are tested against; None is the first SSTA.

    Raises:
        ValueError: if the reference is none of them.
    """
    attacks, chosen = data.tabled(), data.reference(reference)
    others = [attack for attack in attacks if attack != chosen]
    strong = [a for a in attacks if data.fooled[a].sum() >= _MATCHED * data.judged[a].sum()]
    compared = strong if len(strong) > 1 else attacks
    matched = data.matched(compared)
    metrics = perceptual(data.metrics)
    return Comparison(
        reference=chosen,
        attacks=attacks,
        victims=data.victims,
        matched=dict(zip(data.by_name, matched.sum(0).tolist(), strict=True)),
        matched_images=int(matched.any(1).sum()),
        weak=[attack for attack in attacks if attack not in compared],
        metrics=metrics,
        successes=[success for attack in attacks for success in successes(data, attack)],
        qualities=qualities(data, compared, metrics, matched),
        quality_contrasts=quality_contrasts(data, chosen, others, metrics),
        success_contrasts=success_contrasts(data, chosen, others),
        methods=data.methods,
        fooled={attack: int(data.fooled[attack].sum()) for attack in attacks},
    )
