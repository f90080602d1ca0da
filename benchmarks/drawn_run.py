"""The folder of a finished run of any size, with drawn numbers in place of measured ones.

Ten attacks, among them two families of two budgets, are made on every victim and judged by all. The
file of rows is written as experiments write it; the rows of one group are in memory.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from project.report.gallery import Attacked, GalleryKeeper
from project.report.gallery.names import folder_name
from project.statistics.miou import COLUMNS as COUNTS
from project.statistics.wilson import wilson
from project.storage import layout
from project.storage.checksums import list_checksums
from project.storage.rows import COLUMNS, Measure, write_measures, write_tables

EPS = 4 / 255
ATTACKS: dict[str, dict[str, Any]] = {
    "flow@1": {"kind": "flow", "steps": 100},
    "flow@2": {"kind": "flow", "steps": 100},
    "fgsm": {"kind": "gradient", "method": "FGSM", "steps": 1, "norm": "linf", "eps": EPS},
    "mi@2": {"kind": "gradient", "method": "MI", "steps": 10, "norm": "linf", "eps": EPS / 2},
    "mi@4": {"kind": "gradient", "method": "MI", "steps": 10, "norm": "linf", "eps": EPS},
    "pgd10": {"kind": "gradient", "method": "PGD", "steps": 10, "norm": "linf", "eps": EPS},
    "pgd50": {"kind": "gradient", "method": "PGD", "steps": 50, "norm": "linf", "eps": EPS},
    "square": {"kind": "black_box", "method": "Square", "norm": "linf", "eps": EPS},
    "ssta": {"kind": "flow", "steps": 250},
    "stadv": {"kind": "flow", "steps": 100},
}
FLOATS = (
    *("ssim", "psnr", "lpips_squeeze", "lpips_alex", "l2", "linf", "mse", "dists", "ms_ssim"),
    *("uqi", "scc", "vif_p", "l0", "ciede2000", "bad_gradient", "flow_max", "zero_gradient"),
)


def draw_run(
    folder: Path,
    images: int,
    victims: int,
    classes: int = 0,
    attacks: int = len(ATTACKS),
    pictures: int = 0,
) -> None:
    """Write a run's folder.

    Args:
        folder: a new one.
        images: how many.
        victims: how many; each is a source too.
        classes: of segmenters; 0 is a run of classifiers.
        attacks: how many of :data:`ATTACKS`.
        pictures: of how many images the gallery has pictures, by every attack on every source.
    """
    folder.mkdir(parents=True)
    names, chosen = [f"victim_{k}" for k in range(victims)], sorted(ATTACKS)[:attacks]
    keys = [(a, s, v) for a, s, v in product(chosen, names, names)]
    drawn = _segmented if classes else _classified
    tables = (
        _table(key, drawn(place, names.index(key[2]), images, key, classes))
        for place, key in enumerate(keys)
    )
    measures: list[Measure] = []

    def written() -> Iterator[pa.Table]:
        for key, table in zip(keys, tables, strict=True):
            measures.extend(_measures(key, table, bool(classes)))
            yield table

    write_tables(folder / layout.ROWS, [*COUNTS * bool(classes), *FLOATS], written())
    write_measures(folder / layout.MEASURES, list(dict.fromkeys(measures)))
    facts = {
        "title": f"{len(keys) * images:,} drawn rows",
        "task": "segmentation" if classes else "classification",
        "images": images,
        "attacks": {name: ATTACKS[name] for name in chosen},
    }
    (folder / layout.FACTS).write_text(json.dumps(facts))
    for attack, source in product(chosen, names):
        _draw_pictures(folder, attack, source, pictures)
    list_checksums(folder)


def _draw_pictures(folder: Path, attack: str, source: str, images: int) -> None:
    """Write a gallery's files, all of the same small image."""
    if not images:
        return
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    keeper = GalleryKeeper(folder)
    keeper.keep_clean(0, image)
    keeper.keep(attack, source, 0, Attacked(image))
    gallery, names = folder / layout.GALLERY, (folder_name(attack), folder_name(source))
    for path in (gallery / layout.ORIGINALS, gallery.joinpath(*names)):
        first = path / layout.sample_name(0)
        contents = {file.name: file.read_bytes() for file in first.iterdir()}
        for index in range(1, images):
            copy = path / layout.sample_name(index)
            copy.mkdir(exist_ok=True)
            for name, content in contents.items():
                (copy / name).write_bytes(content)


def _table(key: tuple[str, str, str], columns: dict[str, Any]) -> pa.Table:
    images = len(columns["index"])
    told = dict(zip(("attack", "source", "victim"), ([one] * images for one in key), strict=True))
    schema = pa.schema([*COLUMNS.items(), *((name, pa.float64()) for name in FLOATS)])
    found = columns | told
    made = [
        pa.array(found[one.name], one.type) if one.name in found else pa.nulls(images, one.type)
        for one in schema
    ]
    return pa.table(made, schema=schema)


def _shared(rng: np.random.Generator, images: int, task: str) -> dict[str, Any]:
    """Return the columns of any task: distances are float32 numbers, as networks tell them."""
    floats = {name: rng.lognormal(-3, 1, images).astype(np.float32) for name in FLOATS}
    floats |= {name: np.exp(-floats[name]) for name in ("ssim", "ms_ssim", "uqi", "scc", "vif_p")}
    floats["psnr"] = np.where(rng.random(images) < 0.01, np.inf, 30 + 100 * floats["psnr"])
    floats |= dict.fromkeys(("bad_gradient", "zero_gradient"), np.zeros(images))
    return floats | {
        "index": np.arange(images),
        "name": [f"val/n01440764/ILSVRC2012_val_{k:08d}.JPEG" for k in range(images)],
        "task": [task] * images,
        "steps": rng.integers(1, 50, images),
    }


def _classified(
    seed: int, victim: int, images: int, key: tuple[str, str, str], _: int
) -> dict[str, Any]:
    rng, target = np.random.default_rng([1, seed]), np.arange(images) % 1000
    right = np.random.default_rng([2, victim]).random(images) < 0.8
    fooled = right & (rng.random(images) < (0.9 if key[1] == key[2] else 0.3))
    return _shared(rng, images, "classification") | {
        "target": target,
        "clean_unanswered": np.zeros(images, bool),
        "unanswered": np.zeros(images, bool),
        "clean_prediction": np.where(right, target, target + 1),
        "prediction": np.where(right & ~fooled, target, target + 1),
        "clean_confidence": rng.random(images).astype(np.float32),
        "confidence": rng.random(images).astype(np.float32),
        "clean_correct": right,
        "correct": right & ~fooled,
        "fooled": fooled,
        "success": fooled,
        "success_float": fooled,
    }


def _segmented(
    seed: int, victim: int, images: int, key: tuple[str, str, str], classes: int
) -> dict[str, Any]:
    rng, before = np.random.default_rng([1, seed]), np.random.default_rng([2, victim])
    labelled = np.random.default_rng(3).integers(0, 20_000, (images, classes))
    clean = (labelled * before.uniform(0.6, 0.9, (images, classes))).astype(np.int64)
    kept = 0.3 if key[1] == key[2] else 0.7
    correct = (clean * rng.uniform(kept - 0.2, kept + 0.2, (images, classes))).astype(np.int64)
    counts = {
        "clean_labelled_by_class": labelled,
        "labelled_by_class": labelled,
        "clean_predicted_by_class": clean + np.roll(labelled - clean, 1, 1),
        "clean_correct_by_class": clean,
        "predicted_by_class": correct + np.roll(labelled - correct, 1, 1),
        "correct_by_class": correct,
    }
    right = clean.sum(1)
    return _shared(rng, images, "segmentation") | {
        "valid_pixels": labelled.sum(1),
        "clean_unanswered_pixels": np.zeros(images, np.int64),
        "unanswered_pixels": np.zeros(images, np.int64),
        "clean_correct_pixels": right,
        "correct_pixels": correct.sum(1),
        "judged_pixels": right,
        "fooled_pixels": right - correct.sum(1),
        **{name: list(of) for name, of in counts.items()},
    }


def _measures(key: tuple[str, str, str], table: pa.Table, segmented: bool) -> Iterator[Measure]:
    if segmented:
        yield Measure("", "", key[2], "clean_miou", 0.6)
        yield Measure(*key, "miou", 0.2, 0.19, 0.21)
        return
    right, fooled = (int(table[name].to_numpy().sum()) for name in ("clean_correct", "fooled"))
    yield Measure(*_rate("", "", key[2], "clean_accuracy", right, len(table)))
    yield Measure(*_rate(*key, "asr", fooled, right))


def _rate(
    attack: str, source: str, victim: str, metric: str, hits: int, total: int
) -> tuple[Any, ...]:
    share = hits / max(total, 1)
    return attack, source, victim, metric, share, *wilson(share, max(total, 1)), hits, total
