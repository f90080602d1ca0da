"""Victims take images in [0, 1] of any size and answer for the image as it came."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from project.core.identity import describe
from project.victims import (
    ClassificationVictim,
    SegmentationVictim,
    SmpVictim,
    TimmVictim,
    TorchvisionVictim,
)
from tests.models import eight_bit_images

MEAN, STD = (0.2, 0.4, 0.6), (0.1, 0.3, 0.5)


class Echo(nn.Module):
    """Keeps its last input; answers with it, strided."""

    def __init__(self, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        self.seen = torch.empty(0)

    def forward(self, inputs: Tensor) -> Tensor:
        self.seen = inputs
        return inputs[..., :: self.stride, :: self.stride]


def by_hand(images: Tensor) -> Tensor:
    return torch.stack([(images[:, c] - MEAN[c]) / STD[c] for c in range(3)], 1)


def test_normalisation_happens_inside_with_the_given_mean_and_std():
    images = eight_bit_images(2)
    victim = ClassificationVictim(Echo(), 3, mean=MEAN, std=STD)
    torch.testing.assert_close(victim(images), by_hand(images))


def test_images_of_another_size_are_resized_antialiased_before_the_network():
    images, network = eight_bit_images(2, 24, 40), Echo()
    ClassificationVictim(network, 3, mean=MEAN, std=STD, input_size=8, interpolation="bicubic")(
        images
    )
    resized = F.interpolate(images, (8, 8), mode="bicubic", antialias=True)
    torch.testing.assert_close(network.seen, by_hand(resized))


def test_images_of_the_input_size_pass_untouched():
    images, network = eight_bit_images(2, 8, 8), Echo()
    ClassificationVictim(network, 3, mean=(0, 0, 0), std=(1, 1, 1), input_size=8)(images)
    assert torch.equal(network.seen, images)


def test_padding_is_at_the_right_and_bottom_in_the_mean_colour():
    images, network = eight_bit_images(2, 10, 13), Echo()
    logits = SegmentationVictim(network, 3, mean=MEAN, std=STD, divisor=8)(images)
    assert network.seen.shape == (2, 3, 16, 16)
    torch.testing.assert_close(network.seen[..., :10, :13], by_hand(images))
    assert network.seen[..., 10:, :].abs().max() == 0
    assert network.seen[..., 13:].abs().max() == 0
    torch.testing.assert_close(logits, by_hand(images))


def test_small_logits_are_stretched_to_the_padded_size_with_aligned_corners_then_cropped():
    images = eight_bit_images(2, 10, 13)
    victim = SegmentationVictim(Echo(4), 3, mean=MEAN, std=STD, divisor=8)
    small = F.pad(by_hand(images), (0, 3, 0, 6))[..., ::4, ::4]
    expected = F.interpolate(small, (16, 16), mode="bilinear", align_corners=True)[..., :10, :13]
    torch.testing.assert_close(victim(images), expected)


def test_segmentation_logits_have_the_images_own_size_when_it_was_resized_inside():
    images, network = eight_bit_images(2, 10, 13), Echo()
    logits = SegmentationVictim(network, 3, input_size=16)(images)
    assert network.seen.shape == (2, 3, 16, 16)
    assert logits.shape == (2, 3, 10, 13)


def test_the_gradient_passes_resizing_and_padding():
    victim = SegmentationVictim(Echo(2), 3, input_size=6, divisor=4).double()
    images = eight_bit_images(1, 5, 7).double().requires_grad_()
    assert torch.autograd.gradcheck(victim, images)


def test_the_preprocessing_is_no_part_of_the_weights():
    victim = ClassificationVictim(nn.Flatten(), 3)
    assert victim.state_dict() == {}


def test_std_must_be_positive():
    with pytest.raises(ValueError, match="std must be positive in every channel"):
        ClassificationVictim(Echo(), 3, std=(0.1, 0.0, 0.1))


def test_the_fingerprint_changes_exactly_when_the_weights_do():
    victim = ClassificationVictim(nn.Linear(2, 2), 2)
    weights = {key: value.clone() for key, value in victim.state_dict().items()}
    first = victim.fingerprint()
    assert victim.fingerprint() == first
    with torch.no_grad():
        victim.network.weight.add_(1)
    assert victim.fingerprint() != first
    victim.load_state_dict(weights)
    assert victim.fingerprint() == first


def test_timm_victims_take_normalisation_and_size_from_the_pretrained_config():
    victim = TimmVictim("resnet10t", num_classes=5, input_size="auto")
    config = victim.network.pretrained_cfg
    assert victim.mean == config["mean"]
    assert victim.std == config["std"]
    assert victim.input_size == config["input_size"][-1]
    assert victim.interpolation == config["interpolation"]
    assert victim.eval()(eight_bit_images(1, 40, 32)).shape == (1, 5)


def test_torchvision_victims_take_normalisation_from_their_published_weights():
    victim = TorchvisionVictim("squeezenet1_1", input_size="auto")
    assert victim.mean == (0.485, 0.456, 0.406)
    assert victim.input_size == 224
    assert victim.num_classes == 1000


def test_named_submodules_become_identities():
    victim = TimmVictim("resnet10t", num_classes=2, identity=["layer1.0.act2"])
    assert isinstance(victim.network.layer1[0].act2, nn.Identity)
    with pytest.raises(ValueError, match="'layer9', which is no submodule of ResNet"):
        TimmVictim("resnet10t", identity=["layer9"])


@pytest.mark.parametrize("architecture", ["Unet", "FPN"])
def test_smp_victims_take_sizes_that_their_stride_does_not_divide(architecture: str):
    victim = SmpVictim(architecture, "tu-resnet10t", 4).eval()
    assert victim(eight_bit_images(1, 40, 50)).shape == (1, 4, 40, 50)


def test_an_unknown_segmentation_architecture_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"architecture must be one of .*Unet.*, got 'UNet\+'"):
        SmpVictim("UNet+", "tu-resnet10t", 4)


def test_encoders_of_other_normalisation_need_mean_and_std():
    with pytest.raises(ValueError, match="mean and std must be given for encoder 'xception'"):
        SmpVictim("FPN", "xception", 4)


def test_weights_come_from_one_place():
    with pytest.raises(ValueError, match="weights must come from one place"):
        TimmVictim("resnet10t", pretrained=True, checkpoint="weights.pth")


def test_a_victim_can_be_described():
    description = describe(TimmVictim("resnet10t", num_classes=2))
    assert description["architecture"] == "resnet10t"
    assert description["mean"] == [0.485, 0.456, 0.406]
    assert len(description["fingerprint"]) == 64


def emptied(victim):
    victim.network[0].weight.data.zero_()


def written(victim):
    victim.network[0].weight.detach().numpy()[:] = 1


def replaced(victim):
    victim.network[0] = nn.Linear(2, 2)


def assigned(victim):
    state = {name: value + 1 for name, value in victim.network.state_dict().items()}
    victim.network.load_state_dict(state, assign=True)


@pytest.mark.parametrize("change", [emptied, written, replaced, assigned])
def test_the_fingerprint_sees_weights_that_torch_does_not_tell_of(change):
    victim = ClassificationVictim(nn.Sequential(nn.Linear(2, 2)), 2)
    first = victim.fingerprint()
    change(victim)
    assert victim.fingerprint() != first
