import math

import numpy as np
import pytest
import torch

from project.metrics import Confusion, class_iou, mean_iou, pixel_accuracy


def one_image(rows):
    return torch.tensor([rows])


def test_mean_iou_of_a_hand_computed_case():
    target = one_image([[0, 0, 1], [1, 1, 255]])
    prediction = one_image([[0, 1, 1], [1, 2, 2]])
    confusion = Confusion(4)
    confusion.update(prediction, target)
    counts = confusion.compute()
    # class 0: 1/2; class 1: 2/4; class 2: 0/1 (predicted once where valid); class 3 never occurs
    assert class_iou(counts)[:3].tolist() == [0.5, 0.5, 0.0]
    assert math.isnan(class_iou(counts)[3])
    assert mean_iou(counts) == pytest.approx(1 / 3)
    assert pixel_accuracy(counts) == 3 / 5


def test_rows_of_the_confusion_are_the_true_classes():
    confusion = Confusion(3)
    confusion.update(one_image([[2]]), one_image([[1]]))
    assert confusion.compute().tolist() == [[0, 0, 0], [0, 0, 1], [0, 0, 0]]


def test_void_pixels_never_count_whatever_is_predicted_there():
    target = torch.randint(0, 5, (2, 7, 9), generator=torch.Generator().manual_seed(0))
    target[:, ::2] = 255
    first = torch.randint(0, 5, target.shape, generator=torch.Generator().manual_seed(1))
    second = torch.where(target == 255, (first + 1) % 5, first)
    counts = []
    for prediction in (first, second):
        confusion = Confusion(5)
        confusion.update(prediction, target)
        counts.append(confusion.compute())
    assert torch.equal(*counts)
    assert int(counts[0].sum()) == int((target != 255).sum())


def test_logits_and_their_argmax_give_the_same_confusion():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 5, 6, 7, generator=generator)
    target = torch.randint(0, 5, (2, 6, 7), generator=generator)
    from_logits, from_classes = Confusion(5), Confusion(5)
    from_logits.update(logits, target)
    from_classes.update(logits.argmax(1), target)
    assert torch.equal(from_logits.compute(), from_classes.compute())


def test_mean_iou_equals_a_set_computation_over_the_whole_data_set():
    rng = np.random.default_rng(0)
    target = rng.integers(0, 6, (3, 11, 13))
    target[rng.random(target.shape) < 0.2] = 255
    prediction = rng.integers(0, 4, target.shape)
    confusion = Confusion(6)
    for t, p in zip(target, prediction, strict=True):
        confusion.update(torch.from_numpy(p)[None], torch.from_numpy(t)[None])
    valid = target != 255
    ious = []
    for k in range(6):
        union = valid & ((target == k) | (prediction == k))
        if union.any():
            ious.append((valid & (target == k) & (prediction == k)).sum() / union.sum())
    assert mean_iou(confusion.compute()) == pytest.approx(np.mean(ious), abs=1e-15)


def test_a_data_set_of_void_alone_has_no_score():
    confusion = Confusion(3)
    confusion.update(one_image([[0, 1]]), one_image([[255, 255]]))
    assert math.isnan(mean_iou(confusion.compute()))
    assert math.isnan(pixel_accuracy(confusion.compute()))


def test_a_label_that_is_no_class_is_refused():
    with pytest.raises(ValueError, match=r"labels must lie in 0 … 2 .* got 0 … 11"):
        Confusion(3).update(one_image([[0, 1]]), one_image([[0, 11]]))
    with pytest.raises(ValueError, match=r"predicted classes must lie in 0 … 2"):
        Confusion(3).update(one_image([[0, 3]]), one_image([[0, 1]]))
