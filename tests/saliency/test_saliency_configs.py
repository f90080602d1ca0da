"""The configs that compare providers, with the victims and the files that they need."""

import pytest
import torch
from PIL import Image

from project.attacks import Attack
from project.saliency import TRACER, GradCAM, MaskFiles
from tests.models import SpatialClassifier, eight_bit_images, predicted
from tests.saliency.test_providers import FakeSamples
from tests.test_configs import CONFIGS, attacks_of, shortened


def runs(attack: Attack) -> None:
    victim, images = SpatialClassifier(), eight_bit_images(2)
    attack.attach(FakeSamples())
    result = shortened(attack).run(victim, images, predicted(victim, images))
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


def test_config_of_own_maps_finds_them(tmp_path, monkeypatch):
    for index in range(2):
        Image.new("L", (20, 20), 200).save(tmp_path / f"photo_{index}.png")
    monkeypatch.setenv("MIRAGE_SALIENCY", str(tmp_path))
    monkeypatch.setattr(FakeSamples, "align", lambda self, map_, index: torch.ones(1, 12, 16))
    for attack in attacks_of(CONFIGS / "attacks/ssta_maps.yaml").values():
        runs(attack)


@pytest.mark.parametrize("path", sorted((CONFIGS / "attacks").glob("saliency*.yaml")))
def test_config_begins_by_saying_what_it_is(path):
    assert path.read_text().startswith("# SSTA ")
