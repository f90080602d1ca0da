"""Grad-CAM against closed forms."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from project.saliency import GradCAM
from project.saliency.grad_cam import spatial
from project.saliency.provider import Scene
from project.victims import ClassificationVictim, EnsembleVictim, SegmentationVictim
from tests.models import CurvedClassifier, CurvedSegmenter, eight_bit_images, predicted


def scene(victim: nn.Module, target) -> Scene:
    return Scene(victim, torch.as_tensor(target), torch.arange(len(target)))


def stretched(maps):
    low, high = maps.amin((1, 2, 3), keepdim=True), maps.amax((1, 2, 3), keepdim=True)
    return (maps - low) / (high - low)


def seeded(make):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return make().eval().requires_grad_(False)


class Pooled(nn.Module):
    """Convolution, curve, mean over places, linear head: Grad-CAM is known in closed form."""

    layout = "NCHW"

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 4, stride=4)
        self.curve = nn.Tanh()
        self.norm = nn.Identity()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(6, 5)

    def features(self, images):
        return self.curve(self.conv(images))

    def forward(self, images):
        return self.head(self.pool(self.features(images)).flatten(1))


class ChannelsLast(Pooled):
    def forward(self, images):
        features = self.norm(self.features(images).permute(0, 2, 3, 1))
        return self.head(features.mean((1, 2)))


class Tokens(Pooled):
    """Patch tokens after a class token, pooled or not."""

    def __init__(self, reads_class: bool) -> None:
        super().__init__()
        self.first, self.last = nn.LayerNorm(6), nn.LayerNorm(6)
        self.reads_class = reads_class

    def forward(self, images):
        patches = self.features(images).flatten(2).mT
        tokens = self.first(torch.cat([patches.mean(1, keepdim=True), patches], 1))
        mixed = torch.cat([tokens[:, 1:].mean(1, keepdim=True), tokens[:, 1:] ** 2], 1)
        mixed = self.last(mixed)
        return self.head(mixed[:, 0] if self.reads_class else mixed[:, 1:].mean(1))


@pytest.mark.parametrize("kind", [Pooled, ChannelsLast])
def test_map_is_the_class_weighted_sum_of_the_last_features(kind):
    victim, images = seeded(kind), eight_bit_images(3, 24, 32)
    target = victim(images).argmax(1)
    found = GradCAM().maps(images, scene(victim, target))
    weights = victim.head.weight[target]
    expected = torch.einsum("nk,nkhw->nhw", weights, victim.features(images)).relu()[:, None]
    expected = F.interpolate(expected, (24, 32), mode="bilinear", align_corners=False)
    torch.testing.assert_close(found, stretched(expected), rtol=1e-4, atol=1e-5)
    assert found.amax((1, 2, 3)).tolist() == [1.0] * 3


@pytest.mark.parametrize("reads_class", [True, False])
def test_tokens_are_laid_out_as_the_image_and_those_without_a_say_are_passed_over(reads_class):
    victim = seeded(lambda: Tokens(reads_class))
    images = eight_bit_images(2, 24, 32)
    found = GradCAM().maps(images, scene(victim, [1, 2]))
    layer = victim.first if reads_class else victim.last
    seen = []
    handle = layer.register_forward_hook(lambda *a: seen.append(a[2].requires_grad_()))
    score = victim(images.clone().requires_grad_())[[0, 1], [1, 2]].sum()
    handle.remove()
    (slope,) = torch.autograd.grad(score, seen[0])
    alpha = slope[:, 1:].mean(1, keepdim=True)
    cam = (alpha * seen[0][:, 1:]).sum(2).relu().view(2, 1, 6, 8).detach()
    expected = F.interpolate(cam, (24, 32), mode="bilinear", align_corners=False)
    torch.testing.assert_close(found, stretched(expected), rtol=1e-4, atol=1e-5)


class TwoLayers(nn.Module):
    """A segmenter whose head is a 1×1 convolution of stride-4 features."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 7, 4, stride=4)
        self.head = nn.Conv2d(7, 4, 1)

    def features(self, images):
        return torch.tanh(self.conv(images))

    def forward(self, images):
        logits = self.head(self.conv(images))
        return F.interpolate(logits, images.shape[2:], mode="nearest")


def test_segmenters_score_is_summed_over_valid_pixels_and_its_logits_are_no_features():
    victim, images = seeded(TwoLayers), eight_bit_images(2, 16, 24)
    target = torch.randint(0, 4, (2, 16, 24), generator=torch.Generator().manual_seed(0))
    target[:, :, :9] = 255
    found = GradCAM().maps(images, scene(victim, target))
    count = torch.stack([(target == label).sum((1, 2)) for label in range(4)], 1).float()
    alpha = count @ victim.head.weight[:, :, 0, 0]
    expected = torch.einsum("nk,nkhw->nhw", alpha, victim.conv(images)).relu()[:, None]
    expected = F.interpolate(expected, (16, 24), mode="bilinear", align_corners=False)
    torch.testing.assert_close(found, stretched(expected), rtol=1e-4, atol=1e-5)


def test_map_stays_in_place_where_the_victim_pads_or_stretches():
    network = seeded(TwoLayers)
    images = eight_bit_images(1, 24, 40)
    target = torch.zeros(1, 24, 40).long()
    padding = SegmentationVictim(network, 4, divisor=32).eval()
    found = GradCAM().maps(images, scene(padding, target))
    inputs = F.pad(padding.normalise(images), (0, 24, 0, 8))
    cam = torch.einsum("k,nkhw->nhw", network.head.weight[0, :, 0, 0], network.conv(inputs))
    cam = F.interpolate(cam.relu()[:, None], (32, 64), mode="bilinear", align_corners=False)
    torch.testing.assert_close(found, stretched(cam[..., :24, :40]), rtol=1e-3, atol=1e-4)
    stretching = SegmentationVictim(network, 4, input_size=32, divisor=32).eval()
    assert GradCAM().maps(images, scene(stretching, target)).shape == (1, 1, 24, 40)


def test_layer_can_be_named():
    victim, images = seeded(Pooled), eight_bit_images(2, 24, 32)
    of_conv = GradCAM(layer="conv").maps(images, scene(victim, [0, 1]))
    assert torch.equal(
        GradCAM(layer="curve").maps(images, scene(victim, [0, 1])),
        GradCAM().maps(images, scene(victim, [0, 1])),
    )
    assert not torch.equal(of_conv, GradCAM().maps(images, scene(victim, [0, 1])))


def test_victim_without_spatial_features_is_told_what_to_do():
    victim, images = CurvedClassifier().eval(), eight_bit_images(1)
    del victim.first  # the only layer with an output of the images' shape
    victim.first = torch.nn.functional.hardtanh
    with pytest.raises(ValueError, match=r"found none\. Name one as layer, or choose another"):
        GradCAM().maps(images, scene(victim, [0]))
    with pytest.raises(ValueError, match=r"none under 'blocks'\. There are conv, curve"):
        GradCAM(layer="blocks").maps(images, scene(seeded(Pooled), [0]))


def test_map_does_not_depend_on_batch_mates():
    victim, images = CurvedSegmenter().eval(), eight_bit_images(3)
    target = predicted(victim, images)
    maps = GradCAM().maps(images, scene(victim, target))
    for place in range(3):
        alone = GradCAM().maps(images[[place]], scene(victim, target[[place]]))
        torch.testing.assert_close(alone, maps[[place]], rtol=1e-4, atol=1e-5)


def test_image_whose_last_features_have_no_say_takes_the_earlier_ones_alone():
    class Gate(Pooled):
        """Dark images do not get as far as the last features."""

        def forward(self, images):
            first = self.conv(images)
            last = self.curve(first * 0.5)
            bright = (images.mean((1, 2, 3), keepdim=True) > 0.3).float()
            return self.head((bright * last + (1 - bright) * first).mean((2, 3)))

    victim, images = seeded(Gate), eight_bit_images(2, 24, 32)
    images[1] *= 0.2
    found = GradCAM().maps(images, scene(victim, [2, 2]))
    earlier = GradCAM(layer="conv").maps(images, scene(victim, [2, 2]))
    last = GradCAM(layer="curve").maps(images, scene(victim, [2, 2]))
    assert torch.equal(found[1], earlier[1])
    assert torch.equal(found[0], last[0])
    assert not last[1].any()


def test_hooks_are_gone_afterwards():
    victim = seeded(Pooled)
    GradCAM().maps(eight_bit_images(1, 24, 32), scene(victim, [0]))
    assert not any(module._forward_hooks for module in victim.modules())
    assert not any(module._forward_pre_hooks for module in victim.modules())


@pytest.mark.parametrize(
    ("shape", "frame", "expected"),
    [
        ((2, 8, 6, 9), (96, 144), (2, 8, 6, 9)),
        ((2, 6, 9, 8), (96, 144), (2, 8, 6, 9)),
        ((2, 54, 8), (96, 144), (2, 8, 6, 9)),
        ((2, 59, 8), (96, 144), (2, 8, 6, 9)),
        ((2, 8, 13, 13), (224, 224), (2, 8, 13, 13)),
        ((2, 8, 1, 1), (224, 224), None),
        ((2, 3, 197, 64), (224, 224), None),
        ((2, 50, 8), (96, 144), None),
        ((2, 8), (96, 144), None),
    ],
)
def test_layout_is_told_from_the_shape_of_the_input(shape, frame, expected):
    maps = spatial(torch.zeros(shape), frame)
    assert (None if maps is None else tuple(maps.shape)) == expected


def test_map_of_an_ensemble_is_the_mean_of_its_members_maps():
    members = [ClassificationVictim(seeded(kind), 5) for kind in (Pooled, ChannelsLast)]
    members[1].network.conv.weight *= -1.5
    images = eight_bit_images(2, 24, 32)
    target = torch.tensor([1, 3])
    maps = [GradCAM().maps(images, scene(member, target)) for member in members]
    found = GradCAM().maps(images, scene(EnsembleVictim(members), target))
    torch.testing.assert_close(found, (maps[0] + maps[1]) / 2)
    assert not torch.allclose(found, maps[1], atol=0.05)
