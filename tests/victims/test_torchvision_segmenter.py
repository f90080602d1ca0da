"""Torchvision's segmenters: logits of the main head, weights from where they may lie."""

from pathlib import Path
from urllib.error import URLError

import pytest
import torch
import torchvision
from torch import nn
from torchvision.models.segmentation import LRASPP_MobileNet_V3_Large_Weights

from project.core.errors import InputError
from project.victims import TorchvisionSegmenter, WeightsError, check_victim
from tests.models import eight_bit_images

SMALLEST = "lraspp_mobilenet_v3_large"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder of torchvision's downloads."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    checkpoints = tmp_path / "hub" / "checkpoints"
    checkpoints.mkdir(parents=True)
    return checkpoints


def network(architecture: str, **arguments: bool) -> nn.Module:
    torch.manual_seed(5)
    return torchvision.models.get_model(
        architecture, weights=None, weights_backbone=None, **arguments
    ).eval()


def same(victim: TorchvisionSegmenter, other: nn.Module) -> None:
    images = eight_bit_images(1, 37, 45)
    with torch.no_grad():
        expected = other(victim.normalise(images))["out"]
        assert torch.equal(victim.eval()(images), expected)


@pytest.mark.parametrize("architecture", [SMALLEST, "deeplabv3_mobilenet_v3_large", "fcn_resnet50"])
def test_logits_are_those_of_the_main_head_at_odd_sizes(architecture: str):
    victim = TorchvisionSegmenter(architecture).eval()
    images = eight_bit_images(1, 37, 45)
    with torch.no_grad():
        assert victim(images).shape == (1, 21, 37, 45)
    same(victim, victim.network)
    assert victim.mean == (0.485, 0.456, 0.406)


def test_the_victim_check_passes_on_another_number_of_classes():
    victim = TorchvisionSegmenter(SMALLEST, num_classes=4)
    assert check_victim("lraspp", victim, eight_bit_images(2, 64, 48), "segmentation", 4) == []


@pytest.mark.parametrize("auxiliary", [False, True])
def test_a_local_file_loads_with_its_auxiliary_head_or_without(auxiliary: bool, tmp_path: Path):
    architecture = "deeplabv3_mobilenet_v3_large"
    published = network(architecture, aux_loss=auxiliary)
    torch.save(published.state_dict(), tmp_path / "weights.pth")
    victim = TorchvisionSegmenter(architecture, checkpoint=tmp_path / "weights.pth")
    assert victim.network.aux_classifier is None
    same(victim, published)


def test_published_weights_are_looked_for_in_the_download_folder_first(folder: Path):
    published = network(SMALLEST)
    url = LRASPP_MobileNet_V3_Large_Weights.COCO_WITH_VOC_LABELS_V1.url
    torch.save(published.state_dict(), folder / Path(url).name)
    same(TorchvisionSegmenter(SMALLEST, weights="COCO_WITH_VOC_LABELS_V1"), published)


def test_a_download_that_fails_is_told_in_one_sentence(folder: Path, monkeypatch):
    def unreachable(*arguments: object, **named: object) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr("torch.hub.download_url_to_file", unreachable)
    with pytest.raises(WeightsError, match=r"^the published weights of 'lraspp.*local file as ch"):
        TorchvisionSegmenter(SMALLEST, weights="DEFAULT")


def test_a_classifier_is_no_architecture():
    with pytest.raises(InputError, match=r"one of deeplabv3_mobilenet.*, got 'resnet50'"):
        TorchvisionSegmenter("resnet50")


def test_weights_come_from_one_place():
    with pytest.raises(InputError, match="weights must come from one place"):
        TorchvisionSegmenter(SMALLEST, weights="DEFAULT", checkpoint="weights.pth")
