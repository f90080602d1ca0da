"""How visible attacks are: means of the metrics over fooled images, and FID and KID of all."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from project.report.columns import column
from project.report.numbers import interval, number, percent
from project.report.run import Run
from project.statistics.bootstrap import Floats
from project.storage.rows import Measure


@dataclass(frozen=True)
class VisibilityTable:
    """A row per attack and source: attack, source, images, then a text per column."""

    columns: list[str]
    rows: list[tuple[str, str, str, list[str]]]


@dataclass(frozen=True)
class SetTable:
    """Distances between sets of images: a row per attack and source, with a text per column."""

    columns: list[str]
    rows: list[tuple[str, str, list[str]]]


@dataclass(frozen=True)
class BothRates:
    """Both definitions of a success rate for an attack that needs a salient region."""

    attack: str
    source: str
    ours: str
    papers: str
    skipped: str


def visibility(run: Run) -> VisibilityTable:
    """Return means per attack and source over the images whose source was fooled.

    Classification: right on the clean image and wrong now. Segmentation: any pixel likewise.
    """
    columns = run.results.float_columns
    rows = []
    for attack, source in run.white_box:
        names = ("fooled", "fooled_pixels", "steps", *columns)
        found = run.results.columns(names, (attack, source, source))
        fooled = (found["fooled"] > 0) | (found["fooled_pixels"] > 0)
        steps = found["steps"][fooled & ~np.isnan(found["steps"])]
        cells = [number(float(np.median(steps)), 0) if len(steps) else "–"]
        cells += [_mean(name, found[name][fooled]) for name in columns]
        rows.append((attack, source, f"{fooled.sum()} of {len(found)}", cells))
    return VisibilityTable(["steps (median)", *(column(name).title for name in columns)], rows)


def set_distances(run: Run) -> SetTable:
    """Return FID and KID per attack and source, each with the number of images.

    Without either among the measures, the table has no column.
    """
    names = [m.metric for m in run.measures if m.metric.startswith(("fid_", "kid_"))]
    columns = list(dict.fromkeys(names))
    rows = []
    for attack in run.attacks:
        for source in run.sources(attack):
            found = [run.measure(name, attack, source, source) for name in columns]
            rows.append((attack, source, [_with_count(measure) for measure in found]))
    return SetTable(columns, rows)


def both_rates(run: Run) -> list[BothRates]:
    """Return success over all images that the source got right, and as SSTA's paper counts it.

    Only attacks that start from a salient region have both.
    """
    found = []
    for attack, source in run.white_box:
        ours = run.measure("asr", attack, source, source)
        papers = run.measure("asr_paper", attack, source, source)
        if ours is None or papers is None:
            continue
        clean = run.results.columns(["clean_correct"], (attack, source, source))["clean_correct"]
        wrong = (clean == 0).sum()
        left_out = run.measure("small_mask", attack, source, source)
        small = (ours.total or 0) - (papers.total or 0) if left_out is None else left_out.hits
        skipped = f"{small} small mask, {wrong} wrong when clean"
        found.append(BothRates(attack, source, _in_full(ours), _in_full(papers), skipped))
    return found


def _mean(name: str, values: Floats) -> str:
    finite, endless = values[np.isfinite(values)], int(np.isinf(values).sum())
    infinite = f" (+{endless} × ∞)" if endless else ""
    if not len(finite):
        return "–" + infinite
    mean = column(name).scale * math.fsum(finite.tolist()) / len(finite)
    return number(mean, column(name).places(mean)) + infinite


def _with_count(measure: Measure | None) -> str:
    if measure is None or math.isnan(measure.value):
        return "–"
    return f"{measure.value:.3g} (N = {measure.total})"


def _in_full(rate: Measure) -> str:
    if not rate.total:
        return "– (0 of 0)"
    return f"{percent(rate.value)} ({rate.hits} of {rate.total}, {interval(rate)})"
