"""The first numbers of a report: how strong each attack is on its source and on others."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from project.report.numbers import percent
from project.report.run import Run
from project.report.segmentation.compare import PairMean
from project.statistics.bootstrap import Estimate
from project.statistics.wilson import wilson
from project.storage.rows import Measure


@dataclass(frozen=True)
class Headline:
    """One number with its denominator and, if there is one, its interval."""

    label: str
    value: str
    basis: str
    interval: str = ""


@dataclass(frozen=True)
class AttackHeadline:
    """An attack's name, and its white-box and transfer numbers."""

    attack: str
    numbers: list[Headline]


def headlines(run: Run, means: Sequence[PairMean] = ()) -> list[AttackHeadline]:
    """Return each attack's headline numbers.

    Args:
        run: the run.
        means: of segmenters' mIoU over pairs, for their intervals.
    """
    if run.task == "classification":
        return [AttackHeadline(attack, _rates(run, attack)) for attack in run.attacks]
    bounds = {(one.attack, str(one.group)): one.estimate for one in means if one.metric == "miou"}
    return [AttackHeadline(attack, _mious(run, attack, bounds)) for attack in run.attacks]


def _pairs(run: Run, attack: str, metric: str, white_box: bool) -> list[Measure]:
    found = [
        run.measure(metric, attack, source, victim)
        for source in run.sources(attack)
        for victim in run.victims
        if (source == victim if white_box else run.transfers(source, victim))
    ]
    return [measure for measure in found if measure and not math.isnan(measure.value)]


def _rates(run: Run, attack: str) -> list[Headline]:
    return [
        _pooled("white-box success", _pairs(run, attack, "asr", True)),
        _pooled("transfer success", _pairs(run, attack, "asr", False)),
    ]


def _pooled(label: str, rates: list[Measure]) -> Headline:
    """Pool pairs of source and victim.

    Each pair judges much the same images, so they are no independent trials: the interval is that
    of a single pair of their mean size, which errs on the wide side.
    """
    total = sum(rate.total or 0 for rate in rates)
    if total == 0:
        return Headline(label, "–", "no pair of source and victim")
    hits = sum(rate.hits or 0 for rate in rates)
    low, high = wilson(hits / total, total / len(rates))
    pairs = f"{len(rates)} pair{'s' if len(rates) > 1 else ''}"
    return Headline(
        label,
        percent(hits / total),
        f"{hits} of {total} in {pairs}",
        f"{100 * low:.1f}–{100 * high:.1f} %",
    )


def _mious(run: Run, attack: str, bounds: Mapping[tuple[str, str], Estimate]) -> list[Headline]:
    white, other = (_pairs(run, attack, "miou", white_box) for white_box in (True, False))
    return [
        _averaged(run, "white-box mIoU", white, bounds.get((attack, "white box"))),
        _averaged(run, "transfer mIoU", other, bounds.get((attack, "transfer"))),
    ]


def _averaged(run: Run, label: str, mious: list[Measure], estimate: Estimate | None) -> Headline:
    if not mious:
        return Headline(label, "–", "no pair of source and victim")
    mean = sum(miou.value for miou in mious) / len(mious)
    clean = [found.value for m in mious if (found := run.clean("clean_miou", m.victim))]
    before = f", clean {percent(sum(clean) / len(clean))}" if clean else ""
    pairs = f"{len(mious)} pair{'s' if len(mious) > 1 else ''}"
    images = max((miou.total or 0 for miou in mious), default=0) or run.facts.get("images")
    over = f" over {images} images" if images else ""
    ends = ""
    if estimate is not None and not math.isnan(estimate.low):
        ends = f"{100 * estimate.low:.1f}–{100 * estimate.high:.1f} %"
    return Headline(label, percent(mean), f"mean of {pairs}{over}{before}", ends)
