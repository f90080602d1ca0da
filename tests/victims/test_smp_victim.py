"""Each architecture of smp is a fit victim, at any image size, with encoders of timm."""

from typing import Any

import pytest
import torch

from project.victims import SmpVictim, check_victim
from tests.models import eight_bit_images

SMALL = {"channels": [8, 8, 16, 16], "stem_width": 8}
ARGUMENTS: dict[str, dict[str, Any]] = {
    "DeepLabV3": {"decoder_channels": 16},
    "DeepLabV3Plus": {"decoder_channels": 16},
    "FPN": {"decoder_pyramid_channels": 32, "decoder_segmentation_channels": 32},
    "Linknet": {},
    "MAnet": {"decoder_channels": [16, 16, 8, 8, 8]},
    "PAN": {"decoder_channels": 16},
    "PSPNet": {"psp_out_channels": 16},
    "Segformer": {"decoder_segmentation_channels": 16},
    "UPerNet": {"decoder_channels": 16},
    "Unet": {"decoder_channels": [16, 16, 8, 8, 8]},
    "UnetPlusPlus": {"decoder_channels": [16, 16, 8, 8, 8]},
}


def victim(architecture: str, encoder: str, **arguments: Any) -> SmpVictim:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return SmpVictim(architecture, encoder, 4, model_args=ARGUMENTS[architecture] | arguments)


@pytest.mark.parametrize("architecture", ARGUMENTS)
@pytest.mark.parametrize("size", [(64, 96), (57, 75)])
def test_victim_check_passes_at_sizes_that_the_stride_divides_and_does_not(architecture, size):
    segmenter = victim(architecture, "tu-resnet10t", **SMALL)
    if architecture == "PAN":  # pools its features, a sixteenth of the image, by eight
        size = tuple(2 * side for side in size)
    images = eight_bit_images(2, *size)
    assert check_victim(architecture, segmenter, images, "segmentation", 4) == []


@pytest.mark.parametrize("encoder", ["tu-test_efficientnet", "tu-mobilenetv2_050"])
@pytest.mark.parametrize("architecture", ["DeepLabV3Plus", "Unet", "UPerNet"])
def test_victim_check_passes_with_encoders_of_other_families(architecture: str, encoder: str):
    images = eight_bit_images(2, 45, 64)
    segmenter = victim(architecture, encoder)
    assert check_victim(architecture, segmenter, images, "segmentation", 4) == []


@pytest.mark.parametrize("architecture", ["Segformer", "UPerNet"])
def test_transformer_encoders_of_smp_answer_at_any_size(architecture: str):
    segmenter = victim(architecture, "mit_b0").eval()
    with torch.no_grad():
        assert segmenter(eight_bit_images(1, 45, 64)).shape == (1, 4, 45, 64)
