"""The store: images are made once, and again only if anything they follow from has changed."""

from pathlib import Path
from typing import Any

import pytest
import torch

from project.attacks import PGD, Attack
from project.callbacks.experiment import attack as attacking
from project.data import Stretch
from project.storage.rows import read_rows
from project.victims import Victim
from tests.experiment.scene import (
    BATCH,
    BATCHES,
    IMAGES,
    attacks,
    results,
    run,
    shapes,
    stored,
    stored_batch,
    victim,
    victims,
)


@pytest.mark.parametrize("task", ["classification", "segmentation"])
def test_second_run_attacks_nothing_and_gives_the_same_bytes(tmp_path, attacked, task):
    run(tmp_path, data=shapes(task), victims=victims(task), attacks=attacks())
    before, images = results(tmp_path), stored(tmp_path / "store")
    assert len(attacked) == 2 * 2 * BATCHES
    attacked.clear()
    run(tmp_path, data=shapes(task), victims=victims(task), attacks=attacks())
    assert attacked == []
    assert results(tmp_path) == before
    assert stored(tmp_path / "store") == images


def test_second_test_of_one_module_counts_nothing_twice(tmp_path):
    first = run(tmp_path, victims=victims(), attacks=attacks())
    before = results(tmp_path)
    run(tmp_path, victims=first.victims, attacks=attacks())
    assert results(tmp_path) == before


def test_new_victim_judges_stored_images_without_a_new_attack(tmp_path, attacked):
    old = run(tmp_path, victims=victims(), attacks=attacks())
    attacked.clear()
    three = victims() | {"c": victim(seed=3)}
    new = run(tmp_path, victims=three, attacks=attacks(), sources=["a", "b"])
    assert attacked == []
    assert [measure for measure in new.measures if measure.victim != "c"] == old.measures
    assert {(measure.attack, measure.source) for measure in new.measures if measure.victim == "c"}
    assert len([row for row in rows(tmp_path) if row["victim"] == "c"]) == 2 * 2 * IMAGES


def test_new_source_alone_is_attacked(tmp_path, attacked):
    run(tmp_path, victims=victims(), attacks=attacks(), sources=["a"])
    attacked.clear()
    run(tmp_path, victims=victims(), attacks=attacks(), sources=None)
    assert len(attacked) == 2 * BATCHES


def test_log_says_how_many_images_come_from_the_store(tmp_path, monkeypatch):
    said: list[str] = []
    monkeypatch.setattr(attacking, "rank_zero_info", said.append)
    run(tmp_path, victims=victims(), attacks=attacks(), sources=["a"])
    assert f"pgd on a: 0 of {IMAGES} images come from the store" in said
    said.clear()
    stored_batch(tmp_path, "pgd", "a", 5).unlink()
    run(tmp_path, victims=victims(), attacks=attacks(), sources=["a", "b"])
    assert said == [
        f"pgd on a: {IMAGES - BATCH} of {IMAGES} images come from the store",
        f"pgd on b: 0 of {IMAGES} images come from the store",
        f"fgsm on a: {IMAGES} of {IMAGES} images come from the store",
        f"fgsm on b: 0 of {IMAGES} images come from the store",
    ]


def rows(folder: Path) -> list[dict[str, Any]]:
    return read_rows(folder / "run" / "rows.parquet").to_pylist()


def changed_weights() -> dict[str, Victim]:
    changed = victim()
    with torch.no_grad():
        changed.network[1].bias[0] += 1e-6
    return {"a": changed}


def pgd(**more) -> dict[str, Attack]:
    return {"pgd": PGD(**{"eps": 4 / 255, "steps": 2} | more)}


def attacked_files(files: dict[str, bytes]) -> list[str]:
    return [name for name in files if not name.startswith("clean-")]


CHANGES = {
    "budget": {"attacks": pgd(eps=5 / 255)},
    "seed of the attack": {"attacks": pgd(seed=1)},
    "weights": {"victims": changed_weights()},
    "normalisation": {"victims": {"a": victim()}},
    "drawings": {"data": shapes(seed=1)},
    "frame": {"data": shapes(frame=Stretch(32, 40))},
}
CHANGES["normalisation"]["victims"]["a"].mean = (0.5, 0.5, 0.25)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_images_that_follow_from_something_else_are_made_anew(tmp_path, attacked, change):
    experiment = {"victims": {"a": victim()}, "attacks": pgd()}
    run(tmp_path, **experiment)
    before = stored(tmp_path / "store")
    attacked.clear()
    run(tmp_path, **experiment | change)
    assert len(attacked) == BATCHES
    after = stored(tmp_path / "store")
    assert after.items() > before.items()
    assert len(attacked_files(after)) == 2 * len(attacked_files(before))


def test_limit_takes_its_images_from_the_store_of_the_whole(tmp_path, attacked):
    run(tmp_path, victims={"a": victim()}, attacks=pgd(), data=shapes(batch_size=1))
    kept = {row["index"]: row for row in rows(tmp_path)}
    attacked.clear()
    run(tmp_path, victims={"a": victim()}, attacks=pgd(), data=shapes(limit=5))
    assert attacked == []
    part = rows(tmp_path)
    chosen = [row["index"] for row in part]
    assert len(chosen) == 5
    assert [row["prediction"] for row in part] == [kept[n]["prediction"] for n in chosen]
