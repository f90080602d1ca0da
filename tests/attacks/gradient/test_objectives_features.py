"""FSPGD's objective against a slow float64 reference written from the formula."""

import math

import pytest
import torch
from torch import Tensor

from project.attacks.gradient.objectives import FeatureSimilarity
from project.attacks.gradient.objectives.objective import Step


@pytest.fixture
def maps() -> tuple[Tensor, Tensor]:
    """Adversarial and clean features, 2 × 3 places of 4 channels; neighbours are alike."""
    generator = torch.Generator().manual_seed(4)
    clean = torch.randn(2, 4, 2, 3, generator=generator, dtype=torch.float64) + 0.8
    change = torch.randn(2, 4, 2, 3, generator=generator, dtype=torch.float64)
    return clean + 0.5 * change, clean


def make_step(
    maps: tuple[Tensor, Tensor], target: Tensor, number: int = 2, targeted: bool = False
) -> Step:
    features, clean = maps
    shape = (len(target), 5, *target.shape[1:])
    return Step(
        number,
        4,
        torch.zeros(shape),
        target,
        targeted,
        lambda: torch.zeros(shape),
        {},
        features=features,
        clean_features=lambda: clean,
    )


def cosine(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum() / ((a * a).sum().sqrt() * (b * b).sum().sqrt())


def reference(maps, places, share, threshold=0.5) -> Tensor:
    """Return the objective; ``places`` are, for each image, the (y, x) that count."""
    values = []
    for f, c, counted in zip(*maps, places, strict=True):
        external = [cosine(f[:, y, x], c[:, y, x]) for y, x in counted]
        internal = [
            cosine(f[:, a, b], f[:, y, x])
            for a, b in counted
            for y, x in counted
            if (a, b) != (y, x) and cosine(c[:, a, b], c[:, y, x]) > threshold
        ]
        value = torch.zeros((), dtype=torch.float64)
        if external:
            value = value - share * sum(external) / len(external)
        if internal:
            value = value - (1 - share) * sum(internal) / len(internal) / 2
        values.append(value)
    return torch.stack(values)


ALL = [(y, x) for y in range(2) for x in range(3)]


@pytest.mark.parametrize(("number", "share"), [(1, 0.0), (2, 0.25), (4, 0.75)])
@pytest.mark.parametrize("task", ["classification", "segmentation"])
def test_objective_and_gradient_agree_with_the_formula(maps, number, share, task):
    target = torch.zeros(2, dtype=torch.int64)
    target = target if task == "classification" else target.view(2, 1, 1).repeat(1, 8, 12)
    maps[0].requires_grad_()
    value = FeatureSimilarity()(make_step(maps, target, number))
    expected = reference(maps, [ALL, ALL], share)
    torch.testing.assert_close(value, expected, rtol=1e-12, atol=0)
    (gradient,) = torch.autograd.grad(value.sum(), maps[0])
    (slow,) = torch.autograd.grad(expected.sum(), maps[0])
    torch.testing.assert_close(gradient, slow, rtol=1e-9, atol=1e-14)


def test_place_counts_while_any_pixel_under_it_is_valid(maps):
    target = torch.zeros(2, 8, 12, dtype=torch.int64)
    target[0, :4, :4] = 255  # all of the first place
    target[1, :4, :4] = 255
    target[1, 3, 3] = 1  # but one pixel
    maps[0].requires_grad_()
    value = FeatureSimilarity()(make_step(maps, target))
    torch.testing.assert_close(value, reference(maps, [ALL[1:], ALL], 0.25), rtol=1e-12, atol=0)
    (gradient,) = torch.autograd.grad(value.sum(), maps[0])
    assert torch.equal(gradient[0, :, 0, 0], torch.zeros(4, dtype=torch.float64))


def test_image_that_is_void_everywhere_has_loss_and_gradient_0(maps):
    maps[0].requires_grad_()
    value = FeatureSimilarity()(make_step(maps, torch.full((2, 8, 12), 255)))
    (gradient,) = torch.autograd.grad(value.sum(), maps[0])
    assert value.tolist() == [0.0, 0.0]
    assert torch.equal(gradient, torch.zeros_like(gradient))


def test_without_similar_places_the_internal_part_is_0(maps):
    orthogonal = torch.eye(4, dtype=torch.float64).view(1, 4, 2, 2).repeat(2, 1, 1, 1)
    features = maps[0][..., :2]
    value = FeatureSimilarity()(make_step((features, orthogonal), torch.zeros(2).long(), number=1))
    assert value.tolist() == [0.0, 0.0]


def test_threshold_is_the_cosine_of_60_degrees(maps):
    """Two places 59° apart belong together, two 61° apart do not."""
    for degrees, together in ((59.0, True), (61.0, False)):
        angle = math.radians(degrees)
        clean = torch.tensor([[1.0, math.cos(angle)], [0.0, math.sin(angle)]])[None, :, None]
        value = FeatureSimilarity()(make_step((clean, clean), torch.zeros(1).long(), number=1))
        assert bool(value != 0) is together


def test_length_of_features_does_not_matter(maps):
    target = torch.zeros(2, dtype=torch.int64)
    before = FeatureSimilarity()(make_step(maps, target))
    scaled = 7 * maps[0], 0.1 * maps[1]
    torch.testing.assert_close(FeatureSimilarity()(make_step(scaled, target)), before)


def test_what_it_cannot_do_is_said(maps):
    target = torch.zeros(2, dtype=torch.int64)
    with pytest.raises(ValueError, match="looks at no labels and cannot be aimed"):
        FeatureSimilarity()(make_step(maps, target, targeted=True))
    blind = Step(1, 4, torch.zeros(2, 5), target, False, lambda: torch.zeros(2, 5), {})
    with pytest.raises(ValueError, match="looks at the victim's layers"):
        FeatureSimilarity()(blind)
    with pytest.raises(ValueError, match="threshold is a cosine"):
        FeatureSimilarity(threshold=1.0)
