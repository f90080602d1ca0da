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
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from project.report.classes import class_colour, class_name
from project.report.columns import column
from project.report.gallery.drawings import KINDS, drawing
from project.report.gallery.sample import Sample
from project.report.run import Row, Run, judged_pixels
from project.storage import layout
from project.storage.files import replace_file

Data = dict[str, Any]
Rows = Mapping[tuple[str, str, int], Mapping[str, Row]]
"""The rows of an attack, source and image, by victim."""


def catalogue(run: Run, samples: Sequence[Sample]) -> tuple[Data, list[Data]]:
    """Return the catalogue and the sets of some samples of a run."""
    rows, labels = _by_sample(run, samples), _labels(run)
    indices = sorted({sample.index for sample in samples})
    names = {index: row["name"] for (_, _, index), found in rows.items() for row in found.values()}
    classes = [labels.get(index, []) for index in indices]
    sets = [_set(run, group, indices, rows) for group in _groups(run, samples)]
    about = {
        "task": run.task,
        "victims": run.victims,
        **_classes(run, classes, sets),
        "images": {
            "index": indices,
            "name": [names.get(index) or str(index) for index in indices],
            "classes": classes,
        },
        "columns": {name: column(name).title for name in run.float_columns},
        "sets": [{"attack": one["attack"], "source": one["source"]} for one in sets],
    }
    return about, sets


def _groups(run: Run, samples: Iterable[Sample]) -> list[list[Sample]]:
    """Return the samples of each attack and source, in the run's order."""
    order = {attack: place for place, attack in enumerate(run.attacks)}
    found: dict[tuple[int, str, str], list[Sample]] = {}
    for one in samples:
        key = (order.get(one.attack, len(order)), one.attack, one.source)
        found.setdefault(key, []).append(one)
    return [found[key] for key in sorted(found)]


def _by_sample(run: Run, samples: Iterable[Sample]) -> Rows:
    found: dict[tuple[str, str, int], dict[str, Row]] = {
        (one.attack, one.source, one.index): {} for one in samples
    }
    for row in run.rows:
        key = (row["attack"], row["source"], row["index"])
        if key in found:
            found[key][row["victim"]] = row
    return found


def _labels(run: Run) -> dict[int, list[int]]:
    """Return the classes of each image: a classifier's target, a segmenter's labelled classes."""
    if run.task == "classification":
        return {row["index"]: [row["target"]] for row in run.rows if row["target"] is not None}
    cell = next(iter(run.cells.values()), None)
    if cell is None:
        return {}
    labelled = cell.adversarial[:, 2] > 0
    return {int(k): row.nonzero()[0].tolist() for k, row in zip(cell.index, labelled, strict=True)}


def _classes(run: Run, labels: Iterable[Sequence[int]], sets: Iterable[Data]) -> Data:
    """Return names of the classes that are needed, and colours where overlays show them."""
    if run.task == "segmentation":
        used = set(range(len(run.facts.get("class_names") or ())))
        return {
            "classes": {k: class_name(run.facts, k) for k in sorted(used.union(*labels))},
            "colours": {k: class_colour(k) for k in sorted(used.union(*labels))},
        }
    told = [v["prediction"] for one in sets for v in one["verdicts"].values()]
    found = {k for column in [*labels, *told] for k in column if k is not None}
    return {"classes": {k: class_name(run.facts, k) for k in sorted(found)}, "colours": {}}


def _set(run: Run, group: Sequence[Sample], indices: Sequence[int], rows: Rows) -> Data:
    attack, source = group[0].attack, group[0].source
    judged = [rows[attack, source, sample.index] for sample in group]
    own: list[Row] = [found.get(source, {}) for found in judged]
    place = {index: place for place, index in enumerate(indices)}
    return {
        "attack": attack,
        "source": source,
        "pictures": _pictures(run.folder / layout.GALLERY, group[0]),
        "images": [place[sample.index] for sample in group],
        "columns": {
            name: [_rounded(row.get(name), column(name).scale) for row in own]
            for name in run.float_columns
        },
        "verdicts": {
            victim: _verdicts(run, [found.get(victim) for found in judged])
            for victim in run.victims
        },
    }


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


def write_scripts(gallery: Path, about: Data, sets: Sequence[Data]) -> str:
    """Write the catalogue and each set as a script of its own.

    Returns:
        What the page must find in them, lest it shows another run's.
    """
    # A set of a former run with more attacks must not be found beside this catalogue.
    for stale in gallery.glob(layout.CATALOGUES):
        stale.unlink()
    bodies = [script_json(part) for part in (about, *sets)]
    stamp = hashlib.sha256("\n".join(bodies).encode()).hexdigest()[:16]
    for number, body in enumerate(bodies):
        name = layout.catalogue_name(number - 1) if number else layout.CATALOGUE
        replace_file(gallery / name, f'galleryPart("{stamp}",{number - 1},{body});\n'.encode())
    return stamp
