"""Scores from counts by class, against confusion matrices and sets of pixels."""

import math

import numpy as np
import pytest
import torch

from project.metrics import Confusion, class_counts
from project.metrics import mean_iou as confusion_miou
from project.statistics.miou import COLUMNS, NUMBERS, Cell, mean_iou, scores


def drawn(images=6, classes=5, void=0.2, seed=0):
    rng = np.random.default_rng(seed)
    target = rng.integers(0, classes, (images, 9, 11))
    target[rng.random(target.shape) < void] = 255
    prediction = rng.integers(0, classes, target.shape)
    return torch.from_numpy(prediction), torch.from_numpy(target)


@pytest.mark.parametrize("classes", [2, 7, 21, 150])
def test_miou_of_summed_counts_is_that_of_the_confusion_matrix_to_the_bit(classes):
    prediction, target = drawn(classes=classes)
    target[target == 1] = 0  # a class may be predicted and never labelled
    confusion = Confusion(classes)
    confusion.update(prediction, target)
    counts = class_counts(prediction, target, classes).numpy()
    assert float(mean_iou(counts.sum(0))) == confusion_miou(confusion.compute())
    resampled = np.stack([counts.sum(0)] * 3).astype(np.float64)
    assert set(mean_iou(resampled).tolist()) == {confusion_miou(confusion.compute())}


def test_the_order_of_counts_in_memory_changes_no_bit():
    counts = np.random.default_rng(0).integers(1, 1000, (300, 3, 150))
    counts[:, 1:] += counts[:, :1]
    assert np.array_equal(mean_iou(np.asfortranarray(counts)), mean_iou(counts))


def test_counts_of_a_hand_computed_image():
    target = torch.tensor([[[0, 0, 1], [1, 1, 255]]])
    prediction = torch.tensor([[[0, 1, 1], [1, 2, 2]]])
    found = class_counts(prediction, target, 4)
    assert found.tolist() == [[[1, 2, 0, 0], [1, 3, 1, 0], [2, 3, 0, 0]]]
    assert mean_iou(found.numpy()).tolist() == [pytest.approx((1 / 2 + 2 / 4 + 0 / 1) / 3)]


def test_counts_are_each_images_own_and_void_is_in_none():
    prediction, target = drawn()
    target[2] = 255
    whole = class_counts(prediction, target, 5)
    alone = [class_counts(p[None], t[None], 5) for p, t in zip(prediction, target, strict=True)]
    assert torch.equal(whole, torch.cat(alone))
    assert whole[2].sum() == 0
    assert whole[:, 2].sum(1).tolist() == (target != 255).sum((1, 2)).tolist()
    assert whole[:, 1].sum(1).tolist() == whole[:, 2].sum(1).tolist()


def test_a_label_that_is_no_class_is_refused():
    prediction, target = drawn()
    target[0, 0, 0] = 5
    with pytest.raises(ValueError, match=r"labels must lie in 0 … 4 .* got 0 … 5"):
        class_counts(prediction, target, 5)


def test_classes_of_no_union_are_left_out_and_nothing_valid_is_no_score():
    counts = np.array([[3, 0, 0], [4, 0, 0], [5, 0, 0]])
    assert mean_iou(counts) == 3 / 6
    assert math.isnan(mean_iou(np.zeros((3, 3), dtype=int)))


def cell_of(prediction, clean, target):
    now, before = (class_counts(p, target, 5).numpy() for p in (prediction, clean))
    right = (clean == target) & (target != 255)
    counts = [*np.moveaxis(now, 1, 0), *np.moveaxis(before, 1, 0)]
    numbers = {
        "index": np.arange(5, 11),
        "fooled_pixels": (right & (prediction != target)).sum((1, 2)).numpy(),
        "judged_pixels": right.sum((1, 2)).numpy(),
        **dict(zip(COLUMNS, counts, strict=True)),
    }
    assert set(numbers) == set(NUMBERS)
    return Cell.of(numbers)


def test_scores_are_those_of_sets_of_pixels():
    prediction, target = drawn()
    clean = drawn(seed=1)[0]
    clean[target != 255] = torch.where(clean > 2, target, clean)[target != 255]
    cell = cell_of(prediction, clean, target)
    assert cell.index.tolist() == list(range(5, 11))
    valid, now = target != 255, scores(cell.columns.sum(0))
    right, right_now = valid & (clean == target), valid & (prediction == target)
    pixels = [int(x.sum()) for x in (valid, right, right_now, right & ~right_now)]
    assert now.pixel_accuracy == pixels[2] / pixels[0]
    assert now.clean_pixel_accuracy == pixels[1] / pixels[0]
    assert now.fooled_pixels == pixels[3] / pixels[1]
    assert now.miou_drop == now.clean_miou - now.miou > 0
    unchanged = scores(cell_of(clean, clean, target).columns.sum(0))
    assert unchanged.miou == unchanged.clean_miou == now.clean_miou
    assert unchanged.fooled_pixels == 0
