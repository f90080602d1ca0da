"""Networks of the user's own functions; what else a name may lead to is never called."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from project.core.errors import InputError
from project.core.identity import describe, digest
from project.victims import ImportedClassifier, ImportedSegmenter, check_victim
from tests.models import eight_bit_images

MINE = """
from pathlib import Path
import os
from os import getcwd
import torch
from torch import nn
from timm import create_model

def network(channels=4):
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, channels, 1))

def classifier() -> nn.Module:
    return nn.Sequential(network(), nn.AdaptiveAvgPool2d(1), nn.Flatten())

def needs(architecture):
    return network()

def text():
    return "network"

number = 5
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module of the user's own."""
    (tmp_path / "mine_of_victims.py").write_text(MINE)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("mine_of_victims", None)


MEAN, STD = (0.2, 0.4, 0.6), (0.1, 0.3, 0.5)


def test_logits_are_those_of_the_network_on_normalised_images(mine: None):
    import mine_of_victims

    images = eight_bit_images(2, 16, 24)
    inputs = (images - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    for kind, name in ((ImportedSegmenter, "network"), (ImportedClassifier, "classifier")):
        victim = kind(f"mine_of_victims:{name}", 4, mean=MEAN, std=STD)
        expected = getattr(mine_of_victims, name)()(inputs)
        torch.testing.assert_close(victim(images), expected)
        assert check_victim("it", victim, images, victim.task, 4) == []
        again = kind(f"mine_of_victims:{name}", 4, mean=MEAN, std=STD)
        assert digest(describe(victim)) == digest(describe(again))


def test_weights_may_come_from_a_file(mine: None, tmp_path: Path):
    first = ImportedSegmenter("mine_of_victims:network", 4)
    state = {key: value + 1 for key, value in first.network.state_dict().items()}
    torch.save(state, tmp_path / "it.pth")
    second = ImportedSegmenter("mine_of_victims:network", 4, checkpoint=tmp_path / "it.pth")
    assert torch.equal(second.network[0].weight, first.network[0].weight + 1)
    assert digest(describe(first)) != digest(describe(second))


def test_functions_of_libraries_that_say_so_make_networks():
    victim = ImportedClassifier("torchvision.models:squeezenet1_1", 1000)
    assert check_victim("it", victim, eight_bit_images(2, 64, 64), "classification", 1000) == []
    assert isinstance(ImportedClassifier("torch.nn:Flatten", 4).network, nn.Flatten)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("mine_of_victims.network", "must be module:function, such as"),
        ("mine_of_victims:inside.network", "must be module:function, such as"),
        ("mine_of_victims:networks", "must be there to be imported, but"),
        ("mine_of_victims:needs", "without arguments, but raised: needs.. missing 1"),
        ("mine_of_victims:text", "must return a module of torch, got a str"),
        ("mine_of_victims:number", "must be one, got a int"),
        ("mine_of_victims:getcwd", "must say that it returns a module of torch"),
        ("mine_of_victims:create_model", "must say that it returns|without arguments"),
        ("nowhere_at_all:network", "PYTHONPATH"),
        ("os:getcwd", "must be of a module of yours"),
        ("idlelib.__main__:main", "must be of a module of yours"),
        ("pytest.__main__:main", "must be of a module of yours"),
        ("project.cli.attack:attack_main", "must be of a module of yours"),
        ("lightning:Trainer", "must be of a module of yours"),
        ("torch.hub:get_dir", "must say that it returns a module of torch"),
    ],
)
def test_other_names_are_refused_in_a_line(mine: None, name: str, told: str):
    with pytest.raises(InputError, match=told):
        ImportedClassifier(name, 4)
