"""Chroma-Shift moves colours only."""

import torch
from torch import Tensor, nn

from project.attacks import ChromaShift
from project.attacks.flow.solvers.solver import Adam
from project.core.losses import margin
from project.images.colour import luma
from project.images.warping import smoothness
from project.threat_models import ChromaFlow
from tests.models import CurvedClassifier, eight_bit_images, predicted


class LumaVictim(nn.Module):
    """Sees brightness only: class 0 whenever luma is below 2."""

    num_classes = 2

    def forward(self, images: Tensor) -> Tensor:
        lead = 2 - luma(images).mean((1, 2, 3))
        return torch.stack([lead, -lead], 1)


def test_luma_is_kept_up_to_rounding():
    victim, images = CurvedClassifier().eval(), eight_bit_images(6) / 4 + 0.4
    images = images.mul(255).round() / 255
    result = ChromaShift(steps=40, step_size=0.05).run(victim, images, predicted(victim, images))
    torch.testing.assert_close(luma(result.float_images), luma(images), atol=1e-6, rtol=0)
    assert (result.float_images - images).abs().max() > 0.01
    # Rounding moves each channel by half a level at most, and so luma.
    assert (luma(result.images) - luma(images)).abs().max() <= 0.5 / 255 + 1e-6


def test_victim_that_sees_no_colour_cannot_be_fooled():
    images = eight_bit_images(2)
    result = ChromaShift(steps=5).run(LumaVictim(), images, torch.zeros(2, dtype=torch.int64))
    assert not result.success.any()
    assert result.steps.tolist() == [5, 5]


def test_grey_image_is_attacked_all_the_same_and_told():
    images = eight_bit_images(2)
    images[0] = images[0, :1]
    victim = CurvedClassifier().eval()
    result = ChromaShift(steps=30, step_size=0.1).run(victim, images, predicted(victim, images))
    assert torch.equal(result.images[0], images[0])
    assert not result.success[0]
    assert result.facts["colourfulness"][0] < 1e-3
    assert result.facts["colourfulness"][1] > 15
    assert result.facts["grey"].tolist() == [1, 0]


def test_flow_is_a_tanh_of_what_is_searched_and_starts_near_a_tenth_of_a_pixel():
    attack = ChromaShift(max_shift=0.5, seed=3)
    start = attack.start(torch.zeros(2, 3, 200, 200), torch.tensor([4, 9]))
    assert 0.099 < start.std() < 0.101
    assert not torch.equal(start[0], start[1])
    again = attack.start(torch.zeros(1, 3, 200, 200), torch.tensor([9]))
    assert torch.equal(again[0], start[1])
    torch.testing.assert_close(attack.flow(start), 0.5 * torch.tanh(start), rtol=0, atol=0)


def test_presets_are_those_of_the_table():
    paper, fast = ChromaShift(), ChromaShift(preset="fast")
    assert (paper.settings.steps, paper.settings.step_size) == (1000, 0.005)
    assert paper.search.early_stop
    assert (fast.settings.steps, fast.settings.step_size) == (100, 0.1)
    assert ChromaShift(preset="fast", steps=7).search.steps == 7


def test_flow_found_is_inside_its_budget_and_makes_the_images():
    victim, images = CurvedClassifier().eval(), eight_bit_images(4)
    attack = ChromaShift(max_shift=0.1, steps=40, step_size=0.5)
    result = attack.run(victim, images, predicted(victim, images))
    assert 0.095 < result.perturbation.abs().max() <= 0.1
    moved = ChromaFlow(0.1).apply(images, result.perturbation)
    assert torch.equal(result.float_images, moved)
    assert result.mask is None


def test_smoothness_that_is_weighed_is_that_of_the_flow(monkeypatch):
    victim, images = CurvedClassifier().eval(), eight_bit_images(3)
    target = predicted(victim, images)
    attack = ChromaShift(steps=1, smoothness=0.02)
    told = []
    tell = Adam.tell

    def watched(self: Adam, losses: Tensor, gradient: Tensor) -> None:
        told.append(losses)
        tell(self, losses, gradient)

    monkeypatch.setattr(Adam, "tell", watched)
    attack.run(victim, images, target)
    flow = attack.flow(attack.start(images, torch.arange(3)))
    lead = margin(victim(ChromaFlow().apply(images, flow)), target).detach()
    assert (lead > 0).all()
    torch.testing.assert_close(told[0], lead + 0.02 * smoothness(flow))


def test_step_size_reaches_the_solver_and_the_seed_the_start():
    images = eight_bit_images(2)
    solver = ChromaShift(step_size=0.03).solver_from(torch.zeros(2, 2, 4, 4))
    solver.tell(torch.zeros(2), torch.ones(2, 2, 4, 4))
    torch.testing.assert_close(solver.point.detach(), torch.full((2, 2, 4, 4), -0.03))
    starts = [ChromaShift(seed=seed).start(images, torch.arange(2)) for seed in (0, 1)]
    assert not torch.equal(*starts)
