"""Checks of one victim: an unbounded attack must fool all, and no gradient may be 0 or NaN."""

from __future__ import annotations

import math

import numpy as np

from project.report.masking.attack_outcome import (
    COUNTED,
    UNBOUNDED,
    Outcomes,
    counted,
    strongest,
)
from project.report.masking.check import Finding
from project.report.numbers import percent
from project.report.run import Run
from project.statistics.bootstrap import Floats

REACHED = {"images": 0.99, "pixels": 0.95}
"""Of what is right when clean, the share that an unbounded attack must fool; of pixels less, since
one noise serves all of an image, and those that are left pull little [ours]."""
MOST_ZERO = 0.01
"""The share of steps that may find a gradient of zeros: float32 has none by accident [ours]."""
_NOT_TOLD = "needs rows that tell of their gradients"
CONFIGS = "configs/attacks/masking.yaml (for segmenters masking_segmentation.yaml)"
"""Configs with the attacks that all checks need."""


def unbounded(board: Outcomes, victim: str) -> Finding:
    """Check that a gradient attack without a bound, which can make any image grey, fools all."""
    attacks = [
        one
        for one in board.white_box(victim, "gradient")
        if (ball := one.traits.budget) and ball.boundless
    ]
    if not attacks:
        said = f"needs a gradient attack with a budget of linf {UNBOUNDED} or more"
        return Finding("unbounded", victim, "not checked", said, f"{CONFIGS} has one.")
    best = strongest(attacks)
    said = f"{best}, {percent(best.share)}"
    if best.share >= REACHED[best.unit]:
        return Finding("unbounded", victim, "passed", f"any image falls without a bound: {said}")
    said = f"images withstand an attack without a bound, which is impossible: {said}"
    advice = "Give it more steps and larger ones; if it still fails, its gradients are of no use."
    return Finding("unbounded", victim, "flagged", said, advice)


def gradients(run: Run, victim: str) -> Finding:
    """Check that attacks met no gradient of zeros, and none with NaN or infinite values."""
    zero, bad = dict[str, float](), dict[str, float]()
    for attack, source in run.white_box:
        key = (attack, source, source)
        if source != victim or not run.results.count(key):
            continue
        found = run.results.columns((*COUNTED, "zero_gradient", "bad_gradient"), key)
        _, right = counted(found, run.results.is_segmented(key))
        told = (right > 0) & ~np.isnan(found["zero_gradient"])
        if told.any():
            zero[attack] = _mean(found["zero_gradient"][told])
            bad[attack] = _mean(found["bad_gradient"][told])
    if not zero:
        advice = "Run attack.py again; gradient attacks tell since this version."
        return Finding("gradients", victim, "not checked", _NOT_TOLD, advice)
    return _verdict(victim, _worst(zero), _worst(bad))


def _verdict(victim: str, zero: tuple[str, float], bad: tuple[str, float]) -> Finding:
    """Judge by the attacks that met the most gradients of zeros, and the most without a number."""
    said = f"all zero {_said(*zero)}, NaN or infinite {_said(*bad)}"
    if zero[1] <= MOST_ZERO and bad[1] == 0:
        return Finding("gradients", victim, "passed", f"the gradients are in order: {said}")
    advice = (
        "Look for rounding, saturated logits or masks on the way to the loss; attack with a margin "
        "loss (DLR) and with Square."
    )
    return Finding("gradients", victim, "flagged", f"gradients lead nowhere: {said}", advice)


def _mean(values: Floats) -> float:
    """Return a column's mean, in which what is no number counts as 0."""
    return math.fsum(np.where(np.isnan(values), 0.0, values).tolist()) / len(values)


def _worst(means: dict[str, float]) -> tuple[str, float]:
    """Return the attack with the greatest mean, and that mean."""
    worst = max(means, key=lambda name: means[name])
    return worst, means[worst]


def _said(attack: str, share: float) -> str:
    return f"in {percent(share)} of {attack}'s steps" if share else "in none"
