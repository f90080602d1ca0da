"""Checks that compare two attacks: the weaker one must not fool more than the stronger one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from project.report.masking.attack_outcome import Outcome, Outcomes, by_budget, strongest

ALPHA = 0.05
"""The chance that chance alone flags anything in a run, after Holm's correction."""
MARGIN = 0.01
"""The least lead that is flagged: trifles can be certain, and still be no sign [ours]."""
LEAST_GAIN = {"images": 0.02, "pixels": 0.5}
"""Of the images that withstand a budget, the share on which twice the budget must get further: of
classifiers 1 in 50 falls, of segmenters every other image loses a pixel more [ours]."""
_SATURATED = 0.99


@dataclass(frozen=True)
class StrengthTest:
    """A one-sided paired test of an attack that should be weaker against a stronger one.

    Attributes:
        weaker: the outcome that must not fool more.
        stronger: the outcome that must not fool less.
        p: under the hypothesis that the weaker attack is not ahead.
        suspicious: whether the lead is large enough to matter, significant or not.
        telling: the uncorrected p up to which a suspicion stays undecided.
        corrected: p by Holm, over all comparisons of the run.
    """

    weaker: Outcome
    stronger: Outcome
    p: float
    suspicious: bool
    telling: float = ALPHA
    corrected: float = math.nan

    @property
    def flagged(self) -> bool:
        """Whether the suspicion is significant."""
        return self.suspicious and self.corrected < ALPHA

    @property
    def undecided(self) -> bool:
        """Whether there is a suspicion that too few images neither confirm nor clear."""
        return self.suspicious and not self.flagged and self.p <= self.telling

    @property
    def lead(self) -> float:
        """The weaker attack's share fooled minus the stronger one's, in [-1, 1]."""
        return self.weaker.share - self.stronger.share


def not_ahead(weaker: Outcome, stronger: Outcome) -> StrengthTest:
    """Compare two attacks by the exact sign test over images, one-sided.

    Of the images on which they differ, the weaker one fools more on at most half. Of classifiers,
    where an image is fooled or not, this is McNemar's exact test.

    Source: see :func:`project.statistics.paired_tests.mcnemar`.
    """
    ours, theirs = _common(weaker, stronger)
    first, second = weaker.fooled[ours], stronger.fooled[theirs]
    more, fewer = int((first > second).sum()), int((first < second).sum())
    p = float(binom.sf(more - 1, more + fewer, 0.5))
    return StrengthTest(weaker, stronger, p, weaker.share - stronger.share >= MARGIN)


def gains(smaller: Outcome, larger: Outcome) -> StrengthTest:
    """Compare a budget with one at least twice as large: does it get any further?

    Of the images that the smaller one leaves something of, :data:`LEAST_GAIN` must lose more to the
    larger one; p is the binomial chance that as few do as did.
    """
    ours, theirs = _common(smaller, larger)
    before, after = smaller.fooled[ours], larger.fooled[theirs]
    left = before < smaller.right[ours]
    gained = int((left & (after > before)).sum())
    p = float(binom.cdf(gained, int(left.sum()), LEAST_GAIN[smaller.unit]))
    further = larger.share > smaller.share or smaller.share >= _SATURATED
    # Seeing no gain is never evidence of health: however large p is, it stays undecided.
    return StrengthTest(smaller, larger, p, suspicious=not further, telling=1.0)


def _common(ours: Outcome, theirs: Outcome) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the places, in either, of the images of which something is right in both."""
    if ours.index is theirs.index:
        places = np.flatnonzero((ours.right > 0) & (theirs.right > 0))
        return places, places
    mine, other = (np.flatnonzero(one.right > 0) for one in (ours, theirs))
    _, first, second = np.intersect1d(
        ours.index[mine], theirs.index[other], assume_unique=True, return_indices=True
    )
    return mine[first], other[second]


Find = Callable[[Outcomes, str], Iterator[StrengthTest]]


@dataclass(frozen=True)
class Contest:
    """A check of attacks against attacks.

    Attributes:
        name: of the check.
        flaw: what is said where it is flagged.
        health: what is said where it is passed.
        needs: the attacks without which it cannot be made.
        advice: what to run where it is flagged.
        find: the comparisons on a victim.
    """

    name: str
    flaw: str
    health: str
    needs: str
    advice: str
    find: Find


def _one_step(board: Outcomes, victim: str) -> Iterator[StrengthTest]:
    """Compare each one-step attack with the best iterative one of its budget."""
    for attacks in by_budget(board.white_box(victim, "gradient")).values():
        iterative = [one for one in attacks if (one.traits.steps or 0) > 1]
        for one in attacks:
            if one.traits.steps == 1 and iterative:
                yield not_ahead(one, strongest(iterative))


def _more_steps(board: Outcomes, victim: str) -> Iterator[StrengthTest]:
    """Compare each number of steps of one method and budget with the next larger one."""
    for attacks in by_budget(board.white_box(victim, "gradient")).values():
        for ladder in _by_method([one for one in attacks if (one.traits.steps or 0) > 1]):
            ladder.sort(key=_steps)
            rungs = [strongest(same) for _, same in groupby(ladder, _steps)]
            yield from (not_ahead(fewer, more) for fewer, more in pairwise(rungs))


def _larger_budget(board: Outcomes, victim: str) -> Iterator[StrengthTest]:
    """Compare the best attack of each budget with that of the next one at least twice as large."""
    balls = by_budget(board.white_box(victim, "gradient"))
    for ball, attacks in balls.items():
        wider = [b for b in balls if b.norm == ball.norm and b.eps >= 2 * ball.eps]
        if wider:
            smaller, larger = strongest(attacks), strongest(balls[min(wider)])
            yield not_ahead(smaller, larger)
            yield gains(smaller, larger)


def _without_gradient(board: Outcomes, victim: str) -> Iterator[StrengthTest]:
    """Compare what needs no gradient of the victim with the best attack that follows it.

    Without a bound anything falls to anything, and who is ahead says nothing.
    """
    search = by_budget([*board.white_box(victim, "black_box"), *board.transferred(victim)])
    for ball, attacks in by_budget(board.white_box(victim, "gradient")).items():
        for one in [] if ball.boundless else search.get(ball, []):
            yield not_ahead(one, strongest(attacks))


def _by_method(attacks: list[Outcome]) -> list[list[Outcome]]:
    found: dict[str, list[Outcome]] = {}
    for one in attacks:
        found.setdefault(one.traits.method, []).append(one)
    return list(found.values())


def _steps(one: Outcome) -> int:
    return one.traits.steps or 0


CONTESTS = (
    Contest(
        "one step",
        "one step beats many",
        "one step does not beat many",
        "FGSM and PGD at one budget",
        "Give the iterative attack restarts and smaller steps; if one step still wins, believe "
        "attacks without gradient (Square) instead.",
        _one_step,
    ),
    Contest(
        "more steps",
        "more steps fool less",
        "more steps do not fool less",
        "PGD with few and with many steps at one budget",
        "Take a smaller step size or APGD, which chooses its own, and look at the objective step "
        "by step.",
        _more_steps,
    ),
    Contest(
        "larger budget",
        "a larger budget does not help",
        "a larger budget helps",
        "a gradient attack at two budgets, one twice the other",
        "Attack with Square at both budgets, and from another source.",
        _larger_budget,
    ),
    Contest(
        "no gradient",
        "an attack without the victim's gradient beats those that follow it",
        "no attack without the victim's gradient beats those that follow it",
        "Square or a second source, at the budget of a gradient attack",
        "Count the stronger attack's number, and attack with a differentiable stand-in for what "
        "hides the gradient (BPDA).",
        _without_gradient,
    ),
)
