"""Walks through threat models: each step is that of the formula, whatever a walk holds."""

import pytest
import torch
from torch import Tensor, nn

from project.attacks import MIFGSM, PGD
from project.threat_models import L2, ChromaFlow, Flow, FlowAndNoise, Linf, Masked, ThreatModel

EPS, RADIUS, BOUND = 0.1, 1.0, 2.0
MASK = torch.rand(4, 1, 6, 9, generator=torch.Generator().manual_seed(3))
THREATS: dict[str, ThreatModel] = {
    "linf": Linf(EPS),
    "l2": L2(RADIUS),
    "flow": Flow(BOUND),
    "chroma": ChromaFlow(BOUND),
    "both": FlowAndNoise(BOUND, EPS),
    "masked linf": Masked(Linf(EPS), MASK),
    "masked l2": Masked(L2(RADIUS), MASK),
    "masked flow": Masked(Flow(BOUND), MASK),
}
every_threat = pytest.mark.parametrize("name", THREATS)


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def scene(name: str) -> tuple[ThreatModel, Tensor, Tensor]:
    """Return a threat model, images with values on the bounds, and a start outside of it."""
    images = (drawn(0, 4, 3, 6, 9) / 2 + 0.5).clamp(0, 1)
    start = drawn(1, *THREATS[name].zeros(images).shape)
    return THREATS[name], images, start


def projected(name: str, images: Tensor, perturbation: Tensor) -> Tensor:
    """Return the nearest allowed perturbation, from the definition of the budget."""
    if "flow" in name or name == "chroma":
        return perturbation.clamp(-BOUND, BOUND)
    if name == "both":
        return perturbation.clamp(-1, 1)
    if "linf" in name:
        inside = perturbation.clamp(-EPS, EPS)
    else:
        norms = perturbation.flatten(1).norm(dim=1).clamp(min=RADIUS)
        inside = perturbation * (RADIUS / norms).view(-1, 1, 1, 1)
    return (images + inside).clamp(0, 1) - images


@every_threat
def test_steps_are_those_of_the_formula(name):
    threat, images, start = scene(name)
    walk = threat.iterate_from(images, start.clone())
    expected = projected(name, images.double(), start.double())
    for number in range(6):
        direction, lengths = drawn(2 + number, *start.shape), torch.rand(4, 1, 1, 1) / 4
        walk.step(direction.clone(), lengths)
        moved = expected + lengths.double() * direction.double()
        expected = projected(name, images.double(), moved)
        torch.testing.assert_close(walk.perturbation.double(), expected, rtol=0, atol=1e-6)


@every_threat
def test_what_a_walk_shows_is_its_perturbation_applied(name):
    threat, images, start = scene(name)
    walk = threat.iterate_from(images, start)
    walk.step(drawn(2, *start.shape), torch.full((4, 1, 1, 1), 0.03))
    leaf = walk.perturbation.clone().requires_grad_()
    applied = threat.apply(images, leaf)
    upstream = drawn(3, *images.shape)
    (gradient,) = torch.autograd.grad(applied, leaf, upstream)
    seen, pull_back = walk.perturb_and_pullback()
    for shown in (seen, walk.perturbed()):
        torch.testing.assert_close(shown, applied.detach(), rtol=0, atol=1e-6)
        assert shown.amin() >= 0
        assert shown.amax() <= 1
    torch.testing.assert_close(pull_back(upstream), gradient)


@every_threat
def test_those_who_stay_walk_on_bit_for_bit(name):
    threat, images, start = scene(name)
    walk = threat.iterate_from(images, start)
    some = walk.at(rows := torch.tensor([True, False, True, True]))
    for number in range(20):  # often onto the border of the budget
        direction, lengths = drawn(number, *start.shape), torch.full((4, 1, 1, 1), 0.2)
        some.step(direction[rows], lengths[rows])
        walk.step(direction, lengths)
        some = some.at(torch.ones(3, dtype=torch.bool))
        assert torch.equal(some.perturbation, walk.perturbation[rows])
        assert torch.equal(some.perturbed(), walk.perturbed()[rows])


class Brightness(nn.Module):
    """Two classes; the gradient is one number in memory for all pixels."""

    def forward(self, images: Tensor) -> Tensor:
        brightness = images.sum((1, 2, 3))
        return torch.stack([brightness, -brightness], 1)


@pytest.mark.parametrize("attack", [PGD(EPS, steps=30), MIFGSM(EPS, steps=30)])
def test_gradient_that_is_one_number_for_all_pixels_is_followed(attack):
    images = torch.full((2, 3, 4, 4), 102 / 255)
    found = attack(Brightness(), images, torch.zeros(2, dtype=torch.int64))
    low = ((images - EPS) * 255).ceil() / 255
    assert torch.equal(found, low)


def test_on_the_border_of_a_ball_nothing_moves_for_who_stays():
    images, everyone = torch.full((4, 3, 6, 9), 0.5), torch.ones(4, dtype=torch.bool)
    walk = L2(0.1).iterate_from(images, torch.zeros_like(images))
    some = walk.at(everyone)
    for number in range(20):
        direction, lengths = drawn(number, 4, 3, 6, 9), torch.ones(4, 1, 1, 1)
        for one in (walk, some):
            one.step(direction, lengths)
        some = some.at(everyone)
        assert torch.equal(some.perturbation, walk.perturbation)
