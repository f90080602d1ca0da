"""What the pretended GPU refuses, and where it puts what it is asked for."""

import copy

import pytest
import torch
from torch import nn

from tests.gpu.pretended import CPU, GPU, pretended_gpu

HOST = torch.arange(6.0).view(2, 3)
MIXES = {
    "sum": lambda there: there + HOST,
    "product": lambda there: HOST.T @ there,
    "stack": lambda there: torch.stack([HOST, there]),
    "in place": lambda there: there.mul_(HOST),
    "loss": lambda there: nn.functional.cross_entropy(there, torch.tensor([0, 1])),
    "layer": nn.Linear(3, 2),
    "place there of a tensor here": lambda there: HOST[there.long() % 2],
}


@pytest.mark.parametrize("mix", MIXES.values(), ids=MIXES)
def test_two_devices_are_refused(mix):
    with pretended_gpu() as gpu, pytest.raises(RuntimeError, match="on the same device"):
        mix(HOST.to(gpu))


def test_arrays_and_generators_of_the_host_are_refused():
    with pretended_gpu() as gpu:
        with pytest.raises(TypeError, match="can't convert cuda:0"):
            HOST.to(gpu).numpy()
        with pytest.raises(RuntimeError, match="'cuda' device type for generator"):
            torch.rand(3, device=gpu, generator=torch.Generator())


ALLOWED = {
    "moved": (lambda there: HOST.to(there, non_blocking=True), GPU),
    "back": (lambda there: there.cpu(), CPU),
    "as the host's": (lambda there: there.to(HOST), CPU),
    "made there": (lambda there: torch.zeros(2, device=there.device), GPU),
    "made like it": (torch.zeros_like, GPU),
    "made of a number": (lambda there: there.new_tensor(1.0), GPU),
    "a view": (lambda there: there.T[1:], GPU),
    "a number of the host": (lambda there: there * torch.tensor(2.0), GPU),
    "places on the host": (lambda there: there[torch.tensor([1, 0])], GPU),
    "copied into": (lambda there: torch.zeros(2, 3).copy_(there), CPU),
    "deep copy": (lambda there: copy.deepcopy(nn.Linear(3, 2).to(there.device)).weight, GPU),
}


@pytest.mark.parametrize(("made", "place"), ALLOWED.values(), ids=ALLOWED)
def test_what_is_allowed_is_where_a_gpu_has_it(made, place):
    with pretended_gpu() as gpu:
        found = made(HOST.to(gpu))
        assert found.device == place
        assert found.is_cuda == (place == GPU)
    assert HOST.device == CPU


def test_gradients_are_there():
    with pretended_gpu() as gpu:
        layer, there = nn.Linear(3, 2).to(gpu), HOST.to(gpu).requires_grad_()
        (gradient,) = torch.autograd.grad(layer(there).sum(), there)
        layer(there).sum().backward()
        assert {gradient.device, there.grad.device, layer.weight.grad.device} == {gpu}
