"""The outcome of an experiment as a table in the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from project.storage.rows import Measure

_HEADLINE = {"classification": ("asr", "clean_accuracy"), "segmentation": ("miou", "clean_miou")}


def summary_table(measures: Sequence[Measure], task: str) -> str:
    """Return the transfer matrix of every attack as text.

    Args:
        measures: the data-set level numbers of the whole experiment.
        task: ``classification`` shows success rates, ``segmentation`` mIoU; in per cent.
    """
    metric, clean_metric = _HEADLINE[task]
    shown = [measure for measure in measures if measure.metric in (metric, clean_metric)]
    victims = list(dict.fromkeys(measure.victim for measure in shown))
    passes = list(dict.fromkeys((measure.attack, measure.source) for measure in shown))
    values = {(measure.attack, measure.source, measure.victim): measure for measure in shown}
    lines = [["attack", "source", *victims]]
    for attack, source in passes:
        cells = [_cell(values.get((attack, source, victim))) for victim in victims]
        lines.append([attack or clean_metric.replace("_", " "), source, *cells])
    heading = f"{metric} in %, victims in columns" + (" (lower = stronger)" * (metric == "miou"))
    return f"{heading}\n{aligned(lines)}"


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """Return a table as text, each column as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _cell(measure: Measure | None) -> str:
    if measure is None:
        return "–"
    rate = f" ({measure.hits}/{measure.total})" if measure.hits is not None else ""
    return f"{100 * measure.value:.1f}{rate}"
