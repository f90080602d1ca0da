"""Gradients that lead nowhere are told, and those that are no numbers do no harm."""

import pytest
import torch
from torch import Tensor, nn

from project.attacks import (
    APGD,
    FAB,
    PGD,
    Momentum,
    SegPGD,
)
from project.attacks.gradient.landscape import finite, nonfinite_facts
from tests.models import CurvedClassifier, CurvedSegmenter, eight_bit_images, predicted

EPS = 4 / 255
ATTACKS = [
    PGD(EPS, steps=6),
    PGD(0.5, 0.1, steps=6, norm="l2"),
    PGD(EPS, steps=6, rules=[Momentum()]),
    APGD(EPS, 10),
    APGD(0.5, 10, norm="l2"),
]
every_attack = pytest.mark.parametrize("attack", ATTACKS)


class Wrapped(nn.Module):
    """A victim behind a function of the images."""

    num_classes = 4

    def __init__(self, function) -> None:
        super().__init__()
        self.function = function
        self.inner = CurvedClassifier()

    def forward(self, images: Tensor) -> Tensor:
        return self.inner(self.function(images))


class Blinding(torch.autograd.Function):
    """Lets images pass, and of the second image's gradient makes something else."""

    @staticmethod
    def forward(ctx, images, made):
        ctx.made = made
        return images.clone()

    @staticmethod
    def backward(ctx, gradient):
        gradient = gradient.clone()
        gradient[1, 0, 2, 3] = ctx.made
        return gradient, None


@every_attack
def test_sound_gradient_has_no_flaws(attack):
    victim, images = CurvedClassifier().eval(), eight_bit_images(3)
    facts = attack.run(victim, images, predicted(victim, images)).facts
    assert facts["zero_gradient"].tolist() == [0, 0, 0]
    assert facts["bad_gradient"].tolist() == [0, 0, 0]


@every_attack
def test_quantised_input_has_a_gradient_of_zeros_at_every_step(attack):
    victim = Wrapped(lambda images: (images * 8).round() / 8).eval()
    images = eight_bit_images(3)
    facts = attack.run(victim, images, predicted(victim, images)).facts
    assert facts["zero_gradient"].tolist() == [1, 1, 1]
    assert facts["bad_gradient"].tolist() == [0, 0, 0]


def test_share_of_flat_steps_is_counted():
    class Alternating(nn.Module):
        """Saturated, as a hard sigmoid is, at every other question."""

        asked = 0

        def forward(self, images: Tensor) -> Tensor:
            self.asked += 1
            score = (images.flatten(1).mean(1) - self.asked % 2).clamp(min=0)
            return torch.stack([score, -score], 1)

    images, target = eight_bit_images(2), torch.zeros(2, dtype=torch.int64)
    facts = PGD(EPS, steps=8).run(Alternating(), images, target).facts
    assert facts["zero_gradient"].tolist() == [0.5, 0.5]


@every_attack
@pytest.mark.parametrize("made", [float("nan"), float("inf"), -float("inf")])
def test_value_that_is_no_number_costs_its_pixel_only(attack, made):
    victim = Wrapped(lambda images: Blinding.apply(images, made)).eval()
    images = eight_bit_images(3)
    target = predicted(victim, images)
    result = attack.run(victim, images, target)
    assert result.facts["bad_gradient"].tolist() == [0, 1, 0]
    assert result.facts["zero_gradient"].tolist() == [0, 0, 0]
    assert result.float_images.isfinite().all()
    zeroed = Wrapped(lambda images: Blinding.apply(images, 0.0)).eval()
    assert torch.equal(result.float_images, attack.run(zeroed, images, target).float_images)


@every_attack
def test_image_whose_every_value_is_bad_stays_an_image(attack):
    # The logarithm of less than nothing: logits and gradient are NaN wherever an image is dark.
    victim = Wrapped(lambda images: images + 0 * (images.mean((1, 2, 3), True) - 0.4).log()).eval()
    images = eight_bit_images(3)
    images[1] /= 2
    images = (images * 255).round() / 255
    result = attack.run(victim, images, torch.zeros(3, dtype=torch.int64))
    assert result.facts["bad_gradient"].tolist() == [0, 1, 0]
    assert result.float_images.isfinite().all()


def test_gradient_of_an_image_without_any_label_is_rightly_zero():
    victim, images = CurvedSegmenter().eval(), eight_bit_images(2)
    target = predicted(victim, images)
    target[0] = 255
    for attack in (SegPGD(EPS, steps=3), APGD(EPS, 4)):
        facts = attack.run(victim, images, target).facts
        assert facts["zero_gradient"].tolist() == [0, 0]


def test_flaws_are_shares_of_the_steps_made():
    inf, nan = float("inf"), float("nan")
    slope = [[0, 2, nan, nan], [inf, 0, 0, 1], [nan] * 4, [0, 0, nan, nan]]
    facts = nonfinite_facts({"slope": torch.tensor(slope)}, torch.zeros(4, dtype=torch.int64))
    assert facts["zero_gradient"].tolist() == [0.5, 0.5, 0, 1]
    assert facts["bad_gradient"].tolist() == [0, 0.25, 0, 0]


def test_flaws_are_facts_and_no_curves():
    victim, images = CurvedClassifier().eval(), eight_bit_images(2)
    target = predicted(victim, images)
    for attack in (PGD(EPS, steps=3), APGD(EPS, 4)):
        assert (
            not {"zero_gradient", "bad_gradient"} & attack.run(victim, images, target).traces.keys()
        )


def test_gradient_without_flaws_stays_bit_for_bit():
    gradient = torch.randn(3, 2, 4, 5, generator=torch.Generator().manual_seed(0))
    gradient[1] = 0
    gradient[2] *= 1e-30
    found, slope = finite(gradient)
    assert torch.equal(found, gradient)
    assert (slope == 0).tolist() == [False, True, False]
    assert slope.isfinite().all()


@pytest.mark.parametrize("value", [1.0, 3e38, 1e-45])
def test_a_gradient_whose_sum_tells_nothing_is_no_flaw(value):
    gradient = torch.full((2, 1, 2, 2), value)
    gradient[0, :, 0] *= -1
    found, slope = finite(gradient)
    assert torch.equal(found, gradient)
    assert ((slope > 0) & slope.isfinite()).all()


def test_bad_values_are_found_beside_good_images():
    gradient = torch.ones(4, 1, 2, 2)
    gradient[1, 0, 0, 0], gradient[2, 0, 0, 1] = torch.nan, -torch.inf
    found, slope = finite(gradient)
    assert torch.equal(found, gradient.nan_to_num(0, 0, 0))
    assert slope.isinf().tolist() == [False, True, True, False]


def test_boundary_search_survives_bad_gradients():
    victim = Wrapped(lambda images: Blinding.apply(images, float("nan"))).eval()
    images = eight_bit_images(3)
    result = FAB(EPS, 5).run(victim, images, predicted(victim, images))
    assert result.float_images.isfinite().all()
