"""Victims that hide their gradients are told from an honest one by an experiment itself."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from project.attacks import FGSM, PGD, Square
from project.report.masking import read_findings
from project.victims import ClassificationVictim, Victim
from tests.experiment.scene import run, shapes, victim

EPS = 8 / 255


class Shattered(nn.Module):
    """A network behind images of eight levels, with a ripple whose gradient leads nowhere.

    Without the ripple the gradient would be zero, and the victim check would refuse it.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        levels = torch.round(images * 7) / 7 + 1e-3 * torch.sin(images * 5000)
        logits: Tensor = self.network(levels - 0.5)
        return logits


class Saturated(nn.Module):
    """A network so sure that the softmax of its logits is 1 and 0 in float32."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        return 1e4 * self.network(images - 0.5)


def hidden(kind: type[nn.Module]) -> Victim:
    honest = victim(seed=2)
    return ClassificationVictim(kind(honest.network), honest.num_classes)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    found = tmp_path_factory.mktemp("masking")
    victims = {"plain": victim(), "shattered": hidden(Shattered), "saturated": hidden(Saturated)}
    attacks = {
        "fgsm": FGSM(EPS),
        "pgd": PGD(EPS, 2 / 255, steps=10),
        "wide": PGD(2 * EPS, 4 / 255, steps=10),
        "unbounded": PGD(1.0, 1 / 4, steps=10),
        "square": Square(EPS, queries=40),
    }
    run(found, data=shapes(num_test=24), victims=victims, attacks=attacks)
    return found / "run"


def flagged(folder: Path, name: str) -> set[str]:
    found = [one for one in read_findings(folder) if one.victim == name]
    assert len(found) == 6
    return {one.check for one in found if one.verdict == "flagged"}


def test_an_honest_victim_is_not_flagged(folder):
    assert flagged(folder, "plain") == set()


def test_a_victim_behind_coarse_rounding_is_flagged(folder):
    assert "unbounded" in flagged(folder, "shattered")


def test_a_victim_with_a_saturated_softmax_is_flagged(folder):
    assert {"gradients", "unbounded"} <= flagged(folder, "saturated")


def test_the_terminal_warns_of_them(folder, tmp_path, capsys):
    run(tmp_path, victims={"q": hidden(Saturated)}, attacks={"pgd": PGD(EPS, 2 / 255, steps=2)})
    said = capsys.readouterr().out
    assert "warning: q may hide its gradients: gradients lead nowhere" in said
    assert "all zero in 100.0 % of pgd's steps" in said
