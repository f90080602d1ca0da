"""Refinement finds the least change, which small victims let one compute by hand."""

import math
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from project.attacks import PGD, SSTA, BestOf, ChromaShift, Refined, StAdv, TwoStage
from project.attacks.core.result import Perturbed
from project.core.errors import InputError
from project.core.losses import margin
from project.images.eight_bit import to_8bit
from project.images.warping import warp
from project.metrics.flows import flow_facts
from tests.attacks.flow.test_flow_attacks import STEEPNESS, RampVictim, everywhere, ramp
from tests.models import CurvedClassifier, CurvedSegmenter, eight_bit_images, predicted


class LinearVictim(nn.Module):
    """Class 0 while w · x is below a threshold."""

    num_classes = 2

    def __init__(self, weights: Tensor, threshold: float) -> None:
        super().__init__()
        self.weights = weights
        self.threshold = threshold

    def forward(self, images: Tensor) -> Tensor:
        lead = self.threshold - (self.weights.to(images) * images).sum((1, 2, 3))
        return torch.stack([lead, -lead], 1)


def test_shrinking_finds_the_smallest_factor_of_a_flow_that_goes_too_far():
    # Being fooled takes 0.2 px; the first step goes to 0.5 px.
    victim = RampVictim(threshold=3.7 * STEEPNESS)
    attack = SSTA(everywhere, "repaired", steps=100, step_size=0.5, early_stop=False)
    target = torch.zeros(1, dtype=torch.int64)
    assert float(attack.run(victim, ramp(), target).facts["flow_max"]) == pytest.approx(
        0.5, rel=1e-4
    )
    result = Refined(attack, steps=0).run(victim, ramp(), target)
    assert bool(result.success)
    # A bisection of 0.5 px into 256 parts; columns move by whole levels, so by 1/20 px.
    assert 0.2 - 0.025 <= float(result.facts["flow_max"]) <= 0.2 + 0.05


def test_shrinking_comes_within_a_256th_of_the_smallest_factor():
    victim, images = CurvedClassifier().double().eval(), eight_bit_images(6).double()
    target = predicted(victim, images)
    attack = PGD(0.3, step_size=0.2, steps=3)
    found = attack.run(victim, images, target)
    result = Refined(attack, steps=0).run(victim, images, target)
    assert found.success.sum() > 2
    for place in torch.nonzero(found.success).flatten().tolist():
        whole, part = found.perturbation[place], result.perturbation[place]
        factor = float(part.norm() / whole.norm())
        torch.testing.assert_close(part, factor * whole, atol=1e-12, rtol=0)
        less = to_8bit(images[place] + (factor - 1 / 256) * whole)
        assert predicted(victim, less[None]) == target[place]
        assert factor < 1


def test_walk_comes_near_the_closest_image_of_a_linear_victim():
    generator = torch.Generator().manual_seed(4)
    weights = torch.rand(1, 3, 12, 16, generator=generator) + 0.1
    images = eight_bit_images(1)
    lead = 20.0
    victim = LinearVictim(weights, float((weights * images).sum()) + lead)
    target = torch.zeros(1, dtype=torch.int64)
    noise = PGD(eps=1.0, step_size=0.3, steps=4)
    least = lead / weights.norm()  # the distance to the plane
    found = noise.run(victim, images, target)
    result = Refined(noise, steps=80).run(victim, images, target)
    assert bool(result.success)
    assert (found.images - images).norm() > 1.5 * least
    assert least * 0.999 <= (result.images - images).norm() <= 1.03 * least


@pytest.mark.parametrize("attack", [StAdv(preset="fast", smoothness=0.0), SSTA(), PGD(8 / 255)])
def test_refinement_never_loses_a_success_and_never_goes_farther(attack):
    victim, images = CurvedClassifier().eval(), eight_bit_images(6)
    target = predicted(victim, images)
    plain, refined = attack.run(victim, images, target), Refined(attack).run(victim, images, target)
    assert torch.equal(refined.success, plain.success)
    before = (plain.images - images).square().sum((1, 2, 3))
    after = (refined.images - images).square().sum((1, 2, 3))
    assert (after <= before).all()
    assert (after < 0.7 * before)[plain.success].any()
    failed = ~plain.success
    assert torch.equal(refined.images[failed], plain.images[failed])


def test_refined_flow_stays_in_its_mask_and_budget():
    victim, images = CurvedClassifier().eval(), eight_bit_images(4)
    target = predicted(victim, images)
    result = Refined(SSTA(profile="repaired")).run(victim, images, target)
    outside = (result.mask == 0).expand_as(images)
    assert outside.any()
    assert torch.equal(result.images[outside], images[outside])
    assert result.perturbation.abs().max() <= 1.0
    moved = result.perturbation * result.mask
    torch.testing.assert_close(
        result.facts["flow_max"].float(), moved.abs().amax((1, 2, 3)), rtol=0, atol=0
    )


def test_image_that_was_wrong_already_stays_as_it_is():
    images = ramp()
    attack = Refined(SSTA(everywhere))
    result = attack.run(RampVictim(threshold=0.0), images, torch.zeros(1, dtype=torch.int64))
    assert torch.equal(result.images, images)
    assert torch.isfinite(result.facts["shrunk"]).all()


def test_of_a_segmenter_no_fooled_pixel_is_given_back():
    victim, images = CurvedSegmenter().eval(), eight_bit_images(3)
    target = predicted(victim, images)
    attack = SSTA(everywhere, objective=TwoStage(), steps=20, step_size=0.05)
    plain, refined = attack.run(victim, images, target), Refined(attack).run(victim, images, target)
    assert (plain.fooled > 0).all()
    assert (refined.fooled >= plain.fooled).all()
    assert (refined.images - images).norm() < (plain.images - images).norm()


def test_unknown_distance_and_best_of_are_refused():
    with pytest.raises(InputError, match="distance must be one of mse, lpips_squeeze"):
        Refined(SSTA(), distance="l7")
    with pytest.raises(InputError, match="Refine those attacks instead"):
        Refined(BestOf([SSTA(), SSTA(profile="repaired")]))
    with pytest.raises(InputError, match="steps must be at least 0"):
        Refined(SSTA(), steps=-1)


def targeted_cases():
    return [
        SSTA(everywhere, "repaired", step_size=0.05, targeted=True),
        ChromaShift(preset="fast", targeted=True),
        PGD(16 / 255, steps=8, targeted=True),
    ]


@pytest.mark.parametrize("attack", targeted_cases(), ids=["ssta", "chroma", "pgd"])
def test_refined_targeted_attack_still_ends_at_the_target_and_nearer(attack):
    victim, images = CurvedClassifier().eval(), eight_bit_images(6)
    wanted = (predicted(victim, images) + 1) % 4
    plain, refined = attack.run(victim, images, wanted), Refined(attack).run(victim, images, wanted)
    assert plain.success.any()
    assert torch.equal(refined.success, plain.success)
    assert torch.equal(refined.success, predicted(victim, refined.images) == wanted)
    before = (plain.images - images).square().sum((1, 2, 3))
    after = (refined.images - images).square().sum((1, 2, 3))
    assert (after[plain.success] < before[plain.success]).all()


@pytest.mark.parametrize("targeted", [False, True])
def test_walk_takes_the_steps_of_its_formula(monkeypatch, targeted):
    victim, images = CurvedClassifier().double().eval(), eight_bit_images(5).double()
    target = predicted(victim, images)
    target = (target + 1) % 4 if targeted else target
    seen = []
    look = Refined._look

    def watched(self: Refined, scene: object, perturbation: Tensor) -> object:
        trial = look(self, scene, perturbation)
        seen.append((perturbation.detach().clone(), trial.share.detach()))
        return trial

    monkeypatch.setattr(Refined, "_look", watched)
    steps, rate = 12, 0.2
    attack = PGD(0.3, step_size=0.05, steps=6, targeted=targeted)
    found = attack.run(victim, images, target)
    Refined(attack, steps=steps, rate=rate).run(victim, images, target)
    walked = seen[-steps:]
    fooled = torch.stack([share for _, share in walked])
    assert (fooled == 1).any()
    assert (fooled[:, found.success] == 0).any()
    for number, ((here, share), (there, _)) in enumerate(pairwise(walked)):
        cosine = math.cos(math.pi * number / steps)
        alpha = rate * (0.1 + 0.9 * (1 + cosine) / 2)
        for place in torch.nonzero(found.success).flatten().tolist():
            at = to_8bit(images[place] + here[place]).requires_grad_()
            lead = margin(victim(at[None]), target[place : place + 1]).sum()
            (down,) = torch.autograd.grad(-lead if targeted else lead, at)
            down, away = down / down.norm(), at.detach() - images[place]
            along = away - (away * down).sum() * down
            side = along / along.norm()
            way = away / away.norm() if share[place] == 1 else down + 0.5 * side
            expected = (here[place] - alpha * here[place].norm() * way).clamp(-0.3, 0.3)
            expected = (images[place] + expected).clamp(0, 1) - images[place]
            torch.testing.assert_close(there[place], expected, atol=1e-9, rtol=0)


def test_refined_soft_flow_is_what_its_images_and_facts_tell():
    victim, images = CurvedClassifier().eval(), eight_bit_images(4)
    target = predicted(victim, images)
    result = Refined(SSTA(edge=1.0, step_size=0.05)).run(victim, images, target)
    assert ((result.mask > 0) & (result.mask < 1)).any()
    moved = result.perturbation * result.mask
    assert torch.equal(result.float_images, warp(images, moved))
    assert torch.equal(result.images, to_8bit(result.float_images))
    for name, expected in flow_facts(moved).items():
        assert torch.equal(result.facts[name], expected), name


def test_part_of_the_distance_that_is_left_is_told():
    victim, images = CurvedClassifier().eval(), eight_bit_images(4)
    target = predicted(victim, images)
    attack = PGD(8 / 255, steps=4)
    plain, refined = attack.run(victim, images, target), Refined(attack).run(victim, images, target)
    before = (plain.images - images).double().square().sum((1, 2, 3))
    after = (refined.images - images).double().square().sum((1, 2, 3))
    torch.testing.assert_close(refined.facts["shrunk"], after / before, rtol=1e-4, atol=0)


def test_distance_that_is_asked_for_is_what_shrinks(monkeypatch):
    def of_red(clean: Tensor, images: Tensor) -> Tensor:
        return (images[:, 0] - clean[:, 0]).square().sum((1, 2))

    monkeypatch.setattr("project.attacks.combined.refined.distance_named", lambda name: of_red)
    victim, images = CurvedClassifier().eval(), eight_bit_images(4)
    target = predicted(victim, images)
    result = Refined(PGD(16 / 255, steps=8), distance="lpips_vgg").run(victim, images, target)
    assert result.success.all()
    red, *others = ((result.images - images)[:, k].norm() for k in range(3))
    assert all(red < 0.5 * other for other in others)


def test_perturbation_is_refined_inside_a_small_ball():
    victim, images = CurvedClassifier().eval(), eight_bit_images(6)
    target = predicted(victim, images)
    for norm, eps in (("linf", 3 / 255), ("l2", 0.3)):
        attack = PGD(eps, step_size=eps / 2, steps=6, norm=norm)
        result = Refined(attack, rate=1.0).run(victim, images, target)
        change = (result.images - images).flatten(1)
        size = change.abs().amax(1) if norm == "linf" else change.norm(dim=1)
        assert (size <= eps + 1e-6).all()


def test_wrapped_attack_knows_the_data_set_and_keeps_its_seed_and_aim():
    class Attached(PGD):
        samples = None

        def attach(self, samples: object) -> None:
            self.samples = samples

    inner, samples = Attached(0.1, seed=5, targeted=True), object()
    attack = Refined(inner)
    attack.attach(samples)
    assert inner.samples is samples
    assert (attack.seed, attack.targeted) == (5, True)


def test_attack_that_names_no_threat_model_cannot_be_refined():
    victim, images = CurvedClassifier(), eight_bit_images(1)

    class Silent(PGD):
        def perturb(self, *arguments: Any) -> Perturbed:
            return replace(super().perturb(*arguments), threat_model=None)

    hidden = Refined(Silent(8 / 255, steps=1))
    with pytest.raises(InputError, match="Silent does not say what its perturbation is one of"):
        hidden.run(victim, images, predicted(victim, images))
