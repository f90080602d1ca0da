"""The checks that compare attacks with attacks: which one should not be ahead of which."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise

from project.report.masking.comparison import Comparison, gains, not_ahead
from project.report.masking.outcome import Board, Outcome, by_budget, strongest

Find = Callable[[Board, str], Iterator[Comparison]]


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


def _one_step(board: Board, victim: str) -> Iterator[Comparison]:
    """Compare each one-step attack with the best iterative one of its budget."""
    for attacks in by_budget(board.white_box(victim, "gradient")).values():
        iterative = [one for one in attacks if (one.traits.steps or 0) > 1]
        for one in attacks:
            if one.traits.steps == 1 and iterative:
                yield not_ahead(one, strongest(iterative))


def _more_steps(board: Board, victim: str) -> Iterator[Comparison]:
    """Compare each number of steps of one method and budget with the next larger one."""
    for attacks in by_budget(board.white_box(victim, "gradient")).values():
        for ladder in _by_method([one for one in attacks if (one.traits.steps or 0) > 1]):
            ladder.sort(key=_steps)
            rungs = [strongest(same) for _, same in groupby(ladder, _steps)]
            yield from (not_ahead(fewer, more) for fewer, more in pairwise(rungs))


def _larger_budget(board: Board, victim: str) -> Iterator[Comparison]:
    """Compare the best attack of each budget with that of the next one at least twice as large."""
    balls = by_budget(board.white_box(victim, "gradient"))
    for ball, attacks in balls.items():
        wider = [b for b in balls if b.norm == ball.norm and b.eps >= 2 * ball.eps]
        if wider:
            smaller, larger = strongest(attacks), strongest(balls[min(wider)])
            yield not_ahead(smaller, larger)
            yield gains(smaller, larger)


def _without_gradient(board: Board, victim: str) -> Iterator[Comparison]:
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
