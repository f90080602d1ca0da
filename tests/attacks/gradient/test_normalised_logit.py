"""The masked normalised logit and the cross-entropy's value, pixel by pixel."""

import math

import pytest
import torch

from project.attacks.gradient.objectives import (
    CrossEntropy,
    JensenShannon,
    MaskedNormalisedLogit,
)
from project.attacks.gradient.objectives.objective import Step, ValuedByCrossEntropy

K, H, W = 3, 3, 4


def step_of(logits, target, targeted=False) -> Step:
    return Step(1, 4, logits.requires_grad_(), target, targeted, lambda: logits, {})


@pytest.fixture
def scene():
    generator = torch.Generator().manual_seed(2)
    logits = 2 * torch.randn(2, K, H, W, generator=generator, dtype=torch.float64)
    target = torch.randint(0, K, (2, H, W), generator=generator)
    target[0, 0, :2] = 255
    return logits, target


@pytest.mark.parametrize("targeted", [False, True])
def test_value_and_gradient_are_those_of_the_formula_summed_by_hand(scene, targeted):
    logits, target = scene
    value = MaskedNormalisedLogit()(step_of(logits, target, targeted))
    (gradient,) = torch.autograd.grad(value.sum(), logits)
    for image in range(2):
        count = sum(label != 255 for label in target[image].flatten().tolist())
        total = 0.0
        for y in range(H):
            for x in range(W):
                z, label = logits[image, :, y, x].tolist(), int(target[image, y, x])
                expected = [0.0] * K
                if label != 255 and (z.index(max(z)) == label) != targeted:
                    length = math.sqrt(sum(one * one for one in z))
                    total += targeted - z[label] / length
                    for k in range(K):
                        slope = (k == label) / length - z[label] * z[k] / length**3
                        expected[k] = -slope / count
                found = gradient[image, :, y, x]
                torch.testing.assert_close(found.tolist(), expected, rtol=1e-9, atol=1e-14)
        assert float(value[image].detach()) == pytest.approx(total / count, rel=1e-12)


def test_length_of_the_logits_does_not_count_and_zero_logits_have_a_finite_gradient(scene):
    logits, target = scene
    value = MaskedNormalisedLogit()(step_of(logits, target))
    longer = MaskedNormalisedLogit()(step_of(50 * logits.detach(), target))
    torch.testing.assert_close(longer.detach(), value.detach())
    flat = torch.zeros_like(logits)
    (gradient,) = torch.autograd.grad(MaskedNormalisedLogit()(step_of(flat, target)).sum(), flat)
    assert gradient.isfinite().all()


def test_cross_entropys_value_comes_with_the_other_gradient(scene):
    logits, target = scene
    value = ValuedByCrossEntropy(JensenShannon())(step_of(logits, target))
    (gradient,) = torch.autograd.grad(value.sum(), logits)
    other = JensenShannon()(step_of(logits, target))
    assert torch.equal(gradient, *torch.autograd.grad(other.sum(), logits))
    assert torch.equal(value, CrossEntropy()(step_of(logits, target)))
