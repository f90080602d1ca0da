"""TRACER's network against the published one, timm's EfficientNet and plain formulas.

The stored numbers come from the published network itself, https://github.com/Karel911/TRACER,
TRACER-B0, every parameter filled by ``fill`` with seed 1, for the image of ``golden``.
"""

import hashlib

import numpy as np
import pytest
import timm
import torch
import torch.nn.functional as F

from project.saliency.tracer.attention import high_pass
from project.saliency.tracer.blocks import SameConv2d
from project.saliency.tracer.encoder import Encoder, from_timm
from project.saliency.tracer.network import TracerNetwork
from project.victims.victim import IMAGENET_MEAN, IMAGENET_STD
from tests.saliency.filled import fill

# sha256 of the 893 lines "name shape" of TRACER-Efficient-0.pth, sorted, without "module."
PUBLISHED_NAMES = "cf53a37a73de62c44cc6ab611f29829920fff46760c8ccec21b2b8536bf22adb"
# Where the published map is between 0 and 1: its logits there are all but 0, beside ±2e5 elsewhere.
SALIENCY = {
    (3, 13): 0.735049,
    (33, 281): 0.998896,
    (89, 19): 0.030692,
    (137, 73): 0.084266,
    (138, 33): 0.931755,
    (197, 285): 0.998715,
    (207, 122): 0.982068,
    (223, 32): 0.001913,
    (230, 42): 0.96409,
    (266, 24): 0.704422,
    (266, 46): 0.003944,
    (288, 50): 0.477689,
    (298, 144): 0.575516,
    (308, 54): 0.991069,
}
SALIENCY_MEAN = 0.7866063
# Every 20th pixel from the 10th on is salient (1) or not (0), row by row.
SALIENT = 0xDFFF0FF70FFFDFFF2FF717FF77FF2FFF2FFF1FFF6FFF1FFF2FFF57FFDFFF9648
# Every 80th pixel from the 40th on.
EDGE = [
    [0.993604, 0.978192, 0.960067, 0.999455],
    [0.990253, 0.983037, 0.960765, 0.856224],
    [0.909272, 0.979642, 0.993758, 0.986044],
    [0.817985, 0.776218, 0.965471, 0.987836],
]
EDGE_MEAN = 0.9181752
# Block and channels of the four levels, as the published code lists them.
LEVELS = {
    "b0": ([2, 4, 10, 15], [24, 40, 112, 320]),
    "b1": ([4, 7, 15, 22], [24, 40, 112, 320]),
    "b2": ([4, 7, 15, 22], [24, 48, 120, 352]),
    "b3": ([4, 7, 17, 25], [32, 48, 136, 384]),
    "b4": ([5, 9, 21, 31], [32, 56, 160, 448]),
    "b5": ([7, 12, 26, 38], [40, 64, 176, 512]),
    "b6": ([8, 14, 30, 44], [40, 72, 200, 576]),
    "b7": ([10, 17, 37, 54], [48, 80, 224, 640]),
}


def normalised(images):
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    return (images - mean) / std


@pytest.fixture(scope="module")
def golden():
    image = torch.rand(1, 3, 320, 320, generator=torch.Generator().manual_seed(5))
    network = fill(TracerNetwork("b0")).eval()
    with torch.no_grad():
        return network(normalised(image))


def test_names_and_shapes_are_the_published_ones():
    weights = TracerNetwork("b0").state_dict()
    lines = sorted(f"{name} {tuple(value.shape)}" for name, value in weights.items())
    assert len(lines) == 893
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest() == PUBLISHED_NAMES


def test_edge_is_the_published_one(golden):
    edge = golden.edge[0, 0].sigmoid()
    torch.testing.assert_close(edge[40::80, 40::80], torch.tensor(EDGE), rtol=0, atol=1e-5)
    assert edge.mean().item() == pytest.approx(EDGE_MEAN, abs=1e-6)


def test_saliency_is_the_published_one(golden):
    logits = golden.saliency[0, 0]
    assert logits.std() > 3e4
    for (row, column), published in SALIENCY.items():
        expected = np.log(published / (1 - published))
        assert logits[row, column].item() == pytest.approx(expected, abs=2)  # 1e-5 of the std
    bits = "".join(str(int(value)) for value in (logits[10::20, 10::20] > 0).flatten())
    assert int(bits, 2) == SALIENT
    assert logits.sigmoid().mean().item() == pytest.approx(SALIENCY_MEAN, abs=1e-5)


def test_saliency_is_the_mean_of_the_sides_and_all_have_the_size_of_the_input(golden):
    torch.testing.assert_close(golden.saliency, torch.stack(golden.sides).mean(0))
    for map_ in (golden.saliency, *golden.sides, golden.edge):
        assert map_.shape == (1, 1, 320, 320)


@pytest.mark.parametrize("variant", list(LEVELS))
def test_variant_has_the_published_levels_and_its_parts_fit(variant):
    with torch.device("meta"):
        network = TracerNetwork(variant).eval()
        found = network(torch.empty(2, 3, 64, 96))
    assert (network.model.taps, network.model.channels) == LEVELS[variant]
    for map_ in (found.saliency, *found.sides, found.edge):
        assert map_.shape == (2, 1, 64, 96)


# Sides whose halvings are even and odd in the same places as those that the padding was made for.
@pytest.mark.parametrize(("variant", "side"), [("b0", 32), ("b1", 48), ("b2", 68)])
def test_encoder_is_timms_efficientnet_at_the_size_its_padding_is_made_for(variant, side):
    donor = timm.create_model(f"tf_efficientnet_{variant}").eval()
    encoder = Encoder(variant).eval()
    weights = encoder.state_dict()
    encoder.load_state_dict({**weights, **from_timm(donor.state_dict())})
    with torch.no_grad():
        for weight in encoder.Frequency_Edge_Module1.conv.bn.parameters():
            weight.zero_()  # no edges: the features go through as they are
        images = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(0))
        levels, edge = encoder(images)
        features = donor.bn1(donor.conv_stem(images))
        expected = []
        for place, stage in enumerate(donor.blocks):
            features = stage(features)
            if place in (1, 2, 4, 6):
                expected.append(features)
    assert not edge.any()
    for level, other in zip(levels, expected, strict=True):
        torch.testing.assert_close(level, other, rtol=1e-4, atol=1e-5)


def test_every_weight_of_timms_body_is_renamed():
    for variant in ("b0", "b4"):
        with torch.device("meta"):
            donor, encoder = timm.create_model(f"tf_efficientnet_{variant}"), Encoder(variant)
        renamed = from_timm(donor.state_dict())
        own = {n: v for n, v in encoder.state_dict().items() if "Frequency" not in n}
        assert {n: v.shape for n, v in renamed.items()} == {n: v.shape for n, v in own.items()}


def test_padding_is_that_of_the_size_it_was_made_for_at_every_size():
    image = torch.randn(1, 1, 20, 20, generator=torch.Generator().manual_seed(0))
    odd, even = SameConv2d(1, 1, 5, side=15, stride=2), SameConv2d(1, 1, 5, side=20, stride=2)
    for conv, padding in ((odd, (2, 2, 2, 2)), (even, (1, 2, 1, 2))):
        expected = F.conv2d(F.pad(image, padding), conv.weight, stride=2)
        torch.testing.assert_close(conv(image), expected)


def test_high_pass_takes_out_the_frequencies_inside_the_radius():
    values = np.random.default_rng(0).standard_normal((10, 12))
    spectrum = np.fft.fftshift(np.fft.fft2(values))
    for row in range(10):
        for column in range(12):
            if ((row - 5) ** 2 + (column - 6) ** 2) ** 0.5 < 3:
                spectrum[row, column] = 0
    expected = np.abs(np.fft.ifft2(np.fft.ifftshift(spectrum)))
    found = high_pass(torch.from_numpy(values)[None, None], 3)[0, 0]
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)


def test_edge_logits_are_at_least_0(golden):
    assert golden.edge.amin() >= 0


def test_training_reaches_every_weight_that_is_used():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = TracerNetwork("b0").train()
        found = network(torch.randn(2, 3, 64, 64))
        losses = [F.softplus(map_).mean() for map_ in (found.saliency, *found.sides, found.edge)]
    torch.stack(losses).sum().backward()
    for name, weight in network.named_parameters():
        if name.startswith("model.Frequency_Edge_Module1.UAM.bn."):
            assert weight.grad is None
            assert not weight.requires_grad
        else:
            assert weight.grad is not None, name
            assert weight.grad.isfinite().all(), name


def test_published_weights_load_with_and_without_their_prefix():
    source, target = TracerNetwork("b0"), TracerNetwork("b0")
    weights = source.state_dict()
    target.load_published({f"module.{name}": value for name, value in weights.items()})
    for name, value in target.state_dict().items():
        assert torch.equal(value, weights[name]), name
    target.load_published(weights)
    with pytest.raises(RuntimeError, match="Missing key"):
        target.load_published({})


def test_other_sizes_and_variants_are_refused():
    network = TracerNetwork("b0")
    with pytest.raises(ValueError, match="multiples of 32, got 64×100"):
        network(torch.zeros(1, 3, 64, 100))
    with pytest.raises(ValueError, match="one of b0, b1"):
        TracerNetwork("b8")
