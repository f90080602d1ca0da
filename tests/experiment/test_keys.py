"""The key of stored images: all that decides them is in it, and nothing that does not."""

import random
import shutil
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import lightning as L
import numpy as np
import pytest
import torch
from lightning.pytorch.plugins import Precision
from PIL import Image

from project.attacks import (
    PGD,
    SSTA,
    Admix,
    Diversity,
    InputTransform,
    MixedFrequency,
    Momentum,
    ScaleInvariant,
    SegPGD,
    Square,
)
from project.callbacks import AttackCallback
from project.core import numerics
from project.core.identity import describe, digest
from project.core.samples import KnowsSamples
from project.data import CentreCrop, ImageListData, Stretch
from project.evaluation import TransferEvaluation
from project.saliency import DataMasks, FrequencyTuned
from project.storage.rows import read_rows
from project.victims.acceleration import Acceleration
from tests.experiment.scene import photos, run, shapes, stored, victim, victims

DRAWS = 40


def keys(folder: Path, **changed) -> list[str]:
    """Return the keys of the stores that an experiment would open, in the order of its passes."""
    given = {"attacks": {"one": PGD()}, "victims": {"a": victim()}, "data": shapes()} | changed
    options = {name: given.pop(name) for name in ("acceleration", "max_batch") if name in given}
    data, evaluation = given.pop("data"), TransferEvaluation(given.pop("victims"), [])
    callback = AttackCallback(given.pop("attacks"), store=str(folder), threads=1, **options)
    trainer = L.Trainer(
        accelerator="cpu", devices=1, logger=False, default_root_dir=folder, **given
    )
    trainer.datamodule = data
    try:
        callback.setup(trainer, evaluation, "test")
    finally:
        callback.teardown(trainer, evaluation, "test")
    return [store.key for store in callback.stores.values()]


def drawn_attack(draw: random.Random):
    """Draw an attack with knobs, parts and parts of parts."""
    parts = {
        "rules": draw.choice([[], [Momentum(draw.choice([0.9, 1.0]))]]),
        "transforms": draw.choice([[], [Diversity()], [ScaleInvariant(draw.choice([2, 3]))]]),
        "random_start": draw.choice([True, False]),
    }
    seed, eps = draw.randint(0, 9), draw.randint(1, 16) / 255
    knobs = {"eps": eps, "steps": draw.randint(1, 20), "seed": seed}
    kind = draw.choice([PGD, PGD, SegPGD, Square, SSTA])
    known = {field.name for field in fields(kind)}
    return kind(**{n: v for n, v in (parts | knobs).items() if n in known})


def other_value(value, draw: random.Random):
    """Return another value of the same kind, None where it is not plain."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + draw.randint(1, 3)
    return value * draw.choice([0.5, 0.75]) if isinstance(value, float) and value else None


def test_attacks_that_differ_in_one_knob_have_different_descriptions():
    draw, compared = random.Random(0), 0
    for _ in range(10 * DRAWS):
        attack = drawn_attack(draw)
        knob = draw.choice([field.name for field in fields(attack)])
        other = other_value(getattr(attack, knob), draw)
        if other is None:
            continue
        try:
            changed = replace(attack, **{knob: other})
        except ValueError:  # no such attack
            continue
        assert digest(describe(attack)) == digest(describe(replace(attack)))
        assert digest(describe(changed)) != digest(describe(attack)), (attack, knob, other)
        compared += 1
    assert compared > DRAWS


def other_bits(tensors) -> None:
    with torch.no_grad():
        next(iter(tensors)).view(-1)[0] += 1e-6


def changed_victim(change: Callable) -> dict:
    made = victim()
    change(made)
    return {"victims": {"a": made}}


class matmul_at:  # noqa: N801 reads as what it is
    """A precision of float32 products, for the length of a block."""

    def __init__(self, precision: str) -> None:
        self.precision = precision

    def __enter__(self) -> None:
        self.before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision(self.precision)

    def __exit__(self, *_) -> None:
        torch.set_float32_matmul_precision(self.before)


MATTERS = {
    "budget": lambda: {"attacks": {"one": PGD(eps=4 / 255)}},
    "class of the attack": lambda: {"attacks": {"one": SegPGD()}},
    "part of the attack": lambda: {"attacks": {"one": PGD(transforms=[Diversity()])}},
    "weights": lambda: changed_victim(lambda v: other_bits(v.parameters())),
    "statistics": lambda: changed_victim(lambda v: other_bits(v.buffers())),
    "mean": lambda: changed_victim(lambda v: setattr(v, "mean", (0.5, 0.5, 0.25))),
    "layers": lambda: changed_victim(lambda v: v.network.append(torch.nn.Tanh())),
    "number in a layer": lambda: changed_victim(lambda v: setattr(v.network[0][0], "stride", 1)),
    "drawings": lambda: {"data": shapes(seed=1)},
    "size": lambda: {"data": shapes(size=40)},
    "frame": lambda: {"data": shapes(frame=Stretch(40, 32))},
    "another frame": lambda: {"data": shapes(frame=CentreCrop(40, 32))},
    "precision": lambda: {"precision": "bf16-mixed"},
    "fast copies": lambda: {"acceleration": Acceleration(fold=False)},
    "determinism": lambda: {"deterministic": True},
}


def test_experiments_that_differ_in_one_thing_have_different_keys(tmp_path):
    found = {"nothing": keys(tmp_path)[0]}
    for name, change in MATTERS.items():
        found[name] = keys(tmp_path, **change())[0]
        torch.use_deterministic_algorithms(False)
    with matmul_at("medium"):
        found["products"] = keys(tmp_path)[0]
    torch.set_default_dtype(torch.float64)
    found["default type"] = digest(describe(numerics.numerics(torch.device("cpu"))))
    torch.set_default_dtype(torch.float32)
    found["again"] = digest(describe(numerics.numerics(torch.device("cpu"))))
    assert len(set(found.values())) == len(found), found
    assert keys(tmp_path) == [found["nothing"]]


@pytest.mark.parametrize("library", ["torch", "torchvision", "timm", "segmentation-models-pytorch"])
def test_another_version_of_a_library_is_another_key(tmp_path, monkeypatch, library):
    before = keys(tmp_path)
    told = numerics._versions()
    monkeypatch.setattr(numerics, "_versions", lambda: told | {library: "999"})
    assert keys(tmp_path) != before


def test_another_kind_of_device_is_another_key(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"GPU {device.index}")
    told = [numerics.numerics(torch.device(name)) for name in ("cpu", "cuda:0", "cuda:1")]
    assert len({digest(one) for one in told}) == 3


@pytest.mark.parametrize("backend", ["cuda.matmul", "cudnn.conv"])
def test_tf32_is_another_key_on_a_gpu_alone(monkeypatch, backend):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "GPU")
    devices = [torch.device("cpu"), torch.device("cuda")]
    before = [numerics.numerics(device) for device in devices]
    first, second = backend.split(".")
    held = getattr(getattr(torch.backends, first), second)
    known = held.fp32_precision
    held.fp32_precision = "tf32" if known != "tf32" else "ieee"
    try:
        after = [numerics.numerics(device) for device in devices]
    finally:
        held.fp32_precision = known
    assert [one == other for one, other in zip(before, after, strict=True)] == [True, False]


IDLE = {
    "name of the attack": lambda: {"attacks": {"another: name!": PGD()}},
    "name of the victim": lambda: {"victims": {"b": victim()}},
    "batch size": lambda: {"data": shapes(batch_size=3)},
    "limit": lambda: {"data": shapes(limit=5)},
    "workers": lambda: {"data": shapes(num_workers=2)},
    "memory": lambda: {"max_batch": 2},
    "mode": lambda: changed_victim(lambda v: v.train()),
    "frozen weights": lambda: changed_victim(lambda v: v.requires_grad_(False)),
}


def test_what_cannot_matter_shares_images(tmp_path):
    found = {name: keys(tmp_path, **change()) for name, change in IDLE.items()}
    assert found == dict.fromkeys(IDLE, keys(tmp_path))


def photo_set(folder: Path, **more) -> ImageListData:
    """Return photos that are not compressed, so that others of their size in pixels are as long."""
    if not folder.exists():
        photos(folder)
        for path in folder.rglob("*.png"):
            Image.fromarray(np.asarray(Image.open(path))).save(path, compress_level=0)
    return ImageListData(str(folder), batch_size=4, **more)


def test_where_photos_lie_does_not_matter(tmp_path):
    before = keys(tmp_path, data=photo_set(tmp_path / "here"))
    shutil.move(tmp_path / "here", tmp_path / "there")
    assert keys(tmp_path, data=photo_set(tmp_path / "there")) == before


def negated(path: Path) -> None:
    """Change a photo's pixels, and neither its name nor its size in bytes."""
    size = path.stat().st_size
    Image.fromarray(255 - np.asarray(Image.open(path))).save(path, compress_level=0)
    assert path.stat().st_size == size  # or the size alone would change the key


class Mixed(InputTransform, KnowsSamples):
    """Somebody's own transform, which draws from the whole data set."""

    def __init__(self, share: float = 0.5) -> None:
        self.share = share

    def attach(self, samples) -> None:
        self.remember(samples)

    def views(self, draws):
        yield lambda images: images


@pytest.mark.parametrize(
    "part",
    [Admix(partners=1, pool=4), MixedFrequency(copies=1, pool=4), Mixed()],
    ids=["Admix", "MixedFrequency", "own"],
)
def test_photos_that_an_attack_draws_belong_to_its_key(tmp_path, part):
    attack = {"one": PGD(transforms=[part], steps=1)}
    before = keys(tmp_path, data=photo_set(tmp_path / "photos"), attacks=attack)
    path = sorted((tmp_path / "photos").rglob("*.png"))[0]  # the first is in every pool
    negated(path)
    assert keys(tmp_path, data=photo_set(tmp_path / "photos"), attacks=attack) != before
    assert keys(tmp_path, data=photo_set(tmp_path / "photos", limit=5), attacks=attack) == keys(
        tmp_path, data=photo_set(tmp_path / "photos"), attacks=attack
    )


def test_the_data_sets_own_masks_belong_to_the_key_of_who_uses_them(tmp_path, monkeypatch):
    data = shapes()
    attack = {"one": SSTA(saliency=DataMasks())}
    before = [keys(tmp_path, data=data, attacks=one) for one in (attack, {"one": PGD()})]
    real = type(data.samples).salient_mask
    monkeypatch.setattr(
        type(data.samples), "salient_mask", lambda self, index: 1 - real(self, index)
    )
    after = [keys(tmp_path, data=data, attacks=one) for one in (attack, {"one": PGD()})]
    assert [one == other for one, other in zip(before, after, strict=True)] == [False, True]


def test_photos_drawn_anew_are_attacked_anew(tmp_path, attacked):
    """Row 7 of what failed: the photos that drew from the pool were served stale."""
    attack = {"one": PGD(transforms=[Admix(partners=1, pool=11)], steps=1)}
    for _ in range(2):
        run(tmp_path, data=photo_set(tmp_path / "photos"), victims={"a": victim()}, attacks=attack)
    assert len(attacked) == 3
    negated(sorted((tmp_path / "photos").rglob("*.png"))[0])
    run(tmp_path, data=photo_set(tmp_path / "photos"), victims={"a": victim()}, attacks=attack)
    assert len(attacked) == 6


def test_names_never_decide_what_is_stored(tmp_path, attacked):
    def tried(*names: str):
        attack = {name: PGD(4 / 255, 2 / 255, steps=2) for name in names}
        run(tmp_path, victims={"a": victim()}, attacks=attack)
        return read_rows(tmp_path / "run/rows.parquet").to_pylist()

    first = tried("pgd 4", "pgd@4")
    assert len(attacked) == 3
    images = stored(tmp_path / "store")
    second = tried("pgd 4", "pgd@4")
    third = tried("renamed")
    assert len(attacked) == 3
    assert stored(tmp_path / "store") == images
    predictions = [
        sorted((row["attack"] == name, row["index"], row["prediction"]) for row in rows)
        for rows, name in ((first, "pgd 4"), (second, "pgd 4"))
    ]
    assert predictions[0] == predictions[1]
    assert len(third) * 2 == len(first)


def test_victims_of_two_names_and_equal_weights_share_images(tmp_path, attacked):
    run(tmp_path, victims={"x": victim(), "y": victim()}, attacks={"one": PGD(steps=1)})
    assert len(attacked) == 3
    assert len(victims()) == 2


def test_saliency_maps_know_the_precision_of_products(tmp_path):
    from project.saliency.cache import _keys

    images = torch.rand(1, 3, 8, 8)
    before = _keys(FrequencyTuned(), images)
    with matmul_at("medium"):
        assert _keys(FrequencyTuned(), images) != before
    with torch.autocast("cpu", torch.bfloat16):
        assert _keys(FrequencyTuned(), images) != before
    assert _keys(FrequencyTuned(), images) == before


class BehindAKnownName(Precision):
    """A precision of one's own that claims to be the ordinary one."""

    precision = "32-true"

    def forward_context(self):
        """Compute in half precision."""
        return torch.autocast("cpu", torch.bfloat16)


def test_a_precision_of_ones_own_has_a_key_of_its_own(tmp_path):
    ordinary = keys(tmp_path)
    assert keys(tmp_path, plugins=[Precision()]) == ordinary
    assert keys(tmp_path, plugins=[BehindAKnownName()]) != ordinary
