"""Networks of RobustBench, with weights where its own loader looks for them."""

import time
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch

from project.core.errors import InputError
from project.core.identity import describe, digest
from project.victims import RobustBenchVictim, WeightsError, check_victim
from tests.models import eight_bit_images
from tests.victims.networks import settled

NAME = "Ding2020MMA"  # the smallest


@pytest.fixture
def zoo() -> Any:
    if find_spec("robustbench") is None:
        pytest.skip("needs the package robustbench, without its dependencies")
    with pytest.raises(InputError, match="name must be one of"):
        RobustBenchVictim("nobody")
    return import_module("robustbench.model_zoo.cifar10")


def put(zoo: Any, folder: Path) -> Any:
    torch.manual_seed(0)
    network = settled(zoo.linf[NAME]["model"]())
    place = folder / "cifar10" / "Linf"
    place.mkdir(parents=True)
    torch.save({"state_dict": network.state_dict()}, place / f"{NAME}.pt")
    return network


def test_logits_are_those_of_the_published_network(zoo: Any, tmp_path: Path):
    network = put(zoo, tmp_path)
    victim = RobustBenchVictim(NAME, folder=tmp_path)
    images = eight_bit_images(2, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(victim(images), network(images))
    assert check_victim(NAME, victim, images, "classification", 10) == []
    before = digest(describe(victim))
    (tmp_path / "another.pt").write_bytes(b"of another network")
    assert digest(describe(RobustBenchVictim(NAME, folder=tmp_path))) == before


def test_without_a_network_the_place_of_the_file_is_told_in_seconds(
    zoo: Any, tmp_path: Path, no_network: Path
):
    began = time.monotonic()
    with pytest.raises(WeightsError, match=rf"put {NAME}.pt into '.*cifar10/Linf'"):
        RobustBenchVictim(NAME, folder=tmp_path)
    assert time.monotonic() - began < 20


def test_a_damaged_file_is_told(zoo: Any, tmp_path: Path):
    put(zoo, tmp_path)
    (tmp_path / "cifar10/Linf" / f"{NAME}.pt").write_bytes(b"damaged")
    with pytest.raises(WeightsError, match=r"could not be loaded .* fetch them anew"):
        RobustBenchVictim(NAME, folder=tmp_path)


def test_a_package_that_is_missing_is_named_with_its_command(monkeypatch: pytest.MonkeyPatch):
    if find_spec("robustbench") is not None:
        pytest.skip("it is installed")
    with pytest.raises(InputError, match=r"needs the package robustbench, .* pip install --no-de"):
        RobustBenchVictim(NAME)
