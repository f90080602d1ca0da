"""The configs that compare providers, with the victims and the files that they need."""

import pytest
import torch
from PIL import Image
from torch import nn

from project.attacks import SSTA
from project.saliency import TRACER, GradCAM, MaskFiles
from tests.models import eight_bit_images, predicted
from tests.saliency.test_providers import FakeSamples
from tests.test_configs import CONFIGS, attacks_of


class Small(nn.Module):
    """A classifier with spatial features."""

    num_classes = 4

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.conv = nn.Conv2d(3, 8, 3, stride=2, padding=1)
            self.head = nn.Linear(8, 4)

    def forward(self, images):
        return self.head(torch.sin(4 * self.conv(images)).mean((2, 3)))


def runs(attack: SSTA) -> None:
    victim, images = Small(), eight_bit_images(2)
    attack.attach(FakeSamples())
    attack.steps = 3
    result = attack.run(victim, images, predicted(victim, images))
    assert not torch.equal(result.images, images)


def test_config_of_providers_runs_a_batch():
    attacks = attacks_of(CONFIGS / "attacks/saliency.yaml")
    assert any(isinstance(attack.saliency, GradCAM) for attack in attacks.values())
    for attack in attacks.values():
        runs(attack)


def test_config_of_providers_with_files_finds_them(published, tmp_path, monkeypatch):
    for index in range(2):
        Image.new("L", (20, 20), 200).save(tmp_path / f"photo_{index}.png")
    monkeypatch.setenv("MIRAGE_SALIENCY", str(tmp_path))
    monkeypatch.setattr(FakeSamples, "align", lambda self, map_, index: torch.ones(1, 12, 16))
    attacks = attacks_of(CONFIGS / "attacks/saliency_tracer.yaml")
    assert isinstance(attacks["ssta_tracer"].saliency, TRACER)
    assert isinstance(attacks["ssta_mask_files"].saliency, MaskFiles)
    for attack in attacks.values():
        runs(attack)


@pytest.mark.parametrize("path", sorted((CONFIGS / "attacks").glob("saliency*.yaml")))
def test_config_begins_by_saying_what_it_is(path):
    assert path.read_text().startswith("# SSTA ")
