"""The gallery's catalogue for the page: what was measured of each pictured sample, as JSON.

Catalogue
    task, victims        of the run
    classes, colours     names, and of a segmenter colours, by class id
    images               index, name and class ids of each image pictured, ascending
    columns              titles of the rows' numbers
    sets                 one for each attack and source, without what they hold

Set
    attack, source
    pictures             file of each kind, within ``gallery/``, ``{index}`` standing for the image
    images               places in the catalogue's images
    columns              numbers of each image, from the source's own row, None where there is none,
                         four digits
    verdicts             of each victim: ``state``, a letter for each image (f fooled, k kept, w
                         wrong when clean, - not judged), ``prediction``, and ``share``: of a
                         classifier the truth's probability, of a segmenter the pixels fooled
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

import numpy as np

from project.report.classes import class_colour, class_name
from project.report.columns import column
from project.report.gallery.drawings import KINDS, drawing
from project.report.gallery.sample import Sample
from project.report.run import Run, judged_pixels
from project.report.run_rows import Indices, Row
from project.storage import layout
from project.storage.files import replace_file

Data = dict[str, Any]
_JUDGED = (
    *("name", "prediction", "clean_correct", "fooled", "confidence"),
    *("clean_correct_pixels", "judged_pixels", "fooled_pixels", "unanswered_pixels"),
)
"""Columns that a verdict follows from, and the image's name."""


def catalogue(run: Run, samples: Sequence[Sample], keep: Callable[[Data], None]) -> Data:
    """Return the catalogue of some samples of a run.

    Args:
        run: the run.
        samples: which.
        keep: is given each set in turn, so that not all of them need be in memory.
    """
    indices = sorted({sample.index for sample in samples})
    place = {index: place for place, index in enumerate(indices)}
    labels, names, told, heads = _labels(run, indices), dict[int, str](), set[int | None](), []
    for group in _groups(run, samples):
        one = _set(run, group, place, names)
        told.update(*(verdict["prediction"] for verdict in one["verdicts"].values()))
        heads.append({"attack": one["attack"], "source": one["source"]})
        keep(one)
    classes = [labels.get(index, []) for index in indices]
    return {
        "task": run.task,
        "victims": run.victims,
        **_classes(run, classes, told),
        "images": {
            "index": indices,
            "name": [names.get(index) or str(index) for index in indices],
            "classes": classes,
        },
        "columns": {name: column(name).title for name in run.results.float_columns},
        "sets": heads,
    }


def _groups(run: Run, samples: Iterable[Sample]) -> list[list[Sample]]:
    """Return the samples of each attack and source, in the run's order."""
    order = {attack: place for place, attack in enumerate(run.attacks)}
    found: dict[tuple[int, str, str], list[Sample]] = {}
    for one in samples:
        key = (order.get(one.attack, len(order)), one.attack, one.source)
        found.setdefault(key, []).append(one)
    return [found[key] for key in sorted(found)]


def _labels(run: Run, indices: Sequence[int]) -> dict[int, list[int]]:
    """Return the classes of images: a classifier's target, a segmenter's labelled classes."""
    if run.task == "classification":
        return _targets(run, indices)
    cell = next(iter(run.cells.values()), None)
    if cell is None:
        return {}
    labelled, wanted = cell.adversarial[:, 2] > 0, np.isin(cell.index, indices)
    return {
        int(k): row.nonzero()[0].tolist()
        for k, row in zip(cell.index[wanted], labelled[wanted], strict=True)
    }


def _targets(run: Run, indices: Sequence[int]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    left = np.array(indices, np.int64)
    for key in run.results.groups:
        if not len(left):
            break
        told = run.results.values(["target"], key, left)["target"]
        found |= {int(k): [t] for k, t in zip(left, told, strict=True) if t is not None}
        left = left[[t is None for t in told]]
    return found


def _classes(run: Run, labels: Iterable[Sequence[int]], told: set[int | None]) -> Data:
    """Return names of the classes that are needed, and colours where overlays show them."""
    if run.task == "segmentation":
        used = set(range(len(run.facts.get("class_names") or ())))
        return {
            "classes": {k: class_name(run.facts, k) for k in sorted(used.union(*labels))},
            "colours": {k: class_colour(k) for k in sorted(used.union(*labels))},
        }
    found = {k for classes in [*labels, told] for k in classes if k is not None}
    return {"classes": {k: class_name(run.facts, k) for k in sorted(found)}, "colours": {}}


def _set(run: Run, group: Sequence[Sample], place: dict[int, int], names: dict[int, str]) -> Data:
    """Return a set, and tell the names of its images."""
    attack, source = group[0].attack, group[0].source
    indices = np.array([sample.index for sample in group], np.int64)
    columns = run.results.float_columns
    own = run.results.values(columns, (attack, source, source), indices)
    return {
        "attack": attack,
        "source": source,
        "pictures": _pictures(run.folder / layout.GALLERY, group[0]),
        "images": [place[sample.index] for sample in group],
        "columns": {
            name: [_rounded(value, column(name).scale) for value in own[name]] for name in columns
        },
        "verdicts": {
            victim: _verdicts(run, _rows(run, (attack, source, victim), indices, names))
            for victim in run.victims
        },
    }


def _rows(
    run: Run, key: tuple[str, str, str], indices: Indices, names: dict[int, str]
) -> list[Row | None]:
    """Return what a victim's verdicts follow from, None where it judged no such image."""
    found = run.results.rows(_JUDGED, key, indices)
    names.update((index, row["name"]) for index, row in found.items())
    return [found.get(index) for index in indices.tolist()]


def _pictures(gallery: Path, sample: Sample) -> dict[str, str]:
    """Return where the pictures of each kind lie, as addresses, from those of one sample."""
    files = {kind: sample.path(kind) for kind in ("clean", *KINDS)}
    shown = {
        kind: path for kind, path in files.items() if path and kind in ("clean", "adversarial")
    }
    drawn = {kind: drawing(path) for kind, path in files.items() if path and kind in KINDS}
    drawn["thumbnail"] = drawn.pop("adversarial")
    return {
        kind: "/".join(
            # quote() escapes braces, so that format() later sees no other field.
            "{index}" if part == sample.folder.name else quote(part, safe="")
            for part in path.relative_to(gallery).parts
        )
        for kind, path in (shown | drawn).items()
    }


def _verdicts(run: Run, rows: Sequence[Row | None]) -> Data:
    segmentation = run.task == "segmentation"
    return {
        "state": "".join("-" if row is None else _state(row, segmentation) for row in rows),
        "prediction": [None if row is None else row["prediction"] for row in rows],
        "share": [None if row is None else _share(row, segmentation) for row in rows],
    }


def _state(row: Row, segmentation: bool) -> str:
    if segmentation:
        right, fooled = row["clean_correct_pixels"], row["fooled_pixels"]
        lost = not judged_pixels(row) and bool(row.get("unanswered_pixels"))
    else:
        right, fooled = row["clean_correct"], row["fooled"]
        lost = fooled is None
    return "-" if lost else "f" if fooled else "k" if right else "w"


def _share(row: Row, segmentation: bool) -> float | str | None:
    if not segmentation:
        return _rounded(row["confidence"])
    right = judged_pixels(row)
    return _rounded(row["fooled_pixels"] / right) if right else None


def _rounded(value: float | None, scale: float = 1.0) -> float | str | None:
    """Return four digits of a number; JSON has no infinity, so that is a word."""
    if value is None or math.isnan(value):
        return None
    if math.isinf(value):
        return "Infinity"
    return float(f"{scale * value:.4g}")


def script_json(value: Any) -> str:
    """Return JSON that is safe inside a script element, whatever names it holds."""
    # A name with "</script>" or "<!--" would end the element; inside JSON, \u003c is the same text.
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


class CatalogueScripts:
    """The catalogue and each set as a script of its own, written without holding all of them.

    Args:
        gallery: the folder.
        bodies: an empty file for what the scripts say, until all is known.
    """

    def __init__(self, gallery: Path, bodies: IO[bytes]) -> None:
        self._gallery, self._bodies = gallery, bodies
        self._lengths: list[int] = []

    def add(self, one: Data) -> None:
        """Take a set."""
        self._lengths.append(self._bodies.write(script_json(one).encode()))

    def write(self, about: Data) -> str:
        """Write all scripts.

        Returns:
            What the page must find in them, lest it shows another run's.
        """
        # A set of a former run with more attacks must not be found beside this catalogue.
        for stale in self._gallery.glob(layout.CATALOGUES):
            stale.unlink()
        first = script_json(about).encode()
        digest = hashlib.sha256(first)
        for body in self._kept():
            digest.update(b"\n" + body)
        stamp = digest.hexdigest()[:16]
        for number, body in enumerate(itertools.chain([first], self._kept())):
            name = layout.catalogue_name(number - 1) if number else layout.CATALOGUE
            head = f'galleryPart("{stamp}",{number - 1},'.encode()
            replace_file(self._gallery / name, head + body + b");\n")
        return stamp

    def _kept(self) -> Iterator[bytes]:
        self._bodies.seek(0)
        for length in self._lengths:
            yield self._bodies.read(length)
