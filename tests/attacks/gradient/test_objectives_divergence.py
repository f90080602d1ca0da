"""The Jensen-Shannon objective against its definition, and where it is hard to compute."""

import math

import pytest
import torch
from torch import Tensor

from project.attacks.gradient.objectives import JensenShannon
from project.attacks.gradient.objectives.objective import Step


def make_step(logits: Tensor, target: Tensor, targeted: bool = False) -> Step:
    return Step(1, 1, logits, target, targeted, lambda: logits, {})


def by_definition(logits: Tensor, target: Tensor) -> Tensor:
    """Return ½ KL(p‖m) + ½ KL(e‖m), m = (p + e)/2, averaged over valid pixels, slowly."""
    images = []
    for image, labels in zip(logits, target, strict=True):
        total, count = torch.zeros((), dtype=torch.float64), 0
        for y in range(labels.shape[0]):
            for x in range(labels.shape[1]):
                label = int(labels[y, x])
                if label == 255:
                    continue
                p = image[:, y, x].softmax(0)
                one_hot = torch.zeros_like(p)
                one_hot[label] = 1
                middle = (p + one_hot) / 2
                total = total + ((p * (p / middle).log()).sum() - middle[label].log()) / 2
                count += 1
        images.append(total / max(count, 1))
    return torch.stack(images)


@pytest.fixture
def scene() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2)
    logits = 3 * torch.randn(2, 4, 3, 2, generator=generator, dtype=torch.float64)
    target = torch.randint(0, 4, (2, 3, 2), generator=generator)
    target[0, 1, :] = 255
    return logits, target


@pytest.mark.parametrize("targeted", [False, True])
def test_closed_form_and_its_gradient_agree_with_the_definition(scene, targeted):
    logits, target = scene
    logits.requires_grad_()
    value = JensenShannon()(make_step(logits, target, targeted))
    expected = by_definition(logits, target)
    torch.testing.assert_close(value, expected, rtol=1e-12, atol=1e-14)
    (gradient,) = torch.autograd.grad(value.sum(), logits)
    (slow,) = torch.autograd.grad(expected.sum(), logits)
    torch.testing.assert_close(gradient, slow, rtol=1e-9, atol=1e-14)
    assert torch.equal(gradient[0, :, 1], torch.zeros_like(gradient[0, :, 1]))


@pytest.mark.parametrize(
    ("own", "expected"), [(200.0, 0.0), (-200.0, math.log(2)), (-1e4, math.log(2))]
)
def test_float32_limits_are_exact_and_their_gradient_is_0(own, expected):
    logits = torch.zeros(1, 3)
    logits[0, 1] = own
    logits.requires_grad_()
    value = JensenShannon()(make_step(logits, torch.tensor([1])))
    (gradient,) = torch.autograd.grad(value.sum(), logits)
    assert value.item() == pytest.approx(expected, abs=1e-7)
    assert gradient.abs().max() < 1e-7
    assert gradient.isfinite().all()


def test_image_that_is_void_everywhere_has_loss_and_gradient_0(scene):
    logits, target = scene
    logits.requires_grad_()
    value = JensenShannon()(make_step(logits, torch.full_like(target, 255)))
    (gradient,) = torch.autograd.grad(value.sum(), logits)
    assert value.tolist() == [0.0, 0.0]
    assert torch.equal(gradient, torch.zeros_like(gradient))


def test_void_pixels_never_count(scene):
    logits, target = scene
    changed = logits.masked_fill((target == 255)[:, None], 9.0)
    found = JensenShannon()(make_step(changed, target))
    assert torch.equal(found, JensenShannon()(make_step(logits, target)))
