"""What an object is in plain data, and hashes of it."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from project.attacks import PGD, SSTA, Momentum, TranSegPGD
from project.attacks.noise import transegpgd
from project.core.identity import describe, digest, public_name, weights_hash
from project.data import ShapesData


def test_description_says_class_and_arguments_to_any_depth():
    described = describe(PGD(eps=0.1, rules=[Momentum(0.9)]))
    assert described["class"] == "project.attacks.PGD"
    assert described["eps"] == 0.1
    assert described["rules"] == [{"class": "project.attacks.Momentum", "decay": 0.9}]


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


def test_moving_a_class_to_another_file_keeps_its_key(monkeypatch):
    attack = PGD(eps=0.1, rules=[Momentum(0.9)])
    before = digest(describe(attack))
    monkeypatch.setattr(PGD, "__module__", "project.attacks.elsewhere.deep.down")
    monkeypatch.setattr(Momentum, "__module__", "project.attacks.parts")
    assert digest(describe(attack)) == before
    monkeypatch.setattr(Momentum, "__module__", "mine.attacks.parts")
    assert digest(describe(attack)) != before


def test_classes_from_elsewhere_are_known_by_where_they_are_found():
    assert public_name(nn.Conv2d) == "torch.nn.modules.conv.Conv2d"
    assert public_name(PGD) == "project.attacks.PGD"
    assert public_name(ShapesData) == "project.data.ShapesData"


def test_a_preset_whose_values_change_makes_another_key(monkeypatch):
    before = digest(describe(TranSegPGD(preset="tuned")))
    changed = replace(transegpgd.PRESETS["tuned"], gamma=0.4)
    monkeypatch.setitem(transegpgd.PRESETS, "tuned", changed)
    assert digest(describe(TranSegPGD(preset="tuned"))) != before
    assert digest(describe(TranSegPGD())) == digest(describe(TranSegPGD()))
