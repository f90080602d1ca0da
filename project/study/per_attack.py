"""Per attack: the share of judgements as unmodified, and the sensitivity d' of the raters."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from project.report.run_rows import Row
from project.statistics.bootstrap import Estimate, Floats, bootstrap
from project.statistics.detection import forced_choice, yes_no
from project.statistics.wilson import wilson
from project.storage.rows import LEADING_FLOATS
from project.study.answers import Judgement
from project.study.settings import Settings
from project.study.stimulus_kind import CLEAN, Panel

Facts = Mapping[tuple[str, int], Row]
"""The run's measurements by attack and image."""


@dataclass(frozen=True)
class AttackJudgements:
    """Judgements of one attack's images, or of the hidden clean controls.

    Attributes:
        name: of the attack, ``clean`` for the controls.
        unmodified: judgements that took it for unmodified; in a forced choice, chose the other.
        total: judgements.
        by_wilson: interval of the share, as if judgements were independent.
        by_raters: the share with its interval over raters, who are drawn whole; NaN where all have
            the same share, since that interval would be a point.
        dprime: likewise of d'.
        fooling: judgements of images that fool the source, None where the run does not tell.
        fooling_unmodified: those of them that took it for unmodified.
        means: of the run's metrics, over the images judged, where they are finite.
    """

    name: str
    unmodified: int
    total: int
    by_wilson: tuple[float, float]
    by_raters: Estimate
    dprime: Estimate
    fooling: int | None
    fooling_unmodified: int | None
    means: dict[str, float]


def shares(
    settings: Settings, counted: Sequence[Judgement], facts: Facts
) -> list[AttackJudgements]:
    """Sum up the judgements: the attacks in the study's order, then the hidden controls.

    Args:
        settings: of the study.
        counted: judgements of accepted raters, none of checks and none missing.
        facts: what the run measured.
    """
    order = [*(Panel("attack", name) for name in settings.attacks), CLEAN]
    targets = [target for target in order if any(one.target == target for one in counted)]
    estimates = _estimates(settings, counted, targets)
    return [
        _share(target, [one for one in counted if one.target == target], facts, *estimate)
        for target, estimate in zip(targets, estimates, strict=True)
    ]


def _estimates(
    settings: Settings, counted: Sequence[Judgement], targets: Sequence[Panel]
) -> list[tuple[Estimate, Estimate]]:
    """Return the share judged unmodified and d' of each target, with intervals over raters."""
    raters = sorted({one.rater for one in counted})
    sums = np.zeros((len(raters), 2, len(targets)))
    for one in counted:
        cell = raters.index(one.rater), slice(None), targets.index(one.target)
        sums[cell] += bool(one.modified), 1
    controls = [targets.index(CLEAN)] if CLEAN in targets else []

    def statistic(columns: Floats) -> Floats:
        modified, total = columns.reshape(len(columns), 2, len(targets)).swapaxes(0, 1)
        share = 1 - modified / np.where(total > 0, total, np.nan)
        if settings.design == "2afc":
            dprime = forced_choice(modified, total)
        elif controls:
            dprime = yes_no(modified, total, modified[:, controls], total[:, controls])
        else:
            dprime = np.full_like(share, np.nan)
        dprime[:, controls] = np.nan
        return np.hstack([share, dprime])

    found = bootstrap(sums.reshape(len(raters), -1), statistic)
    shares = [
        estimate if _differ(sums[:, :, place]) else Estimate(estimate.value, math.nan, math.nan)
        for place, estimate in enumerate(found[: len(targets)])
    ]
    return list(zip(shares, found[len(targets) :], strict=True))


def _differ(sums: Floats) -> bool:
    """Return whether raters differ in their share; else drawing them anew shows no uncertainty.

    Args:
        sums: (raters, 2), judged modified and judged at all.
    """
    modified, total = sums[sums[:, 1] > 0].T
    return len(np.unique(modified / total)) > 1


def _share(
    target: Panel,
    answers: Sequence[Judgement],
    facts: Facts,
    by_raters: Estimate,
    dprime: Estimate,
) -> AttackJudgements:
    known = [(one, facts.get((one.attack, one.image), {})) for one in answers]
    fooling = [one for one, row in known if row.get("fooled")]
    told = any(row.get("fooled") is not None for _, row in known)
    unmodified = sum(not one.modified for one in answers)
    shown = {one.image: row for one, row in known}.values()
    return AttackJudgements(
        name=target.attack or target.kind,
        unmodified=unmodified,
        total=len(answers),
        by_wilson=wilson(unmodified / len(answers), len(answers)),
        by_raters=by_raters,
        dprime=dprime,
        fooling=len(fooling) if told else None,
        fooling_unmodified=sum(not one.modified for one in fooling) if told else None,
        means={
            name: float(np.mean(values))
            for name in LEADING_FLOATS
            # An image that did not change has an infinite PSNR, which would be the mean.
            if (values := [row[name] for row in shown if _finite(row.get(name))])
        },
    )


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
