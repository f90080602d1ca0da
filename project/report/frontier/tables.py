"""The frontier as tables: visibility at rates of transfer, and every family against a reference."""

from __future__ import annotations

import math

from project.report.columns import DISTANCES, column
from project.report.frontier.results import (
    LEVELS,
    FrontierContrast,
    FrontierCurve,
    FrontierResults,
)
from project.report.numbers import number, percent
from project.report.tables import Table, TableCell, p_value, signed
from project.statistics.bootstrap import RESAMPLES, Estimate

_SHOWN = ("lpips_", "stlpips_", "ciede2000", "ssim")
"""Metrics of the tables and of the plot: of each the first that the rows have, for LPIPS and
ST-LPIPS whatever the backbone; where there is none of them, the first of all."""
RATES = {
    "transfer": "images fooled",
    "miou_lost": "of the mIoU lost",
    "image_iou_lost": "of the mean IoU per image lost",
}


def shown_metrics(metrics: list[str]) -> list[str]:
    """Return the metrics that tables and plot show; frontier.csv has all."""
    ranked = sorted(metrics, key=lambda name: DISTANCES.index(name) if name in DISTANCES else 99)
    found = [next((name for name in ranked if name.startswith(one)), None) for one in _SHOWN]
    return [name for name in found if name] or ranked[:1]


def metric_title(metric: str) -> str:
    """Return a metric's title, as a distance from the unchanged image."""
    told = column(metric)
    return told.title if told.better == "lower" else f"1 − {told.title.replace(' ↑', '')} ↓"


def tables(found: FrontierResults) -> list[Table]:
    """Return the tables of all victims together, rate by rate, and of every budget."""
    made = []
    for rate in found.data.rates:
        made += [_levels(found, rate), _against(found, rate)]
    return [table for table in (*made, *_budgets(found)) if table.rows]


def _levels(found: FrontierResults, rate: str) -> Table:
    metrics = shown_metrics(found.data.metrics)
    curves = {(one.family, one.metric): one for one in _of(found, rate)}
    rows = [
        (
            name,
            [
                _best(curves[name, metrics[0]]),
                *(_level(curves[name, m], level) for level in LEVELS for m in metrics),
            ],
        )
        for name in found.data.attacks
    ]
    columns = [
        "most reached",
        *(f"{metric_title(m)} at {_share(level)}" for level in LEVELS for m in metrics),
    ]
    note = (
        f"Visibility at which a family has {' and '.join(f'{_share(level)}' for level in LEVELS)} "
        f"{RATES[rate]}, {_who(found)}: linear between budgets, from the unchanged image on; a "
        "budget that is more visible than another and reaches less does not count. “Never”: no "
        "budget gets there, and nothing is extrapolated. Bootstrap 95 % intervals: "
        f"{RESAMPLES} seeded resamples of the {found.data.images} images, the same for all "
        "families."
    )
    return Table(f"Least visibility: {RATES[rate]}", note, "family", columns, rows)


def _against(found: FrontierResults, rate: str) -> Table:
    metrics = shown_metrics(found.data.metrics)
    contrasts = {
        (one.attack, one.metric, one.level): one
        for one in found.contrasts
        if one.rate == rate and one.target == found.data.target
    }
    others = [name for name in found.data.attacks if name != found.reference]
    rows = [
        (
            name,
            [_contrast(contrasts[name, m, level]) for level in (*LEVELS, None) for m in metrics],
        )
        for name in others
    ]
    columns = [
        f"{metric_title(m)} {'at equal rates' if level is None else f'at {_share(level)}'}"
        for level in (*LEVELS, None)
        for m in metrics
    ]
    note = (
        f"Each family against {found.reference}, {RATES[rate]}: its visibility over that of "
        f"{found.reference} at the same rate, above ×1 {found.reference} is less visible; then the "
        "area between both curves over the rates that both reach, as a mean of visibilities, above "
        f"0 {found.reference} is less visible. ✓ {found.reference}, ✗ the other is less visible: "
        "paired bootstrap over images, p below 5 % after Holm's correction for "
        f"{len(others)} famil{'y' if len(others) == 1 else 'ies'}."
    )
    return Table(f"Against {found.reference}: {RATES[rate]}", note, "family", columns, rows)


def _budgets(found: FrontierResults) -> list[Table]:
    """Return a table of every budget: rates by target, visibility, passes."""
    data, metrics = found.data, shown_metrics(found.data.metrics)
    points = {(one.attack, one.target, one.rate): one for one in found.points}
    columns = [
        *(f"{RATES[rate]}, {target}" for rate in data.rates for target in data.targets),
        *map(metric_title, metrics),
        "passes per image",
    ]
    rows = []
    for attacks in data.attacks.values():
        for attack in attacks:
            reached = [points[attack, t, rate].reached for rate in data.rates for t in data.targets]
            seen = points[attack, data.target, data.rates[0]].visibility
            rows.append(
                (
                    attack,
                    [
                        *(
                            TableCell(percent(one.value), _span(one, 100, 1, " %"))
                            for one in reached
                        ),
                        *(_seen(seen[metric], metric) for metric in metrics),
                        TableCell(number(data.passes[attack], 1)),
                    ],
                )
            )
    note = (
        f"Every budget on {data.images} images, on victims that share no network with the source. "
        "Visibility is a mean over all of these images, fooled or not. Passes: how often the "
        "attack asks its source, forwards and backwards, at most; “–” where that is not known."
    )
    return [Table("Budgets", note, "attack", columns, rows)]


def _who(found: FrontierResults) -> str:
    data = found.data
    judges = "on all victims together" if len(data.targets) > 1 else f"on {data.target}"
    if "transfer" in data.rates:
        return f"{judges}, of the {data.images} images that every victim gets right"
    return f"{judges}, on {data.images} images"


def _of(found: FrontierResults, rate: str) -> list[FrontierCurve]:
    target = found.data.target
    return [one for one in found.curves if one.rate == rate and one.target == target]


def _best(curve: FrontierCurve) -> TableCell:
    return TableCell(percent(curve.best.value), _span(curve.best, 100, 1, " %"))


def _level(curve: FrontierCurve, level: float) -> TableCell:
    found = curve.levels[level]
    if math.isinf(found.value):
        return TableCell("never")
    return _seen(found, curve.metric)


def _seen(found: Estimate, metric: str) -> TableCell:
    told = column(metric)
    digits = 4 if told.better == "higher" else told.places(found.value * told.scale)
    return TableCell(number(found.value * told.scale, digits), _span(found, told.scale, digits, ""))


def _contrast(one: FrontierContrast) -> TableCell:
    value = one.effect.value
    if math.isnan(value):
        return TableCell("neither" if one.level is not None else "–")
    if one.level is None:
        told = column(one.metric)
        digits = 4 if told.better == "higher" else told.places(value * told.scale)
        main, span = (
            signed(value * told.scale, digits),
            _span(one.effect, told.scale, digits, f", up to {_share(one.top)}"),
        )
    elif math.isinf(value) or value == 0:
        main, span = "never" if math.isinf(value) else "reference never", ()
    else:
        main, span = f"×{number(value)}", _span(one.effect, 1, 2, "")
    return TableCell(main, (*span, p_value(one.corrected)), one.winner)


def _share(level: float) -> str:
    return f"{100 * level:.0f} %"


def _span(found: Estimate, scale: float, digits: int, after: str) -> tuple[str, ...]:
    if math.isnan(found.low):
        return ()
    low, high = (signed(end * scale, digits) for end in found[1:])
    high = "never" if math.isinf(found.high) else high
    between = " … " if found.low < 0 or math.isinf(found.high) else "–"
    return (f"{low}{between}{high}{after}",)
