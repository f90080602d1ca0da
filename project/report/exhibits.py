"""The gallery as the page shows it: pictures inside the page, verdicts from the rows."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from PIL import Image

from project.report.gallery import Picture, Sample
from project.report.numbers import percent
from project.report.pictures import flow_legend, palette
from project.report.run import Row, Run

LARGEST_SIDE = 640  # pixels; larger pictures are shown smaller, or the page grows by tens of MB
MOST_SAMPLES = 96  # likewise


@dataclass(frozen=True)
class Shown:
    """A picture inside the page."""

    kind: str
    label: str
    uri: str
    width: int
    height: int


@dataclass(frozen=True)
class Verdict:
    """What one victim made of an adversarial image."""

    victim: str
    text: str
    fooled: bool


@dataclass(frozen=True)
class Exhibit:
    """One image attacked in one way, with its pictures and every victim's verdict."""

    source: str
    index: int
    name: str
    truth: str
    pictures: list[Shown]
    verdicts: list[Verdict]


@dataclass(frozen=True)
class Gallery:
    """All exhibits by attack, and the keys to their colours."""

    attacks: dict[str, list[Exhibit]]
    shown: int
    available: int
    flow_legend: str
    classes: list[tuple[str, str]]


def exhibits(run: Run) -> Gallery:
    """Return the gallery, the first samples of each attack where there are too many."""
    rows: dict[tuple[str, str, int], list[Row]] = {}
    for row in run.rows:
        rows.setdefault((row["attack"], row["source"], row["index"]), []).append(row)
    by_attack: dict[str, list[Sample]] = {attack: [] for attack in run.attacks}
    for sample in run.gallery:
        by_attack.setdefault(sample.attack, []).append(sample)
    quota = MOST_SAMPLES // max(1, len(by_attack))
    chosen = {attack: found[:quota] for attack, found in by_attack.items() if found}
    return Gallery(
        attacks={
            attack: [
                _exhibit(run, sample, rows.get((attack, sample.source, sample.index), []))
                for sample in found
            ]
            for attack, found in chosen.items()
        },
        shown=sum(map(len, chosen.values())),
        available=len(run.gallery),
        flow_legend=data_uri(flow_legend(), exact=True),
        classes=class_colours(run.facts, [s for found in chosen.values() for s in found]),
    )


def _exhibit(run: Run, sample: Sample, rows: list[Row]) -> Exhibit:
    ordered = sorted(rows, key=lambda row: run.victims.index(row["victim"]))
    first = rows[0] if rows else {"name": None, "target": None}
    return Exhibit(
        source=sample.source,
        index=sample.index,
        name=first["name"] or str(sample.index),
        truth="" if first["target"] is None else class_name(run.facts, first["target"]),
        pictures=[shown(picture) for picture in sample.pictures()],
        verdicts=[_verdict(run, row) for row in ordered],
    )


def class_name(facts: Mapping[str, Any], index: int) -> str:
    """Return a class's name, or its number where run.json names no classes."""
    names = facts.get("class_names") or []
    return str(names[index]) if 0 <= index < len(names) else f"class {index}"


def _verdict(run: Run, row: Row) -> Verdict:
    if run.task == "segmentation":
        right, fooled = row["clean_correct_pixels"] or 0, row["fooled_pixels"] or 0
        share = percent(fooled / right) if right else "–"
        return Verdict(row["victim"], f"{share} of its right pixels fooled", fooled > 0)
    now = class_name(run.facts, row["prediction"]) if row["prediction"] is not None else "–"
    sure = f", {percent(row['confidence'])} for the truth" if row["confidence"] is not None else ""
    before = "" if row["clean_correct"] else " (wrong when clean)"
    return Verdict(row["victim"], f"{now}{sure}{before}", bool(row["fooled"]))


def shown(picture: Picture, largest_side: int = LARGEST_SIDE) -> Shown:
    """Return a picture as it goes inside a page, at most so many pixels wide and high."""
    image = picture.image
    image.thumbnail((largest_side, largest_side), Image.Resampling.LANCZOS)
    exact = picture.kind in ("clean", "adversarial")
    return Shown(picture.kind, picture.label, data_uri(image, exact), image.width, image.height)


def data_uri(image: Image.Image, exact: bool) -> str:
    """Return a picture as a data URI: the images themselves to the bit, what explains them lossy.

    Differences are noise, which costs several times as much without loss.
    """
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", lossless=exact, quality=80)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


def class_colours(facts: Mapping[str, Any], samples: Iterable[Sample]) -> list[tuple[str, str]]:
    """Return the names and colours of the classes that the overlays of some samples show."""
    found = sorted(set[int]().union(*(sample.classes() for sample in samples)))
    colours = palette()
    return [(class_name(facts, k), "#" + bytes(colours[k]).hex()) for k in found]
