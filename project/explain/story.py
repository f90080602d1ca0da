"""The explanation of a sample as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from project.callbacks.common import versions
from project.evaluation import Pass
from project.explain.again import Again
from project.explain.finished import FinishedRun
from project.explain.views import view
from project.report.classes import class_name
from project.report.columns import column
from project.report.numbers import number, percent
from project.report.run import judged_pixels
from project.storage.rows import COLUMNS

Row = Mapping[str, Any]


def story(run: FinishedRun, step: Pass, index: int, again: Again) -> str:
    """Return a sample's explanation: comparison, predictions, facts, visibility, verdicts, traces.

    Args:
        run: the run.
        step: the attack and source.
        index: the sample's index.
        again: what :func:`~project.explain.made_again` returned.
    """
    rows = run.rows_of(step, index)
    chapters = {
        f"What {step.source} sees": view(again),
        "What the attack tells": _attack(again),
        "How visible it is": _numbers(rows[0], again),
        "Who falls": [f"    {_verdict(run.facts, row)}" for row in rows],
        f"Step by step ({_steps(again)})": _traces(again),
    }
    told = [_heading(run, step, rows[0]), _made(run, again)]
    told += ["\n".join([title, *lines]) for title, lines in chapters.items() if lines]
    return "\n\n".join(told)


def _heading(run: FinishedRun, step: Pass, row: Row) -> str:
    truth = "" if row["target"] is None else f", {class_name(run.facts, row['target'])}"
    return f"{run.facts['title']}: sample {row['index']} ({row['name']}{truth})\n{step}"


def _made(run: FinishedRun, again: Again) -> str:
    how = "alone" if again.together == 1 else f"with its batch of {again.together}"
    told = f"Made again {how}, {again.difference}."
    if again.difference.none:
        return told
    if again.together < again.of:
        return told + (
            "\nA sum's last bits may depend on the size of a batch; "
            f"--batch attacks all {again.of} images of the run's batch."
        )
    return told + f"\nSomething that the image follows from has changed: {_changed(run)}."


def _changed(run: FinishedRun) -> str:
    then = run.facts.get("versions", {})
    now = versions(*(name for name in then if name != "python"))
    other = [f"{name} {was}, now {now[name]}" for name, was in then.items() if now[name] != was]
    return ", ".join(other) or "the device, or how many threads its sums are shared by"


def _attack(again: Again) -> list[str]:
    """Return the attack's facts, with the sizes of mask and flow."""
    stored = again.stored
    facts: dict[str, float] = dict(stored.facts)
    if stored.mask is not None:
        facts.setdefault("mask_area", float((stored.mask > 0).mean()))
    if stored.flow is not None:
        length = np.hypot(*stored.flow.astype(np.float64))
        facts.setdefault("flow_mean", float(length.mean()))
        facts.setdefault("flow_max", float(length.max()))
    return _table({name: _shown(name, value) for name, value in facts.items()})


def _numbers(row: Row, again: Again) -> list[str]:
    """Return the row's further numbers, such as perceptual metrics."""
    names = [name for name in row if name not in COLUMNS and name not in again.stored.facts]
    return _table({name: _shown(name, row[name]) for name in names if row[name] is not None})


def _shown(name: str, value: float) -> str:
    if name.startswith("success"):
        return "yes" if value else "no"
    if name in COLUMNS:
        return f"{value:.0f}"
    kind = column(name)
    return number(value * kind.scale, kind.places(value * kind.scale))


def _table(values: Mapping[str, str]) -> list[str]:
    titles = {name: column(name).title for name in values}
    width = max(map(len, titles.values()), default=0)
    return [f"    {titles[name]:{width}}  {value:>9}" for name, value in values.items()]


def _verdict(facts: Mapping[str, Any], row: Row) -> str:
    who = row["victim"] + (" (source)" if row["victim"] == row["source"] else "")
    if row["task"] == "segmentation":
        valid, right = row["valid_pixels"] or 1, judged_pixels(row) or 1
        shares = f"{percent(row['clean_correct_pixels'] / valid)} of pixels right, then "
        shares += percent(row["correct_pixels"] / valid)
        return f"{who}: {shares}; {percent(row['fooled_pixels'] / right)} of the right ones fall"
    if row["fooled"] is None:  # null: NaN or infinite logits
        when = "on the clean image" if row["clean_unanswered"] else "now"
        return f"{who} gave no prediction {when}: its logits are not finite"
    before, after = (class_name(facts, row[k]) for k in ("clean_prediction", "prediction"))
    falls = "falls" if row["fooled"] else "stands" if row["clean_correct"] else "was wrong before"
    trust = f"{percent(row['clean_confidence'])} → {percent(row['confidence'])} for the truth"
    return f"{who} {falls}: {before} → {after}, {trust}"


def _steps(again: Again) -> str:
    count = max((len(values) for values in again.stored.traces.values()), default=0)
    return f"{count} step{'' if count == 1 else 's'}"


def _traces(again: Again) -> list[str]:
    traces = {name: values for name, values in again.stored.traces.items() if len(values)}
    width = max(map(len, traces), default=0)
    return [f"    {name:{width}}  {_curve(values.tolist())}" for name, values in traces.items()]


def _curve(values: Sequence[float]) -> str:
    ends = f"{number(values[0], 4)} → {number(values[-1], 4)}"
    return ends if len(set(values)) == 1 else f"{sparkline(values)}  {ends}"


_BARS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float], width: int = 40) -> str:
    """Return a curve as bars from its least to its largest value; blank where not finite.

    Args:
        values: one per step.
        width: the most characters; for a longer curve each shows the last step of its share.
    """
    curve = np.asarray(values, float)
    if len(curve) > width:
        curve = curve[np.arange(1, width + 1) * len(curve) // width - 1]
    finite = np.isfinite(curve)
    if not finite.any():
        return " " * len(curve)
    low, high = curve[finite].min(), curve[finite].max()
    with np.errstate(invalid="ignore"):
        share = (curve - low) / (high - low if high > low else 1)
    return "".join(
        _BARS[min(int(one * len(_BARS)), len(_BARS) - 1)] if known else " "
        for one, known in zip(share, finite, strict=True)
    )
