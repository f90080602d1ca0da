"""The transfer matrix of an attack: sources × victims, the diagonal being the white-box case."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from project.report.numbers import interval, number, percent
from project.report.run import Run
from project.storage.rows import Measure


@dataclass(frozen=True)
class MatrixCell:
    """One number of a matrix as it is shown.

    Attributes:
        main: the number.
        details: denominator and interval, or the change from clean.
        title: the full account, with the interval.
        heat: strength of the attack in [0, 1], for the colour; None without a number.
        white_box: whether the victim is the source.
        kin: whether it shares a network with the source, as an ensemble and a member do.
    """

    main: str
    details: tuple[str, ...] = ()
    title: str = ""
    heat: float | None = None
    white_box: bool = False
    kin: bool = False


@dataclass(frozen=True)
class Matrix:
    """A matrix ready to be shown: a row of cells per source."""

    attack: str
    victims: list[str]
    clean: list[MatrixCell]
    rows: list[tuple[str, list[MatrixCell]]]


def matrix(run: Run, attack: str) -> Matrix:
    """Return an attack's transfer matrix: ASR for classification, mIoU for segmentation."""
    cell, clean = (
        (_miou_cell, _clean_miou) if run.task == "segmentation" else (_asr_cell, _clean_accuracy)
    )
    return Matrix(
        attack=attack,
        victims=run.victims,
        clean=[clean(run, victim) for victim in run.victims],
        rows=[
            (
                source,
                [
                    replace(
                        cell(run, attack, source, victim),
                        white_box=source == victim,
                        kin=source != victim and not run.transfers(source, victim),
                    )
                    for victim in run.victims
                ],
            )
            for source in run.sources(attack)
        ],
    )


def _asr_cell(run: Run, attack: str, source: str, victim: str) -> MatrixCell:
    asr = run.measure("asr", attack, source, victim)
    if asr is None or not math.isfinite(asr.value):
        return MatrixCell("–", title="nothing to judge")
    images = "images" if asr.total is None else f"{asr.total} images"
    ends = f", 95 % interval {interval(asr)}" if interval(asr) else ""
    return MatrixCell(
        main=percent(asr.value),
        details=_account(asr),
        title=f"{attack}, {source} → {victim}: {percent(asr.value)} of the {images} that "
        f"{victim} got right are fooled{ends}",
        heat=asr.value,
    )


def _miou_cell(run: Run, attack: str, source: str, victim: str) -> MatrixCell:
    miou, clean = run.measure("miou", attack, source, victim), run.clean("clean_miou", victim)
    if miou is None or not math.isfinite(miou.value):
        return MatrixCell("–", title="nothing to judge")
    accuracy = run.measure("pixel_accuracy", attack, source, victim)
    pixels = f", pixel accuracy {percent(accuracy.value)}" if accuracy else ""
    if clean is None or math.isnan(clean.value):
        title = f"{attack}, {source} → {victim}{pixels}"
        return MatrixCell(percent(miou.value), title=title)
    drop = clean.value - miou.value
    change = f"{'−' if drop >= 0 else '+'}{number(100 * abs(drop), 1)}"
    return MatrixCell(
        main=percent(miou.value),
        details=tuple(text for text in (change, interval(miou)) if text),
        title=f"{attack}, {source} → {victim}: mIoU {percent(miou.value)}, clean "
        f"{percent(clean.value)}{pixels}",
        heat=min(max(drop / clean.value, 0.0), 1.0) if clean.value > 0 else None,
    )


def _clean_accuracy(run: Run, victim: str) -> MatrixCell:
    return _rate_cell(run.clean("clean_accuracy", victim))


def _clean_miou(run: Run, victim: str) -> MatrixCell:
    miou = run.clean("clean_miou", victim)
    accuracy = run.clean("clean_pixel_accuracy", victim)
    if miou is None:
        return MatrixCell("–")
    title = f"pixel accuracy {percent(accuracy.value)}" if accuracy else ""
    details = (interval(miou),) if interval(miou) else ()
    return MatrixCell(percent(miou.value), details, title=title)


def _rate_cell(rate: Measure | None) -> MatrixCell:
    return MatrixCell("–") if rate is None else MatrixCell(percent(rate.value), _account(rate))


def _account(rate: Measure) -> tuple[str, ...]:
    count = "" if rate.total is None or rate.hits is None else f"{rate.hits} of {rate.total}"
    return tuple(text for text in (count, interval(rate)) if text)
