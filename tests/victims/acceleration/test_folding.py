"""Folding is exact in float64, and leaves alone what cannot be folded."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from timm.layers import BatchNormAct2d
from timm.layers.conv2d_same import Conv2dSame
from timm.layers.std_conv import StdConv2d
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from project.victims.acceleration.folding import fold
from tests.victims.networks import settled

CHANNELS = 6


def images() -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(2, 3, 9, 8, generator=generator, dtype=torch.float64)


def answer_and_slope(network: nn.Module) -> tuple[Tensor, Tensor]:
    inputs = images().requires_grad_()
    answer = network(inputs)
    (slope,) = torch.autograd.grad(torch.sin(answer).sum(), inputs)
    return answer.detach(), slope


def assert_folds(network: nn.Module, count: int) -> nn.Module:
    """Fold, and compare answers and gradients before and after."""
    network = settled(network.double())
    before = answer_and_slope(network)
    assert fold(network, [images()]) == count
    torch.testing.assert_close(answer_and_slope(network), before, rtol=1e-10, atol=1e-10)
    return network


@pytest.mark.parametrize(
    "convolution",
    [
        lambda: nn.Conv2d(3, CHANNELS, 3),
        lambda: nn.Conv2d(3, CHANNELS, 3, bias=False),
        lambda: nn.Conv2d(3, CHANNELS, 3, stride=2, padding=1, groups=3),
        lambda: nn.Conv2d(3, CHANNELS, 3, padding=2, dilation=2, padding_mode="reflect"),
        lambda: Conv2dSame(3, CHANNELS, 3, stride=2),
    ],
    ids=["bias", "none", "groups", "reflect", "same"],
)
@pytest.mark.parametrize(
    "norm",
    [
        lambda: nn.BatchNorm2d(CHANNELS),
        lambda: nn.BatchNorm2d(CHANNELS, affine=False),
        lambda: nn.BatchNorm2d(CHANNELS, eps=0.5),
        lambda: BatchNormAct2d(CHANNELS, act_layer=nn.SiLU),
    ],
    ids=["affine", "plain", "eps", "activation"],
)
def test_every_convolution_takes_up_every_norm(
    convolution: Callable[[], nn.Module], norm: Callable[[], nn.Module]
):
    network = assert_folds(nn.Sequential(convolution(), norm(), nn.ReLU(inplace=True)), 1)
    assert not any(isinstance(part, nn.BatchNorm2d) for part in network.modules())


def test_folded_weights_are_those_of_the_formula():
    convolution, norm = nn.Conv2d(3, CHANNELS, 1, bias=False), nn.BatchNorm2d(CHANNELS)
    network = settled(nn.Sequential(convolution, norm))
    weight, scale = convolution.weight.clone(), norm.weight / (norm.running_var + norm.eps).sqrt()
    fold(network, [images().float()])
    torch.testing.assert_close(network[0].weight, weight * scale.view(-1, 1, 1, 1))
    torch.testing.assert_close(network[0].bias, norm.bias - norm.running_mean * scale)


def test_names_and_the_activation_of_a_norm_stay():
    network = nn.Sequential()
    network.conv = nn.Conv2d(3, CHANNELS, 3)
    network.norm = BatchNormAct2d(CHANNELS, act_layer=nn.SiLU, drop_layer=nn.Identity)
    names = {name for name, _ in network.named_modules()}
    assert_folds(network, 1)
    assert {name for name, _ in network.named_modules()} == names
    assert isinstance(network.get_submodule("norm.act"), nn.SiLU)


def test_norm_with_two_names_is_replaced_under_both():
    network = nn.Sequential(nn.Conv2d(3, CHANNELS, 3), nn.BatchNorm2d(CHANNELS))
    network[0].other = network[1]
    assert_folds(network, 1)
    assert isinstance(network[0].other, nn.Identity)


class Net(nn.Module):
    """A convolution and a norm, with a forward pass of its own."""

    def __init__(self, forward: Callable[["Net", Tensor], Tensor]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.norm = nn.BatchNorm2d(3)
        self.passed = forward

    def forward(self, inputs: Tensor) -> Tensor:
        return self.passed(self, inputs)


@pytest.mark.parametrize(
    "forward",
    [
        lambda net, x: net.norm(c := net.conv(x)) + c,
        lambda net, x: net.norm(c := net.conv(x)) + c.flatten(2).mean(2)[..., None, None],
        lambda net, x: net.norm(c := net.conv(x)) * c.detach().amax((1, 2, 3), keepdim=True),
        lambda net, x: net.norm(c := net.conv(x)) - F.batch_norm(c, None, None, training=True),
        lambda net, x: net.norm(net.conv(net.conv(x))),
        lambda net, x: net.norm(net.norm(net.conv(x))),
        lambda net, x: net.norm(net.conv(x)) + net.norm(x),
        lambda net, x: net.norm(net.conv(x).relu()),
        lambda net, x: net.norm(net.conv(x).relu_()),
        lambda net, x: net.norm(F.pad(net.conv(x), (1, 1, 1, 1))),
        lambda net, x: net.norm(net.conv(x)[..., 1:, :]),
        lambda net, x: net.conv(net.norm(x)),
        lambda net, x: net.norm(F.conv2d(x, net.conv.weight)),
    ],
    ids=[
        "sum", "a view", "detached", "a function", "convolution twice", "norm twice", "norm shared",
        "relu between", "relu in place", "padding", "part of it", "norm first", "functional",
    ],
)  # fmt: skip
def test_output_used_elsewhere_is_left_alone(forward):
    assert_folds(Net(forward), 0)


class Shifted(nn.BatchNorm2d):
    def forward(self, inputs: Tensor) -> Tensor:
        return super().forward(inputs) + 1


class Renamed(nn.BatchNorm2d):
    """Another class with the same forward pass, as frozen norms are."""


@pytest.mark.parametrize(
    "layers",
    [
        lambda: [nn.Conv2d(3, CHANNELS, 3), nn.BatchNorm2d(CHANNELS, track_running_stats=False)],
        lambda: [nn.Conv2d(3, CHANNELS, 3), Shifted(CHANNELS)],
        lambda: [nn.Conv2d(3, CHANNELS, 3), nn.GroupNorm(2, CHANNELS)],
        lambda: [StdConv2d(3, CHANNELS, 3), nn.BatchNorm2d(CHANNELS)],
        lambda: [weight_norm(nn.Conv2d(3, CHANNELS, 3)), nn.BatchNorm2d(CHANNELS)],
        lambda: [nn.ConvTranspose2d(3, CHANNELS, 3), nn.BatchNorm2d(CHANNELS)],
    ],
    ids=["batch statistics", "own forward", "group", "standardised", "weight norm", "transposed"],
)
def test_layers_that_compute_something_else_are_left_alone(layers):
    assert_folds(nn.Sequential(*layers()), 0)


def test_subclass_with_the_same_forward_pass_is_folded():
    assert_folds(nn.Sequential(nn.Conv2d(3, CHANNELS, 3), Renamed(CHANNELS)), 1)


@pytest.mark.parametrize("place", [0, 1], ids=["convolution", "norm"])
def test_layer_that_someone_watches_is_left_alone(place):
    network = nn.Sequential(nn.Conv2d(3, CHANNELS, 3), nn.BatchNorm2d(CHANNELS)).double()
    seen = []
    network[place].register_forward_hook(lambda module, inputs, output: seen.append(output))
    assert_folds(network, 0)
    assert len(seen) == 3


def test_convolution_that_shares_its_weights_leaves_the_other_as_it_is():
    first, second = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)
    second.weight = first.weight
    network = assert_folds(nn.Sequential(first, nn.BatchNorm2d(3), nn.ReLU(), second), 1)
    assert network[0].weight is not network[3].weight


@pytest.mark.parametrize("seed", range(12))
def test_random_networks_are_the_same_function(seed):
    """Draw layers, uses and branches; whatever is folded, nothing changes."""
    network = settled(Random(seed).double())
    before = answer_and_slope(network)
    folded = fold(network, [images()])
    assert folded == network.foldable
    torch.testing.assert_close(answer_and_slope(network), before, rtol=1e-10, atol=1e-10)


class Random(nn.Module):
    """A chain of convolutions and norms, each used in a way that is drawn."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.uses = torch.randint(0, 4, (6,), generator=generator).tolist()
        self.convolutions = nn.ModuleList(nn.Conv2d(3, 3, 3, padding=1) for _ in self.uses)
        self.norms = nn.ModuleList(nn.BatchNorm2d(3) for _ in self.uses)
        self.foldable = sum(use < 2 for use in self.uses)

    def forward(self, values: Tensor) -> Tensor:
        for use, convolution, norm in zip(self.uses, self.convolutions, self.norms, strict=True):
            made = convolution(values)
            normed = norm(made.tanh() if use == 2 else made)
            if use == 1:
                normed = normed + values
            elif use == 3:
                normed = normed + made
            values = torch.sin(normed)
        return values
