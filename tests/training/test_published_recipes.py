"""Trainings with published settings run for an epoch on small data in the published formats."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from lightning.pytorch import Trainer
from PIL import Image

from project.cli import attack_main, train_main
from project.storage.rows import read_rows
from project.victims import CIFARVictim, SmpVictim
from tests.data.files import blocks, photo, save
from tests.data.test_cifar import published
from tests.training.robust_scene import IGNORED

CONFIGS = Path(__file__).parents[2] / "configs"
ROBUST = CONFIGS / "train" / "robust"
CIFAR = sorted(path.stem for path in (ROBUST / "cifar10").glob("*.yaml"))
SEGMENTERS = ["pspnet50", "deeplabv3_50"]
SIDE = 32  # of windows and photos of segmenters
FRAME = {"class_path": "Stretch", "init_args": {"height": SIDE, "width": SIDE}}

pytestmark = [
    # Lightning calls what jsonargparse has renamed
    pytest.mark.filterwarnings("ignore::jsonargparse._deprecated.JsonargparseDeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*results are not those of the whole"),
    pytest.mark.filterwarnings("ignore:.*is smaller than the logging interval.*"),
    pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.. is deprecated.*"),
    *(pytest.mark.filterwarnings(ignored) for ignored in IGNORED),
]


def voc(root: Path) -> Path:
    lists = root / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    for split, count in (("trainaug", 2), ("val", 2)):
        names = [f"{split}_{number}" for number in range(count)]
        (lists / f"{split}.txt").write_text("\n".join(names) + "\n")
        for number, name in enumerate(names):
            save(root / "JPEGImages" / f"{name}.jpg", photo(60 + number, 90, seed=number))
            mask = Image.fromarray(blocks(60 + number, 90, [0, 3, 15, 255], seed=number))
            mask.putpalette(np.arange(768).astype(np.uint8).tolist())
            (root / "SegmentationClass").mkdir(exist_ok=True)
            mask.save(root / "SegmentationClass" / f"{name}.png")
    return root


def cityscapes(root: Path) -> Path:
    for split, count in (("train", 2), ("val", 2)):
        for number in range(count):
            stem = f"{split}/bonn/bonn_00000{number}_000019"
            save(root / "leftImg8bit" / f"{stem}_leftImg8bit.png", photo(128, 256, seed=number))
            mask = blocks(128, 256, [7, 8, 11, 26, 0], cell=16, seed=number)
            save(root / "gtFine" / f"{stem}_gtFine_labelIds.png", mask)
    return root


DATA: dict[str, Callable[[Path], Path]] = {"voc": voc, "cityscapes": cityscapes}


def fit(folder: Path, names: list[str], root: Path, *more: str) -> Trainer:
    """Train for an epoch as the user does, on the CPU; the checkpoint is *kept/it.ckpt*."""
    return train_main(
        [
            "fit",
            *(f"--config={CONFIGS / 'train' / name}.yaml" for name in names),
            f"--data.root={root}",
            "--data.num_workers=0",
            "--trainer.max_epochs=1",
            "--trainer.num_sanity_val_steps=0",
            "--trainer.check_val_every_n_epoch=1",
            "--trainer.accelerator=cpu",
            "--trainer.enable_progress_bar=false",
            "--trainer.enable_model_summary=false",
            f"--trainer.logger.save_dir={folder}",
            f"--trainer.callbacks.dirpath={folder / 'kept'}",
            "--trainer.callbacks.filename=it",
            *more,
        ]
    )


def cifar(folder: Path, names: list[str], *more: str) -> Trainer:
    published(folder)
    small = ("--data.batch_size=2", "--data.held_out=18", "--data.limit=2")
    return fit(folder, names, folder, *small, *more)


def segmented(folder: Path, data: str, names: list[str]) -> Trainer:
    small = [
        "--data.batch_size=2",
        "--model.victim.pretrained=false",
        f"--data.augment.height={SIDE}",
        f"--data.augment.width={SIDE}",
        "--data.frame.class_path=Stretch",
        f"--data.frame.init_args.height={SIDE}",
        f"--data.frame.init_args.width={SIDE}",
    ]
    return fit(folder, names, DATA[data](folder / data), *small)


def attacked(folder: Path, data: str, victim: dict[str, Any], attack: dict[str, Any]) -> Any:
    """Run an experiment on what a training left; return its rows."""
    config = folder / "attack.yaml"
    content = {"model": {"victims": {"trained": victim}}, "attack": {"attacks": {"it": attack}}}
    config.write_text(yaml.safe_dump(content))
    attack_main(
        [
            f"--config={CONFIGS / 'data' / data}.yaml",
            f"--config={config}",
            f"--data.root={folder if data == 'cifar10' else folder / data}",
            "--data.limit=2",
            "--data.batch_size=2",
            f"--run.folder={folder / 'run'}",
            f"--attack.store={folder / 'store'}",
            "--trainer.accelerator=cpu",
            "--trainer.logger=false",
            *(
                ["--data.frame", yaml.safe_dump(FRAME, default_flow_style=True)]
                if data != "cifar10"
                else []
            ),
        ]
    )
    return read_rows(folder / "run" / "rows.parquet").to_pylist()


def only(path: str, part: str, **changes: Any) -> dict[str, Any]:
    """Return one entry of a config, with other arguments."""
    content = yaml.safe_load((CONFIGS / path).read_text())
    entries = content["attack"]["attacks"] if "attack" in content else content["model"]["victims"]
    entry: dict[str, Any] = entries[part]
    entry["init_args"].update(changes)
    return entry


@pytest.mark.parametrize("name", [name for name in CIFAR if name != "mart_wide"])
def test_recipe_of_cifar_trains_resnet18_for_an_epoch(name: str, tmp_path: Path):
    trainer = cifar(tmp_path, ["cifar10_resnet18", f"robust/cifar10/{name}"])
    assert trainer.global_step == 1
    assert 0 <= trainer.callback_metrics["val/robust_accuracy"] <= 1
    assert trainer.callback_metrics["train/loss"].isfinite()
    loaded = CIFARVictim(checkpoint=tmp_path / "kept" / "it.ckpt")
    assert loaded.fingerprint() == trainer.lightning_module.victim.fingerprint()


@pytest.mark.slow
def test_wide_network_trains_with_settings_of_its_own(tmp_path: Path):
    names = ["cifar10_wrn_28_10", "robust/cifar10/mart", "robust/cifar10/mart_wide"]
    trainer = cifar(tmp_path, names)
    training: Any = trainer.lightning_module
    assert trainer.global_step == 1
    assert (training.robust.beta, training.learning_rate, training.weight_decay) == (6, 0.1, 0.0007)
    loaded = CIFARVictim("wrn_28_10", checkpoint=tmp_path / "kept" / "it.ckpt")
    assert loaded.fingerprint() == training.victim.fingerprint()


@pytest.mark.slow
@pytest.mark.parametrize("recipe", [None, "pgd", "segpgd"])
@pytest.mark.parametrize("network", SEGMENTERS)
@pytest.mark.parametrize("data", DATA)
def test_segmenter_trains_for_an_epoch(data: str, network: str, recipe: str, tmp_path: Path):
    names = [f"{data}_{network}", *([f"robust/segmentation/{recipe}"] if recipe else [])]
    trainer = segmented(tmp_path, data, names)
    assert trainer.global_step == 1
    for metric in ("miou", "robust_miou")[: 2 if recipe else 1]:
        assert 0 <= trainer.callback_metrics[f"val/{metric}"] <= 1
    victim = f"{network}_{recipe}" if recipe else network
    arguments = only(
        f"victims/{data}_robust.yaml", victim, checkpoint=tmp_path / "kept" / "it.ckpt"
    )
    loaded = SmpVictim(**arguments["init_args"])
    assert loaded.fingerprint() == trainer.lightning_module.victim.fingerprint()


@pytest.mark.slow
def test_autoattack_judges_what_a_recipe_has_trained(tmp_path: Path):
    cifar(tmp_path, ["cifar10_resnet18", "robust/cifar10/fast"])
    checkpoint = str(tmp_path / "kept" / "it.ckpt")
    victim = only("victims/cifar10_resnet18.yaml", "fast", checkpoint=checkpoint)
    attack = only("attacks/auto_attack.yaml", "auto_attack", version="fast", eps="8/255")
    rows = attacked(tmp_path, "cifar10", victim, attack)
    assert [row["victim"] for row in rows] == ["trained"] * 2


@pytest.mark.slow
def test_segpgd_judges_what_a_recipe_has_trained(tmp_path: Path):
    segmented(tmp_path, "voc", ["voc_pspnet50", "robust/segmentation/pgd"])
    checkpoint = str(tmp_path / "kept" / "it.ckpt")
    victim = only("victims/voc_robust.yaml", "pspnet50_pgd", checkpoint=checkpoint)
    attack = only("attacks/segpgd.yaml", "segpgd", steps=2)
    rows = attacked(tmp_path, "voc", victim, attack)
    assert [row["victim"] for row in rows] == ["trained"] * 2
