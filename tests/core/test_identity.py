"""What an object is in plain data, and hashes of it."""

import pytest
import torch
from torch import nn

from project.attacks import PGD, SSTA, Momentum
from project.core.identity import describe, digest, weights_hash


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


def test_nameless_functions_cannot_be_described():
    with pytest.raises(TypeError, match="at module level"):
        describe(SSTA(lambda images: images[:, :1]))


def test_weights_hash_sees_every_parameter_and_buffer():
    network = nn.Sequential(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2))
    before = weights_hash(network)
    assert weights_hash(network) == before
    network[1].running_mean[1] += 1e-6
    assert weights_hash(network) != before


def test_weights_hash_tells_which_layer_holds_the_weights():
    first, second = nn.Module(), nn.Module()
    first.left = second.right = nn.Parameter(torch.ones(2))
    assert weights_hash(first) != weights_hash(second)
