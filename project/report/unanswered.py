"""Naming the victims whose answers were no predictions; the rule is :mod:`project.core.answers`."""

from __future__ import annotations

from collections.abc import Sequence

from project.report.run import Run
from project.storage.rows import Measure

METRICS = ("unanswered", "clean_unanswered")
_HALF = ("16-mixed", "16-true", "bf16-mixed", "bf16-true")
_SHOWN = 3


def unanswered_sentences(run: Run) -> list[str]:
    """Return a line per victim with NaN or infinite logits: where, how many, why, what to do."""
    found: dict[str, list[Measure]] = {}
    for measure in run.measures:
        if measure.metric in METRICS:
            found.setdefault(measure.victim, []).append(measure)
    return [_sentence(run, victim, lost) for victim, lost in found.items()]


def _sentence(run: Run, victim: str, lost: Sequence[Measure]) -> str:
    unit = "pixels" if run.task == "segmentation" else "images"
    worst = sorted(lost, key=lambda one: -one.value)
    places = [f"{one.hits:,} of {one.total:,} {unit} {_where(one)}" for one in worst[:_SHOWN]]
    more = f", and in {len(worst) - _SHOWN} more passes" if len(worst) > _SHOWN else ""
    clean = "" if any(not one.attack for one in lost) else " (none on clean images)"
    return (
        f"{victim} gave NaN or infinite logits for {'; '.join(places)}{more}{clean}. These are no "
        f"predictions and count in no rate. {_cause(str(run.facts.get('precision') or ''))}"
    )


def _cause(precision: str) -> str:
    if precision in _HALF:
        return f"Precision {precision} is the likely cause: run with --trainer.precision 32-true."
    return (
        "An overflow in the network is the likely cause, most often half precision inside it: let "
        "it compute in float32, and look at its weights and normalisation."
    )


def _where(measure: Measure) -> str:
    if not measure.attack:
        return "on clean images"
    made = "" if measure.source == measure.victim else f" made on {measure.source}"
    return f"under {measure.attack}{made}"
