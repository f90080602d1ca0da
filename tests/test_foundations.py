"""Randomness, descriptions, rounding and losses."""

import numpy as np
import pytest
import torch
from torch import nn

from project.attacks import PGD, SSTA, Momentum
from project.core import randomness
from project.core.identity import describe, digest, weights_hash
from project.core.losses import (
    cross_entropy,
    kl_divergence,
    margin,
    mean_over_valid,
    predicted_classes,
    valid_elements,
)
from project.images.eight_bit import to_8bit


def test_every_part_of_the_key_changes_the_draw():
    index = torch.tensor([3])
    draws = [
        randomness.uniform((4,), index, 0, "a").tolist(),
        randomness.uniform((4,), index, 1, "a").tolist(),
        randomness.uniform((4,), index, 0, "b").tolist(),
        randomness.uniform((4,), index, 0, "a", 1).tolist(),
        randomness.uniform((4,), torch.tensor([4]), 0, "a").tolist(),
    ]
    assert len({tuple(draw[0]) for draw in draws}) == len(draws)


def test_draws_follow_their_distributions():
    index = torch.arange(4)
    uniform = randomness.uniform((5000,), index, "u")
    normal = randomness.normal((5000,), index, "n")
    assert uniform.min() >= 0
    assert uniform.max() < 1
    assert uniform.mean().item() == pytest.approx(0.5, abs=0.02)
    assert normal.std().item() == pytest.approx(1, abs=0.02)


def test_rounding_gives_what_a_file_gives_back():
    values = torch.linspace(0, 1, 1001)
    as_file = torch.from_numpy(np.rint(values.numpy() * 255).astype(np.uint8)).float().div(255)
    assert torch.equal(to_8bit(values), as_file)


def test_description_says_class_and_arguments_to_any_depth():
    described = describe(PGD(eps=0.1, rules=[Momentum(0.9)]))
    assert described["class"] == "project.attacks.noise.pgd.PGD"
    assert described["eps"] == 0.1
    assert described["rules"] == [
        {"class": "project.attacks.gradient.rules.momentum.Momentum", "decay": 0.9}
    ]


def test_digest_changes_with_any_argument():
    assert digest(describe(SSTA())) == digest(describe(SSTA()))
    assert digest(describe(SSTA())) != digest(describe(SSTA(seed=1)))
    assert digest(describe(SSTA())) != digest(describe(SSTA(profile="released")))


def test_object_that_forgets_an_argument_cannot_be_described():
    class Forgetful:
        def __init__(self, size: int) -> None:
            self.length = size

    with pytest.raises(TypeError, match="'size' as an attribute"):
        describe(Forgetful(3))


def test_weights_hash_sees_every_parameter_and_buffer():
    network = nn.Sequential(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2))
    before = weights_hash(network)
    assert weights_hash(network) == before
    network[1].running_mean[1] += 1e-6
    assert weights_hash(network) != before


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


def test_weights_hash_tells_which_layer_holds_the_weights():
    first, second = nn.Module(), nn.Module()
    first.left = second.right = nn.Parameter(torch.ones(2))
    assert weights_hash(first) != weights_hash(second)


def test_rounding_clips_to_the_range_of_an_image():
    assert to_8bit(torch.tensor([-0.1, 1.1])).tolist() == [0.0, 1.0]


def test_nameless_functions_cannot_be_described():
    with pytest.raises(TypeError, match="at module level"):
        describe(SSTA(lambda images: images[:, :1]))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_rounding_on_a_gpu_is_that_on_a_cpu_bit_for_bit():
    values = torch.linspace(0, 1, 10_001)
    assert torch.equal(to_8bit(values.cuda()).cpu(), to_8bit(values))
