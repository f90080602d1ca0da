"""Mirage climbs in both budgets at once, as the formula says, where its steps do most."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from project.attacks import BlockShuffle, Mirage, Momentum, Refined, TopPixels, Within
from project.core.errors import InputError
from project.core.randomness import Draws
from project.metrics.flows import flow_facts
from project.threat_models import FlowAndNoise, Masked
from tests.attacks.flow.test_flow_pgd import sampled
from tests.models import CurvedClassifier, CurvedSegmenter, eight_bit_images, predicted

SHIFT, EPS = 0.4, 6 / 255


class Inside(nn.Module):
    """A classifier that does not look at the border, where clamped coordinates have two slopes."""

    def __init__(self) -> None:
        super().__init__()
        self.network = CurvedClassifier()

    def forward(self, images: Tensor) -> Tensor:
        return self.network(F.pad(images[..., 1:-1, 1:-1], (1, 1, 1, 1)))


def test_steps_follow_the_formula():
    """From a random start: on whole pixels, slopes are one-sided, and routines differ in which."""
    victim, index = Inside().eval().double(), torch.arange(3)
    images = eight_bit_images(3).double() * 0.8 + 0.1  # so that nothing is clipped
    target = predicted(victim, images)
    key = (*Draws(index, 0, "Mirage").key, "start")
    part = start = FlowAndNoise(SHIFT, EPS).noise(images, index, *key)
    memory = torch.zeros_like(part)
    for _ in range(6):
        point = part.clone().requires_grad_()
        shown = sampled(images, SHIFT * point[:, :2]) + EPS * point[:, 2:]
        loss = F.cross_entropy(victim(shown), target, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, point)
        memory = memory + gradient / gradient.abs().mean((1, 2, 3), keepdim=True)
        strength = memory.abs().amax(1).flatten(1)
        least = strength.sort(1, descending=True).values[:, strength.shape[1] // 4 - 1]
        strongest = memory.abs().amax(1, keepdim=True) >= least.view(-1, 1, 1, 1)
        part = (part + 0.3 * memory.sign() * strongest).clamp(-1, 1)
    attack = Mirage(SHIFT, EPS, step_size=0.3, steps=6, random_start=True, transforms=())
    found = attack.run(victim, images, target)
    assert not torch.allclose(found.perturbation, start, atol=0.1)
    torch.testing.assert_close(found.perturbation, part, atol=1e-9, rtol=0)
    shown = sampled(images, SHIFT * part[:, :2]) + EPS * part[:, 2:]
    torch.testing.assert_close(found.float_images, shown, atol=1e-9, rtol=0)


def test_its_flow_is_told_in_pixels_and_its_images_change_in_both_budgets():
    victim, images = CurvedClassifier().eval(), eight_bit_images(3)
    result = Mirage(SHIFT, EPS, steps=4).run(victim, images, predicted(victim, images))
    assert torch.equal(result.flow, SHIFT * result.perturbation[:, :2])
    assert result.flow.abs().max() == pytest.approx(SHIFT)
    for name, values in flow_facts(result.flow).items():
        assert torch.equal(result.facts[name], values)
    moved = (result.perturbation != 0).any(1).double().mean((1, 2))
    assert ((moved > 0.2) & (moved < 1)).all()
    still = Mirage(SHIFT, EPS, steps=4, rules=[Momentum()])
    whole = still.run(victim, images, predicted(victim, images))
    assert whole.flow.abs().mean() > result.flow.abs().mean()


def test_one_budget_of_nearly_nothing_leaves_the_other_attack():
    victim, images = CurvedClassifier().eval(), eight_bit_images(3)
    target = predicted(victim, images)
    result = Mirage(1e-9, EPS, steps=4, transforms=()).run(victim, images, target)
    assert ((result.images - images).abs() <= EPS + 1e-6).all()
    assert result.flow.abs().max() <= 1e-9
    result = Mirage(SHIFT, 1e-9, steps=4, transforms=()).run(victim, images, target)
    torch.testing.assert_close(sampled(images, result.flow), result.float_images, atol=1e-5, rtol=0)


def test_its_default_step_reaches_both_budgets_and_scales_with_neither():
    victim, images = CurvedClassifier().eval(), eight_bit_images(2)
    target = predicted(victim, images)
    explicit = Mirage(step_size=0.25, rules=[Momentum(), TopPixels(0.25)])
    assert torch.equal(Mirage()(victim, images, target), explicit(victim, images, target))
    half = Mirage(0.6, 8 / 255).scaled(0.5)
    assert (half.max_shift, half.eps, half.step_size) == (0.3, 4 / 255, None)
    assert FlowAndNoise(0.6, 0.2).scaled(0.5) == FlowAndNoise(0.3, 0.1)


@pytest.mark.parametrize("kind", [Refined, lambda attack: Within(attack, 0.3)])
def test_a_part_of_it_tells_the_flow_of_that_part(kind):
    victim, images = CurvedSegmenter().eval(), eight_bit_images(2)
    attack = kind(Mirage(1.5, 12 / 255, steps=3, transforms=[BlockShuffle()]))
    result = attack.run(victim, images, predicted(victim, images))
    assert torch.equal(result.facts["flow_max"], flow_facts(result.flow)["flow_max"])
    part = result.perturbation[:, :2].abs().amax((1, 2, 3)).double()
    torch.testing.assert_close(result.facts["flow_max"], 1.5 * part, rtol=1e-6, atol=0)


def test_inside_a_mask_its_flow_is_that_inside():
    images, mask = eight_bit_images(2), torch.zeros(2, 1, 12, 16)
    mask[..., 5:] = 1
    space = Masked(FlowAndNoise(SHIFT, EPS), mask)
    part = space.random(images, torch.arange(2), 0)
    assert torch.equal(space.apply(images, part)[..., :5], images[..., :5])
    assert torch.equal(space.flow(part), SHIFT * part[:, :2] * mask)


def test_budgets_of_nothing_and_settings_out_of_range_are_refused():
    with pytest.raises(InputError, match="a budget must be greater than 0, got 0"):
        Mirage(max_shift=0.0)
    with pytest.raises(InputError, match="an L∞ budget is a part of the range"):
        Mirage(eps=5.0)
    with pytest.raises(InputError, match="steps must be at least 1"):
        Mirage(steps=0)
