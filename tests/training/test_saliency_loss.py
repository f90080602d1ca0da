"""The pixel-intensity loss against its formula pixel by pixel, and its edge cases."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from project.training.pixel_intensity import edge_target, intensity_weights, pixel_intensity_loss


def targets(count: int = 3, height: int = 9, width: int = 12, void: bool = True) -> Tensor:
    draw = torch.Generator().manual_seed(2)
    target = torch.randint(0, 2, (count, height, width), generator=draw)
    if void:
        target[:, 3:5, 2:9] = 255
    return target


def logits_of(count: int = 3, height: int = 9, width: int = 12) -> Tensor:
    draw = torch.Generator().manual_seed(3)
    return 3 * torch.randn(count, 2, height, width, generator=draw)


def slow_weight(mask: np.ndarray, y: int, x: int) -> float:
    """Omega at a pixel, the mean over each window in plain loops; outside the image is 0."""
    height, width = mask.shape
    total = 1.0
    for side in (3, 15, 31):
        reach = side // 2
        inside = sum(
            mask[v, u]
            for v in range(max(0, y - reach), min(height, y + reach + 1))
            for u in range(max(0, x - reach), min(width, x + reach + 1))
        )
        total += 0.5 * abs(inside / side**2 - mask[y, x]) * mask[y, x]
    return total


def slow_loss(logits: np.ndarray, target: np.ndarray) -> float:
    mask = (target == 1).astype(float)
    weights = bce = l1 = both = either = 0.0
    for y, x in zip(*np.nonzero(target != 255), strict=True):
        w, m = slow_weight(mask, y, x), mask[y, x]
        p = 1 / (1 + math.exp(-logits[y, x]))
        weights += w
        bce -= w * (m * math.log(p) + (1 - m) * math.log(1 - p))
        l1 += w * abs(p - m)
        both += w * p * m
        either += w * (p + m - p * m)
    return bce / weights + 1 - (both + 1) / (either + 1) + l1 / weights


@pytest.mark.parametrize("void", [False, True])
def test_the_loss_is_the_formula_pixel_by_pixel(void: bool):
    logits, target = logits_of(), targets(void=void)
    expected = [
        [slow_loss(one.double().numpy(), mask.numpy()) for one in maps]
        for maps, mask in zip(logits, target, strict=True)
    ]
    np.testing.assert_allclose(pixel_intensity_loss(logits, target).numpy(), expected, rtol=2e-6)


def test_weights_of_a_single_pixel_are_those_computed_by_hand():
    target = torch.zeros(1, 5, 5, dtype=torch.int64)
    target[0, 2, 2] = 1
    expected = torch.ones(1, 5, 5)
    expected[0, 2, 2] = 1 + 0.5 * ((1 - 1 / 9) + (1 - 1 / 225) + (1 - 1 / 961))
    torch.testing.assert_close(intensity_weights(target), expected)


def test_thin_parts_of_an_object_weigh_more_than_its_middle():
    target = torch.zeros(1, 96, 96, dtype=torch.int64)
    target[0, 30:80, 20:70] = 1
    target[0, 10:30, 45] = 1
    weights = intensity_weights(target)[0]
    assert weights[20, 45] > weights[30, 30] > weights[55, 45] == 1
    assert (weights[target[0] == 0] == 1).all()


@pytest.mark.parametrize("value", [0, 1, 255])
def test_masks_that_are_empty_full_or_void_give_finite_losses_and_gradients(value: int):
    logits = torch.tensor([-200.0, -1.0, 0.0, 200.0]).view(1, 1, 2, 2).expand(2, 1, 2, 2).clone()
    logits.requires_grad_()
    loss = pixel_intensity_loss(logits, torch.full((2, 2, 2), value))
    loss.sum().backward()
    assert loss.isfinite().all()
    assert logits.grad.isfinite().all()
    assert (loss == 0).all() == (value == 255)


@pytest.mark.parametrize("value", [0, 1])
def test_a_sure_and_right_map_has_loss_zero_and_a_wrong_one_a_large_loss(value: int):
    target = torch.full((1, 8, 8), value)
    right = torch.full((1, 1, 8, 8), 60.0 * (1 if value else -1))
    assert pixel_intensity_loss(right, target) == pytest.approx(0, abs=1e-6)
    assert pixel_intensity_loss(-right, target) > 50


def test_a_maps_loss_does_not_depend_on_its_batch_mates_and_the_other_maps():
    logits, target = logits_of(), targets()
    together = pixel_intensity_loss(logits, target)
    for k, m in np.ndindex(3, 2):
        alone = pixel_intensity_loss(logits[k : k + 1, m : m + 1], target[k : k + 1])
        assert torch.equal(together[k, m], alone[0, 0])


def test_each_pixels_gradient_carries_its_own_weight():
    """Averaging BCE and L1 before weighting, as the released code does, fails here."""
    target = torch.zeros(1, 33, 33, dtype=torch.int64)
    target[0, 4:29, 4:29] = 1
    weights = intensity_weights(target)
    logits = torch.zeros(1, 1, 33, 33, requires_grad=True)
    pixel_intensity_loss(logits, target).sum().backward()
    gradient = logits.grad[0, 0].abs()
    corner, middle = gradient[4, 4], gradient[16, 16]
    assert weights[0, 4, 4] > 1.5 * weights[0, 16, 16]
    torch.testing.assert_close(corner / middle, weights[0, 4, 4] / weights[0, 16, 16])


def test_void_pixels_have_no_gradient_and_change_nothing():
    logits, target = logits_of(), targets()
    changed = logits.where(target[:, None] != 255, -5 * logits - 1).requires_grad_()
    loss = pixel_intensity_loss(changed, target)
    assert torch.equal(loss, pixel_intensity_loss(logits, target))
    loss.sum().backward()
    assert (changed.grad[:, 1][target == 255] == 0).all()
    assert (changed.grad[:, 1][target != 255] != 0).any()


def test_half_precision_maps_have_the_loss_of_full_precision():
    logits, target = logits_of().half(), targets()
    expected = pixel_intensity_loss(logits.float(), target)
    torch.testing.assert_close(pixel_intensity_loss(logits, target), expected)


@pytest.mark.parametrize("size", [(9, 12), (2, 7), (31, 2)])
def test_the_edge_is_where_numpys_gradient_is_not_zero(size: tuple[int, int]):
    target = targets(1, *size, void=False)
    down, across = np.gradient((target[0] == 1).numpy().astype(int))
    expected = torch.from_numpy((down**2 + across**2 != 0).astype(int))
    assert torch.equal(edge_target(target)[0], expected)


def test_void_stays_void_in_the_edge_and_the_object_keeps_its_outline_beside_it():
    target = torch.tensor([[[0, 0, 255, 1, 1, 1]]]).expand(1, 3, 6)
    assert edge_target(target)[0].tolist() == [[0, 0, 255, 1, 0, 0]] * 3


@pytest.mark.parametrize("value", [0, 1])
def test_an_empty_and_a_full_mask_have_no_edge(value: int):
    assert (edge_target(torch.full((2, 6, 6), value)) == 0).all()
