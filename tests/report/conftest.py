"""A run's folder as an experiment leaves it, with drawn numbers in place of measured ones."""

import json
import os
import shutil

import numpy as np
import pytest
from PIL import Image

from project.report import build_report
from project.report.gallery import Attacked, GalleryKeeper
from project.report.gallery import section as inside
from project.storage.rows import Measure, write_measures, write_rows
from tests.browser import chromium
from tests.report.visits import Visit

PICTURED = 24
ODD = '</script><x-injected> &amp; {index} "μ" 8/255 #? 100%\\'
VICTIMS = ("resnet_a", "vit_b", "<i>swin</i>")  # what comes from outside is escaped


def photo(rng, height=48, width=64):
    """A smooth random image, (H, W, 3) uint8."""
    coarse = rng.integers(30, 226, (6, 8, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def blob(height=48, width=64, radius=15):
    """A disc in the middle, (H, W) bool."""
    y, x = np.mgrid[:height, :width]
    return (x - width / 2) ** 2 + (y - height / 2) ** 2 < radius**2


def keep_sample(folder, attack, source, index, flow=False, classes=False):
    """Put an image and what an attack made of it into a gallery."""
    keeper, rng = GalleryKeeper(folder), np.random.default_rng([index, *attack.encode()])
    clean = photo(np.random.default_rng(index))
    noise = rng.integers(-6, 7, clean.shape) * blob()[..., None]
    target = np.where(np.arange(48)[:, None] < 4, 255, blob() * 3).astype(np.uint8)
    seen = {source: blob(radius=13).astype(np.uint8) * 3}
    keeper.keep_clean(index, clean, *((target, seen) if classes else ()))
    y, x = np.mgrid[-1:1:48j, -1:1:64j]
    attacked = Attacked(
        image=(clean + noise).clip(0, 255).astype(np.uint8),
        flow=(1.5 * blob() * np.stack([-y, x])).astype(np.float16) if flow else None,
        mask=blob().astype(np.uint8) * 255 if flow else None,
        prediction=rng.integers(0, 4, (48, 64), dtype=np.uint8) if classes else None,
    )
    keeper.keep(attack, source, index, attacked)


def write_sample(folder, rng, flow=False, classes=False):
    """Write all files of a sample into one folder, as training runs do and older galleries did."""
    folder.mkdir(parents=True)
    clean = photo(rng)
    noise = rng.integers(-6, 7, clean.shape) * blob()[..., None]
    Image.fromarray(clean).save(folder / "clean.png")
    Image.fromarray((clean + noise).clip(0, 255).astype(np.uint8)).save(folder / "adversarial.png")
    if flow:
        y, x = np.mgrid[-1:1:48j, -1:1:64j]
        np.save(folder / "flow.npy", (1.5 * blob() * np.stack([-y, x])).astype(np.float16))
        Image.fromarray(blob().astype(np.uint8) * 255).save(folder / "mask.png")
    if classes:
        target = blob().astype(np.uint8) * 3
        target[:4] = 255
        for name, labels in {
            "target": target,
            "prediction_clean": blob(radius=13).astype(np.uint8) * 3,
            "prediction_adversarial": rng.integers(0, 4, target.shape, dtype=np.uint8),
        }.items():
            Image.fromarray(labels).save(folder / f"{name}.png")


def classification_rows(rng, count, attack, source, victim):
    strength = {True: 0.93, False: 0.3}[source == victim] * (0.6 if attack == "pgd" else 1)
    for index in range(count):
        right = (index * 7 + len(victim)) % 10 != 0
        fooled = bool(right and rng.random() < strength)
        yield {
            "index": index,
            "name": f"photo_{index:03d}",
            "task": "classification",
            "attack": attack,
            "source": source,
            "victim": victim,
            "target": index % 4,
            "clean_prediction": index % 4 if right else (index + 1) % 4,
            "prediction": (index + 1) % 4 if fooled or not right else index % 4,
            "clean_confidence": 0.9,
            "confidence": 0.2 if fooled else 0.8,
            "clean_correct": right,
            "correct": right and not fooled,
            "fooled": fooled,
            "success": fooled,
            "success_float": fooled,
            "steps": int(rng.integers(3, 60)),
            "ssim": 0.98 + 0.02 * rng.random(),
            "psnr": float("inf") if index % 9 == 0 else 35 + 10 * rng.random(),
            "l2": 2 + rng.random(),
            "linf": 8 / 255,
            "mse": 3 + rng.random(),
            "flow_max": None if attack == "pgd" else rng.random(),
            "salient_area": None if attack == "pgd" else (0.01 if index % 8 == 0 else 0.3),
        }


def segmentation_rows(rng, count, attack, source, victim):
    for index in range(count):
        fooled = int(rng.integers(200, 900))
        yield {
            "index": index,
            "name": f"street_{index:03d}",
            "task": "segmentation",
            "attack": attack,
            "source": source,
            "victim": victim,
            "valid_pixels": 3000,
            "clean_correct_pixels": 2500,
            "correct_pixels": 2500 - fooled,
            "fooled_pixels": fooled,
            "success": False,
            "success_float": False,
            "steps": 20,
            "ssim": 0.9,
            "psnr": 31.0,
            "stage2_steps": 10,
        }


def classification_measures(rows, attacks):
    for victim in VICTIMS:
        found = [r for r in rows if r["victim"] == victim and r["attack"] == attacks[0]]
        found = [r for r in found if r["source"] == rows[0]["source"]]
        yield rate("", "", victim, "clean_accuracy", [r["clean_correct"] for r in found])
    for attack, source, victim in {(r["attack"], r["source"], r["victim"]): 0 for r in rows}:
        key = (attack, source, victim)
        found = [r for r in rows if (r["attack"], r["source"], r["victim"]) == key]
        right = [r for r in found if r["clean_correct"]]
        yield rate(*key, "asr", [r["fooled"] for r in right])
        large = [r["fooled"] for r in right if (r["salient_area"] or 0) > 0.05]
        if large and source == victim:
            yield rate(*key, "asr_paper", large)


def rate(attack, source, victim, metric, hits):
    share, n = sum(hits) / len(hits), len(hits)
    return Measure(
        attack,
        source,
        victim,
        metric,
        share,
        max(0, share - 0.1),
        min(1, share + 0.1),
        sum(hits),
        n,
    )


def segmentation_measures(rng, attacks, sources):
    clean = {victim: 0.5 + 0.1 * k for k, victim in enumerate(VICTIMS)}
    for victim, value in clean.items():
        yield Measure("", "", victim, "clean_miou", value)
        yield Measure("", "", victim, "clean_pixel_accuracy", value + 0.2)
    for attack in attacks:
        for source in sources:
            for victim in VICTIMS:
                kept = 0.05 if source == victim else 0.5 + 0.3 * rng.random()
                yield Measure(attack, source, victim, "miou", kept * clean[victim])


def make_run(folder, task, count=40, samples=3, sources=VICTIMS[:2]):
    rng = np.random.default_rng(0)
    attacks = ("ssta", "pgd") if task == "classification" else ("transegpgd", "pgd")
    make_rows = classification_rows if task == "classification" else segmentation_rows
    rows = [
        row
        for attack in attacks
        for source in sources
        for victim in VICTIMS
        for row in make_rows(rng, count, attack, source, victim)
    ]
    measures = (
        classification_measures(rows, attacks)
        if task == "classification"
        else segmentation_measures(rng, attacks, sources)
    )
    write_rows(folder / "rows.parquet", rows)
    write_measures(folder / "metrics.csv", list(measures))
    for attack in attacks:
        for index in range(samples):
            keep_sample(
                folder,
                attack,
                sources[0],
                index,
                flow=attack == "ssta",
                classes=task == "segmentation",
            )
    facts = {
        "title": f"A run of {task}",
        "task": task,
        "command": f"python attack.py --config configs/{task}.yaml",
        "versions": {"torch": "2.14.1", "project": "0.1.0"},
        "config": "attacks:\n  pgd:\n    eps: 8/255\n",
        "notices": ["lpips_alex is left out: it has no backbone weights"],
        "weights": {victim: f"{k:064x}" for k, victim in enumerate(VICTIMS)},
        "images": count,
        "seeds": {"attack": 0, "data": 1},
        "class_names": ["road & path", "tree", "sky", "car"],
    }
    (folder / "run.json").write_text(json.dumps(facts))
    return folder


@pytest.fixture(scope="session")
def classification_run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("classification"), "classification")


@pytest.fixture(scope="session")
def segmentation_run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("segmentation"), "segmentation")


@pytest.fixture(scope="session")
def browser():
    with chromium() as started:
        yield started


@pytest.fixture
def visit(browser):
    """Open pages, and close them at the end."""
    visits = []

    def opened(*args, **more):
        visits.append(Visit(browser, *args, **more))
        return visits[-1]

    yield opened
    for one in visits:
        one.page.close()


@pytest.fixture(scope="session")
def pictured_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictured")
    build_report(make_run(folder, "classification", samples=PICTURED))
    return folder


@pytest.fixture(scope="session")
def pictured_streets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("streets")
    build_report(make_run(folder, "segmentation", count=6))
    return folder


@pytest.fixture(scope="session")
def many_run(tmp_path_factory):
    """Two thousand pictured images, of which the page itself holds some."""
    folder = tmp_path_factory.mktemp("many")
    rng, name = np.random.default_rng(0), VICTIMS[0]
    rows = list(classification_rows(rng, 2000, "pgd", name, name))
    write_rows(folder / "rows.parquet", rows)
    write_measures(folder / "metrics.csv", [Measure("pgd", name, name, "asr", 0.5)])
    (folder / "run.json").write_text("{}")
    keep_sample(folder, "pgd", name, 0)
    for first in (folder / "gallery" / "originals", folder / "gallery" / "pgd" / name):
        for index in range(1, 2000):
            shutil.copytree(first / f"{0:08d}", first / f"{index:08d}", copy_function=os.link)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inside, "MOST_BYTES", 200_000)
        build_report(folder)
    return folder


@pytest.fixture(scope="session")
def odd_run(tmp_path_factory):
    """A run whose every name holds what HTML, scripts, addresses and paths may stumble over."""
    folder = tmp_path_factory.mktemp("odd")
    rows = list(classification_rows(np.random.default_rng(0), 2, ODD, ODD, ODD))
    write_rows(folder / "rows.parquet", [row | {"name": ODD} for row in rows])
    write_measures(folder / "metrics.csv", [Measure(ODD, ODD, ODD, "asr", 0.5)])
    (folder / "run.json").write_text(json.dumps({"title": ODD, "class_names": [ODD] * 4}))
    for index in range(2):
        keep_sample(folder, ODD, ODD, index, flow=True)
    build_report(folder)
    return folder, ODD
