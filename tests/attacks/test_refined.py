"""Refinement finds the least change, which small victims let one compute by hand."""

import pytest
import torch
from torch import Tensor, nn

from project.attacks import PGD, SSTA, BestOf, Refined, StAdv, TwoStage
from project.errors import InputError
from tests.attacks.test_flow_attacks import SLOPE, RampVictim, everywhere, ramp
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
    victim = RampVictim(threshold=3.7 * SLOPE)
    attack = SSTA(everywhere, "released", steps=100, step_size=0.5, early_stop=False)
    target = torch.zeros(1, dtype=torch.int64)
    assert float(attack.run(victim, ramp(), target).facts["flow_max"]) == pytest.approx(
        0.5, rel=1e-4
    )
    result = Refined(attack, steps=0).run(victim, ramp(), target)
    assert bool(result.success)
    # A bisection of 0.5 px into 256 parts; columns move by whole levels, so by 1/20 px.
    assert 0.2 - 0.025 <= float(result.facts["flow_max"]) <= 0.2 + 0.05


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
    result = Refined(SSTA(profile="released")).run(victim, images, target)
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
    with pytest.raises(InputError, match="Refine the attacks inside it"):
        Refined(BestOf([SSTA(), SSTA(profile="released")]))
    with pytest.raises(InputError, match="steps must be at least 0"):
        Refined(SSTA(), steps=-1)
