"""How visible an attack is: means over the images that it fooled, and what it tells of itself."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass

from project.records import COLUMNS, Measure
from project.report.numbers import interval, number, percent
from project.report.run import Row, Run

_TITLES = {
    "psnr": "PSNR ↑ (dB)",
    "ssim": "SSIM ↑",
    "mse": "MSE ↓ (0–255)",
    "l2": "L2 ↓",
    "linf": "L∞ ↓ (/255)",
    "flow_max": "flow max ↓ (px)",
    "flow_mean": "flow mean ↓ (px)",
    "mask_area": "mask (%)",
    "salient_area": "first mask (%)",
}
_SCALE = {"linf": 255.0, "mask_area": 100.0, "salient_area": 100.0}
_DIGITS = {"psnr": 2, "linf": 1, "mse": 2, "mask_area": 1, "salient_area": 1, "l2": 2}


@dataclass(frozen=True)
class VisibilityTable:
    """A row per attack and source: attack, source, images, then a text per column."""

    columns: list[str]
    rows: list[tuple[str, str, str, list[str]]]


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
    columns = _float_columns(run)
    rows = []
    for (attack, source), found in run.white_box.items():
        fooled = [row for row in found if row["fooled"] or row["fooled_pixels"]]
        steps = [row["steps"] for row in fooled if row["steps"] is not None]
        cells = [number(statistics.median(steps), 0) if steps else "–"]
        cells += [_mean(column, fooled) for column in columns]
        rows.append((attack, source, f"{len(fooled)} of {len(found)}", cells))
    return VisibilityTable(["steps (median)", *map(_title, columns)], rows)


def both_rates(run: Run) -> list[BothRates]:
    """Return success over all images that the source got right, and as SSTA's paper counts it.

    Only attacks that start from a salient region have both.
    """
    found = []
    for (attack, source), rows in run.white_box.items():
        ours = run.measure("asr", attack, source, source)
        papers = run.measure("asr_paper", attack, source, source)
        if ours is None or papers is None:
            continue
        wrong = sum(row["clean_correct"] is False for row in rows)
        small = (ours.total or 0) - (papers.total or 0)
        skipped = f"{small} small mask, {wrong} wrong when clean"
        found.append(BothRates(attack, source, _in_full(ours), _in_full(papers), skipped))
    return found


def _float_columns(run: Run) -> list[str]:
    names = list(run.rows[0]) if run.rows else []
    return [
        name
        for name in names
        if name not in COLUMNS and any(row[name] is not None for row in run.rows)
    ]


def _title(column: str) -> str:
    if column.startswith("lpips_"):
        return f"LPIPS ↓ ({column.removeprefix('lpips_')})"
    return _TITLES.get(column, column.replace("_", " "))


def _mean(column: str, rows: list[Row]) -> str:
    values = [row[column] for row in rows if row[column] is not None]
    finite = [value for value in values if not math.isinf(value)]
    infinite = f" (+{len(values) - len(finite)} × ∞)" if len(finite) < len(values) else ""
    if not finite:
        return "–" + infinite
    mean = _SCALE.get(column, 1.0) * math.fsum(finite) / len(finite)
    return number(mean, _DIGITS.get(column, 4 if abs(mean) < 2 else 2)) + infinite


def _in_full(rate: Measure) -> str:
    return f"{percent(rate.value)} ({rate.hits} of {rate.total}, {interval(rate)})"
