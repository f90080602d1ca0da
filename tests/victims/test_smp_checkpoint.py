"""Folders that smp saves give the network that smp itself would load from them."""

import json
from pathlib import Path
from typing import Any

import albumentations
import pytest
import segmentation_models_pytorch as smp
import torch

from project.core.errors import InputError
from project.core.identity import describe, digest
from project.victims import SmpCheckpoint, check_victim
from project.victims.weights import WeightsError
from tests.models import eight_bit_images
from tests.victims.networks import settled

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.3, 0.25)


def saved(folder: Path, architecture: str = "FPN", **arguments: Any) -> Any:
    torch.manual_seed(2)
    make = getattr(smp, architecture)
    arguments = {"encoder_name": "tu-test_efficientnet", "encoder_weights": None} | arguments
    network = settled(make(classes=4, **arguments))
    network.save_pretrained(folder)
    return network


@pytest.mark.parametrize(
    ("architecture", "arguments"),
    [
        ("Segformer", {"encoder_name": "mit_b0", "decoder_segmentation_channels": 16}),
        ("UPerNet", {"decoder_channels": 16}),
        (
            "DPT",
            {
                "encoder_name": "tu-test_vit",
                "encoder_depth": 2,
                "decoder_intermediate_channels": (16, 16),
                "decoder_fusion_channels": 16,
                "dynamic_img_size": True,
            },
        ),
        ("Unet", {"decoder_channels": [16, 16, 8, 8, 8]}),
    ],
)
def test_logits_are_those_of_what_smp_loads(architecture: str, arguments: Any, tmp_path: Path):
    saved(tmp_path, architecture, **arguments)
    victim = SmpCheckpoint(tmp_path)
    images = eight_bit_images(2, 64, 64)
    with torch.no_grad():
        expected = smp.from_pretrained(tmp_path).eval()(victim.normalise(images))
        torch.testing.assert_close(victim.eval()(images), expected, rtol=0, atol=1e-5)
    assert check_victim("it", victim, images, "segmentation", 4) == []
    assert digest(describe(victim)) == digest(describe(SmpCheckpoint(tmp_path)))


def test_encoder_weights_of_the_training_are_not_fetched_again(tmp_path: Path, no_network: Path):
    saved(tmp_path)
    told = tmp_path / "config.json"
    config = json.loads(told.read_text()) | {"encoder_weights": "imagenet"}
    told.write_text(json.dumps(config))
    SmpCheckpoint(tmp_path)


def test_normalisation_of_the_published_transform_counts(tmp_path: Path):
    saved(tmp_path)
    transform = albumentations.Compose(
        [albumentations.Resize(64, 64), albumentations.Normalize(mean=MEAN, std=STD)]
    )
    albumentations.save(transform, tmp_path / "albumentations_config_eval.json")
    victim = SmpCheckpoint(tmp_path)
    images = eight_bit_images(1, 16, 16)
    levels = (images[0] * 255).round().byte().permute(1, 2, 0).numpy()
    expected = albumentations.Normalize(mean=MEAN, std=STD)(image=levels)["image"]
    found = victim.normalise(images)[0].permute(1, 2, 0)
    torch.testing.assert_close(found, torch.tensor(expected), rtol=0, atol=1e-5)
    with pytest.raises(InputError, match=r"mean must be the checkpoint's \(0.4, 0.5, 0.6\), got"):
        SmpCheckpoint(tmp_path, mean=(0.5, 0.5, 0.5))


def test_a_checkpoint_of_another_class_count_is_refused(tmp_path: Path):
    saved(tmp_path)
    with pytest.raises(InputError, match="must have num_classes 21, but is for 4"):
        SmpCheckpoint(tmp_path, num_classes=21)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"_model_class": "losses"}, r"architecture must be one of .*Unet.*, got 'losses'"),
        ({"_model_class": None}, "must say its architecture in config.json"),
        ({"encoder_name": "resnet5000"}, "must be a FPN that smp .* can build"),
        ({"classes": 5}, r"do not fit the network"),
    ],
)
def test_configs_that_are_not_of_smp_are_refused_in_a_line(change: Any, told: str, tmp_path: Path):
    saved(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InputError, match=told):
        SmpCheckpoint(tmp_path)


def test_a_name_of_the_hub_without_a_network_is_told(no_network: Path):
    with pytest.raises(WeightsError, match=r"'smp-hub/it' could not be fetched .* into a folder"):
        SmpCheckpoint("smp-hub/it")
