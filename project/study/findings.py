"""A study's results as files beside the run's report: all numbers as CSV, tables as Markdown."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from project.report.numbers import number, percent
from project.report.tables import Table, TableCell, write_markdown, write_numbers
from project.statistics.bootstrap import RESAMPLES, Estimate
from project.study.analysis import Findings
from project.study.designs import DESIGNS
from project.study.per_attack import AttackJudgements


class StudyRow(NamedTuple):
    """One number: whose, which, its interval, and of a share its counts."""

    target: str
    metric: str
    value: float
    low: float | None = None
    high: float | None = None
    hits: int | None = None
    total: int | None = None


def write_findings(stem: Path, found: Findings) -> list[Path]:
    """Write STEM.csv and STEM.md, and return both paths."""
    paths = [stem.with_name(stem.name + end) for end in (".csv", ".md")]
    write_numbers(paths[0], StudyRow._fields, _rows(found))
    write_markdown(paths[1], [_seen(found), _measured(found), _raters(found)], None)
    return paths


def _rows(found: Findings) -> Iterator[StudyRow]:
    for one in found.shares:
        counts = one.unmodified, one.total
        share = one.by_raters.value
        yield StudyRow(one.name, "unmodified_wilson", share, *one.by_wilson, *counts)
        yield StudyRow(one.name, "unmodified_raters", *one.by_raters, *counts)
        yield StudyRow(one.name, "dprime", *one.dprime)
        if one.fooling:
            assert one.fooling_unmodified is not None
            counts = one.fooling_unmodified, one.fooling
            yield StudyRow(
                one.name, "unmodified_fooling", counts[0] / counts[1], None, None, *counts
            )
        for name, mean in one.means.items():
            yield StudyRow(one.name, name, mean)
    yield StudyRow("all", "fleiss_kappa", found.kappa)
    for metric, rho, pictures in found.correlations:
        yield StudyRow("all", f"spearman_{metric}", rho, total=pictures)
    for rater in found.raters:
        yield StudyRow(f"rater {rater.rater}", "accepted", rater.accepted, None, None, *rater[1:3])
    yield StudyRow("all", "missed_pages", found.missed)
    yield StudyRow("all", "median_seconds", found.seconds)


def _seen(found: Findings) -> Table:
    design = DESIGNS[found.settings.design]
    how = {
        "paper": "judged the same as the clean image beside it; d' against the hidden clean "
        "controls",
        "2afc": "passed over for the clean image beside it, by chance 50 %; d' of the forced "
        "choice, by chance 0",
    }[design.name]
    accepted = sum(one.accepted for one in found.raters)
    note = (
        f"“{design.question}” Share of judgements in which the image was {how}. "
        f"{accepted} rater{'s' * (accepted != 1)}, {found.settings.seconds} s a page, adversarial "
        f"images made on {found.settings.source}. 95 % intervals: Wilson's takes judgements for "
        f"independent; the other draws raters whole, {RESAMPLES} times, and is not there (–) where "
        "all raters have the same share: take Wilson's."
    )
    columns = ["judged unmodified", "over raters", "of images that fool", "d'"]
    return Table(
        "What people see",
        note,
        "attack",
        columns,
        [(one.name, _cells(one)) for one in found.shares],
    )


def _cells(one: AttackJudgements) -> list[TableCell]:
    low, high = one.by_wilson
    sensitivity = _between(one.dprime, number)
    fooling = "–"
    if one.fooling:
        assert one.fooling_unmodified is not None
        fooling = f"{percent(one.fooling_unmodified / one.fooling)} of {one.fooling}"
    return [
        TableCell(
            percent(one.by_raters.value),
            (f"{one.unmodified}/{one.total}", f"{percent(low)} – {percent(high)}"),
        ),
        TableCell(_between(one.by_raters, percent) or "–"),
        TableCell(fooling),
        TableCell(number(one.dprime.value), (sensitivity,) if sensitivity else ()),
    ]


def _between(estimate: Estimate, written: Callable[[float], str]) -> str:
    """Write an interval, nothing where there is none, as with one rater."""
    if math.isnan(estimate.low):
        return ""
    return f"{written(estimate.low)} – {written(estimate.high)}"


def _measured(found: Findings) -> Table:
    note = (
        "Means over the images judged, where the metric is finite, and Spearman's rank correlation "
        "of the metric with the share of raters who judged a picture modified, over all pictures "
        "(attack × image)."
    )
    attacks = [one for one in found.shares if one.means]
    rhos = {one.metric: f"{one.rho:+.2f} ({one.pictures})" for one in found.correlations}
    metrics = dict.fromkeys(name for one in attacks for name in one.means)
    rows = [
        (
            metric,
            [TableCell(number(one.means.get(metric), 4)) for one in attacks]
            + [TableCell(rhos.get(metric, "–"))],
        )
        for metric in metrics
    ]
    columns = [*(one.name for one in attacks), "correlation (pictures)"]
    return Table("What metrics say of the same images", note, "metric", columns, rows)


def _raters(found: Findings) -> Table:
    few, many = found.judgements
    rejected = [one for one in found.raters if not one.accepted]
    rows = [
        ("raters accepted", str(len(found.raters) - len(rejected))),
        ("raters rejected", str(len(rejected))),
        *((f"rejected: {one.rater}", f"{one.passed}/{one.checks} checks") for one in rejected),
        ("Fleiss' kappa", number(found.kappa)),
        ("judgements of a picture", f"{few} – {many}"),
        ("pages on which time ran out", str(found.missed)),
        ("median time of a page", f"{number(found.seconds, 1)} s"),
    ]
    note = (
        f"Accepted is who gets at least {percent(found.minimum)} of their attention checks right; "
        "time running out is not right, and who saw no check is not accepted. All numbers above "
        "are of accepted raters."
    )
    return Table(
        "Raters", note, "", ["value"], [(name, [TableCell(value)]) for name, value in rows]
    )
