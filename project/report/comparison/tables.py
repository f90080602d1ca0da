"""The comparison of attacks on classifiers as tables."""

from __future__ import annotations

import math
from collections.abc import Iterable

from project.report.columns import column
from project.report.comparison.compare import Comparison
from project.report.comparison.published import PUBLISHED
from project.report.comparison.quality import QualityContrast, QualityMean
from project.report.comparison.success import POOLED, Success, SuccessContrast
from project.report.numbers import number, percent
from project.report.tables import Table, TableCell, p_value, signed
from project.statistics.bootstrap import RESAMPLES, Estimate


def tables(found: Comparison) -> list[Table]:
    """Return the tables that have rows."""
    made = (_success(found), _quality(found), _contrasts(found), _success_contrasts(found))
    return [table for table in made if table.rows and table.columns]


def _success(found: Comparison) -> Table:
    cells = {(one.attack, one.victim): _rate(one) for one in found.successes}
    methods = {found.methods[attack] for attack in found.attacks}
    note = (
        "White box: of the images that the victim gets right when clean, the share that it gets "
        "wrong after the attack, as 8-bit images; Wilson 95 % intervals. Under “all” the victims' "
        "images are pooled, with the interval of one victim's number of images, since victims "
        "share them."
    )
    paper = methods & PUBLISHED.keys()
    if paper:
        note += (
            " SSTA's paper: mean and range over VGG-19, ResNet-50, DenseNet-121, ViT-B/16 and "
            "Swin-B on 1,000 other images, each attack at its settings there."
        )
    victims = [*found.victims, *([POOLED] if len(found.victims) > 1 else [])]
    rows = [
        (
            attack,
            [cells[attack, victim] for victim in victims]
            + ([_published_rate(found.methods[attack])] if paper else []),
        )
        for attack in found.attacks
    ]
    return Table("Success", note, "attack", victims + ["SSTA's paper"] * bool(paper), rows)


def _rate(success: Success) -> TableCell:
    return TableCell(
        percent(success.rate.value),
        (f"{success.hits} of {success.total}", *_interval(success.rate, 100.0, 1, " %")),
    )


def _published_rate(method: str) -> TableCell:
    if method not in PUBLISHED:
        return TableCell("–")
    paper = PUBLISHED[method]
    span = f"{min(paper.asr):.1f}–{max(paper.asr):.1f} %"
    return TableCell(percent(paper.mean_asr), (span,) if min(paper.asr) < max(paper.asr) else ())


def _quality(found: Comparison) -> Table:
    """Return the table of means; without a matched pair its note alone has something to say."""
    cells = {(one.attack, one.metric): _mean(one) for one in found.qualities}
    return Table(
        title="Quality at matched success",
        note=_matched(found),
        corner="attack",
        columns=["fooled beyond", *(column(metric).title for metric in found.metrics)],
        rows=[
            (
                attack,
                [TableCell(f"+{found.fooled[attack] - found.pairs}")]
                + [cells[attack, metric] for metric in found.metrics],
            )
            for attack in found.attacks
            if attack not in found.weak
        ],
    )


def _matched(found: Comparison) -> str:
    weak = (
        f" Left out, since they fool fewer than half of the images: {', '.join(found.weak)}."
        if found.weak
        else ""
    )
    if not found.pairs:
        return f"No image is fooled by every attack, so there is no common ground.{weak}"
    counts = [f"{found.matched[victim]} on {victim}" for victim in found.victims]
    images = found.matched_images
    note = (
        f"Means over the {found.pairs} pairs of image and victim that every attack fools "
        f"({', '.join(counts)}; {images} different images), with BCa bootstrap 95 % intervals: "
        f"{RESAMPLES} seeded resamples of whole images, since victims share them. “Fooled beyond”: "
        "pairs that this attack fools and another does not. An image that did not change has an "
        f"infinite PSNR, which is counted and not averaged.{weak}"
    )
    if any(one.published is not None for one in found.qualities):
        note += (
            " “Paper”: what SSTA's paper reports, over all fooled images of its victims; it names "
            "no LPIPS backbone. Its FID is of whole sets of images, and stands in no table here."
        )
    return note


def _mean(quality: QualityMean) -> TableCell:
    shown = column(quality.metric)
    mean = quality.mean.value * shown.scale
    digits = shown.places((quality.published or 0.0) if math.isnan(mean) else mean)
    details = _interval(quality.mean, shown.scale, digits)
    if quality.infinite:
        details = (*details, f"+{quality.infinite} × ∞")
    if quality.published is not None:
        details = (*details, f"paper {number(quality.published, digits)}")
    return TableCell(number(mean, digits), details)


def _contrasts(found: Comparison) -> Table:
    cells = {(one.attack, one.metric): one for one in found.quality_contrasts}
    note = (
        f"Each attack against {found.reference} over the pairs that both fool. Of a metric that is "
        "better when lower (↓): the attack's mean over that of "
        f"{found.reference}; else (↑) its mean minus that. BCa bootstrap 95 % intervals over "
        "images; p of Wilcoxon's signed-rank test, two-sided, on each image's difference (the mean "
        f"over its victims), by Holm for all {len(cells)} tests. ✓ {found.reference} is better, ✗ "
        "the other is, at 5 % and where mean and median agree; no mark: not shown."
    )
    attacks = list(dict.fromkeys(one.attack for one in found.quality_contrasts))
    rows = [
        (
            attack,
            [_pairs(one for one in found.quality_contrasts if one.attack == attack)]
            + [_effect(cells.get((attack, metric))) for metric in found.metrics],
        )
        for attack in attacks
    ]
    columns = ["pairs", *(column(metric).title for metric in found.metrics)]
    return Table(f"Quality against {found.reference}", note, "attack", columns, rows)


def _pairs(contrasts: Iterable[QualityContrast]) -> TableCell:
    most = max(contrasts, key=lambda contrast: contrast.pairs)
    return TableCell(str(most.pairs), (f"{most.images} image{'' if most.images == 1 else 's'}",))


def _effect(contrast: QualityContrast | None) -> TableCell:
    if contrast is None:
        return TableCell("–")
    shown = column(contrast.metric)
    lower = shown.better == "lower"
    scale = 1.0 if lower else shown.scale
    digits = 2 if lower else shown.places(contrast.effect.value * scale)

    def text(value: float) -> str:
        if lower:
            return f"×{number(value, digits)}"
        return ("+" if value > 0 else "") + signed(value * scale, digits)

    details = _interval(contrast.effect, scale, digits, join=" … ")
    details = (*details, p_value(contrast.corrected))
    if contrast.published is not None:
        details = (*details, f"paper {text(contrast.published)}")
    return TableCell(text(contrast.effect.value), details, contrast.winner)


def _success_contrasts(found: Comparison) -> Table:
    cells = {(one.attack, one.victim): _odds(one) for one in found.success_contrasts}
    note = (
        f"Images that {found.reference} alone fools : that the other alone fools. p of McNemar's "
        f"exact test, two-sided, by Holm for all {len(cells)} tests."
    )
    attacks = dict.fromkeys(one.attack for one in found.success_contrasts)
    rows = [(attack, [cells[attack, victim] for victim in found.victims]) for attack in attacks]
    return Table(f"Success against {found.reference}", note, "attack", found.victims, rows)


def _odds(contrast: SuccessContrast) -> TableCell:
    ours, theirs = contrast.only_reference, contrast.only_other
    return TableCell(f"{ours} : {theirs}", (p_value(contrast.corrected),), contrast.winner)


def _interval(
    estimate: Estimate, scale: float, digits: int, unit: str = "", join: str = "–"
) -> tuple[str, ...]:
    """Write an interval as a cell's detail; none where there is none."""
    if math.isnan(estimate.low):
        return ()
    low, high = (signed(end * scale, digits) for end in estimate[1:])
    return (f"{low}{join}{high}{unit}",)
