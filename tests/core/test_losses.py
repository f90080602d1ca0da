"""Losses by element, void ones among them, and the predicted class."""

import pytest
import torch
from torch import nn

from project.core.answers import predicted_classes
from project.core.losses import (
    cross_entropy,
    kl_divergence,
    margin,
    mean_over_valid,
    valid_elements,
)


def test_class_255_of_a_classifier_is_no_void():
    logits = torch.randn(2, 300, generator=torch.Generator().manual_seed(0))
    target = torch.tensor([255, 7])
    assert valid_elements(target).all()
    expected = -logits.log_softmax(1)[torch.arange(2), target]
    torch.testing.assert_close(cross_entropy(logits, target), expected)
    assert (margin(logits, target) != 0).all()


def test_void_pixels_have_loss_0():
    logits = torch.randn(1, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    target = torch.tensor([[[255, 1], [2, 255]]])
    for loss in (cross_entropy(logits, target), margin(logits, target)):
        assert torch.equal(loss == 0, target == 255)


def test_mean_is_over_valid_elements_only():
    values = torch.tensor([[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [7.0, 8.0]]])
    valid = torch.tensor([[[True, False], [True, False]], [[False, False], [False, False]]])
    assert mean_over_valid(values, valid).tolist() == [2.0, 0.0]


def test_divergence_of_equal_logits_is_0_and_agrees_with_torch():
    generator = torch.Generator().manual_seed(0)
    first = torch.randn(2, 5, 3, 4, generator=generator, dtype=torch.float64)
    second = torch.randn(2, 5, 3, 4, generator=generator, dtype=torch.float64)
    assert torch.equal(kl_divergence(first, first), torch.zeros(2, 3, 4, dtype=torch.float64))
    expected = nn.functional.kl_div(
        second.log_softmax(1), first.log_softmax(1), reduction="none", log_target=True
    ).sum(1)
    torch.testing.assert_close(kl_divergence(first, second), expected)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(3, 5), (2, 7, 4, 6), (2, 1, 3, 3)])
def test_predicted_class_is_the_first_of_the_largest_logits(shape, dtype):
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(shape, generator=generator).to(dtype)
    coarse = logits.round()  # full of ties
    for values in (logits, coarse, torch.zeros_like(logits)):
        assert torch.equal(predicted_classes(values).long(), values.argmax(1))
