"""CIFAR's networks against float64 references written from the papers' definitions."""

from collections.abc import Mapping

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from project.core.errors import InputError
from project.core.identity import describe, digest
from project.victims import CIFARVictim, check_victim
from project.victims.acceleration.folding import fold
from tests.models import eight_bit_images
from tests.victims.networks import settled

# Published: Zagoruyko & Komodakis, table 4 (36.5); the others from the definitions.
MILLIONS = {"resnet18": 11.2, "preact_resnet18": 11.2, "wrn_28_10": 36.5, "wrn_34_10": 46.2}
STAGES = {"resnet18": (2, 2, 2, 2), "preact_resnet18": (2, 2, 2, 2), "wrn_28_10": (4, 4, 4)}

State = Mapping[str, Tensor]


def conv(state: State, name: str, x: Tensor, stride: int = 1) -> Tensor:
    weight = state[f"{name}.weight"]
    return F.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2)


def norm(state: State, name: str, x: Tensor) -> Tensor:
    mean, var, gain, bias = (
        state[f"{name}.{part}"].view(-1, 1, 1)
        for part in ("running_mean", "running_var", "weight", "bias")
    )
    return gain * (x - mean) / (var + 1e-5).sqrt() + bias


def reference(state: State, stages: tuple[int, ...], pre_activated: bool, x: Tensor) -> Tensor:
    x = conv(state, "conv", x)
    if not pre_activated:
        x = norm(state, "norm", x).relu()
    for stage, depth in enumerate(stages):
        for number in range(depth):
            name = f"stages.{stage}.{number}"
            stride = 2 if number == 0 and stage > 0 else 1
            if pre_activated:
                a = norm(state, f"{name}.norm1", x).relu()
                inner = norm(state, f"{name}.norm2", conv(state, f"{name}.conv1", a, stride))
                projected = f"{name}.shortcut.weight" in state
                kept = conv(state, f"{name}.shortcut", a, stride) if projected else x
                x = kept + conv(state, f"{name}.conv2", inner.relu())
            else:
                inner = norm(state, f"{name}.norm1", conv(state, f"{name}.conv1", x, stride)).relu()
                inner = norm(state, f"{name}.norm2", conv(state, f"{name}.conv2", inner))
                if f"{name}.shortcut.0.weight" in state:
                    x = norm(
                        state, f"{name}.shortcut.1", conv(state, f"{name}.shortcut.0", x, stride)
                    )
                x = (x + inner).relu()
    if pre_activated:
        x = norm(state, "norm", x).relu()
    return x.mean((2, 3)) @ state["linear.weight"].T + state["linear.bias"]


@pytest.mark.parametrize("name", STAGES)
def test_logits_are_those_of_the_papers_definition(name):
    torch.manual_seed(0)
    victim = CIFARVictim(name).double()
    settled(victim.network)
    images = eight_bit_images(2, 32, 32).double()
    mean = torch.tensor((0.4914, 0.4822, 0.4465)).double().view(3, 1, 1)
    std = torch.tensor((0.2471, 0.2435, 0.2616)).double().view(3, 1, 1)
    inputs = (images - mean) / std
    with torch.no_grad():
        logits = victim.eval()(images)
        expected = reference(victim.network.state_dict(), STAGES[name], name != "resnet18", inputs)
    torch.testing.assert_close(logits, expected, rtol=1e-9, atol=1e-9 * float(expected.abs().max()))


@pytest.mark.parametrize("name", MILLIONS)
def test_number_of_weights_is_the_published_one(name):
    with torch.device("meta"):
        network = CIFARVictim(name).network
    count = sum(weight.numel() for weight in network.parameters())
    assert round(count / 1e6, 1) == MILLIONS[name]
    convolutions = sum(isinstance(part, torch.nn.Conv2d) for part in network.modules())
    if name.startswith("wrn"):  # whose depth counts projections, not the last layer
        assert convolutions == int(name.split("_")[1])


@pytest.mark.parametrize("name", ["resnet18", "preact_resnet18"])
def test_folded_network_of_an_attack_is_the_same_function(name):
    victim = CIFARVictim(name, 3).double().eval()
    settled(victim.network)
    images = eight_bit_images(2, 32, 32).double()
    with torch.no_grad():
        before = victim(images)
        assert fold(victim.network, [images]) == {"resnet18": 20, "preact_resnet18": 8}[name]
        torch.testing.assert_close(victim(images), before)


def test_checkpoint_and_constructor_make_the_same_victim(tmp_path):
    torch.manual_seed(0)
    first = CIFARVictim("preact_resnet18", 7)
    torch.save(first.state_dict(), tmp_path / "it.pth")
    second = CIFARVictim("preact_resnet18", 7, checkpoint=tmp_path / "it.pth")
    assert digest(describe(first.network)) == digest(describe(second.network))
    images = eight_bit_images(2, 32, 32)
    assert check_victim("it", second.eval(), images, "classification", 7) == []


def test_other_sizes_are_taken_too_and_other_names_refused():
    with torch.no_grad():
        assert CIFARVictim(num_classes=3).eval()(eight_bit_images(2, 12, 16)).shape == (2, 3)
    with pytest.raises(InputError, match=r"architecture must be one of resnet18.*Do you mean wrn"):
        CIFARVictim("wrn_28_1")  # type: ignore[arg-type]
