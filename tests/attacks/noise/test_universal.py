"""The same noise on every image, and what is said of files that do not fit."""

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from jsonargparse import ArgumentParser

import project.cli.base  # noqa: F401 - knows fractions and short class names
from project.attacks import Universal
from project.callbacks import AttackCallback
from project.core.errors import InputError
from project.core.identity import describe, digest
from project.victims import WeightsError
from tests.attacks.fitted import universal_file
from tests.models import CurvedClassifier, CurvedSegmenter, eight_bit_images, predicted

CONFIGS = Path(__file__).parents[3] / "configs"
EPS = 8 / 255


def saved(path: Path) -> torch.Tensor:
    return torch.load(path, weights_only=True)["state_dict"]["perturbation"]


def test_every_image_gets_the_same_noise_cut_to_the_range(tmp_path: Path):
    path = universal_file(EPS, folder=tmp_path)
    images = eight_bit_images(3)
    images[0] = 1.0
    images[1] = 0.0
    victim = CurvedClassifier()
    result = Universal(path, EPS).run(victim, images, predicted(victim, images))
    expected = (images + saved(path)).clamp(0, 1)
    torch.testing.assert_close(result.float_images, expected)
    torch.testing.assert_close(result.images, expected, rtol=0, atol=1e-6)
    torch.testing.assert_close(result.perturbation, expected - images)
    assert result.steps.tolist() == [0, 0, 0]


@pytest.mark.parametrize("eps", [EPS, 0.03, 0.5 / 255])
def test_8_bit_images_stay_inside_a_budget_that_no_8_bit_value_meets(tmp_path: Path, eps: float):
    images = eight_bit_images(3)
    victim = CurvedClassifier()
    found = Universal(universal_file(eps, folder=tmp_path), eps)(
        victim, images, predicted(victim, images)
    )
    assert torch.equal(found, (found * 255).round() / 255)
    change = (found - images).double().abs().amax()
    assert change <= eps + 1e-6
    assert change >= eps - 1 / 255


def test_a_larger_budget_leaves_the_perturbation_as_it_is(tmp_path: Path):
    path, images = universal_file(EPS, folder=tmp_path), eight_bit_images(2)
    victim = CurvedSegmenter()
    target = predicted(victim, images)
    wide = Universal(path, 16 / 255)(victim, images, target)
    assert torch.equal(wide, Universal(path, EPS)(victim, images, target))


def test_a_perturbation_larger_than_the_budget_is_refused(tmp_path: Path):
    path = universal_file(16 / 255, folder=tmp_path)
    with pytest.raises(InputError, match=r"fit into eps 0\.03137, got one of 0\.06275.*\(16/255\)"):
        Universal(path, EPS)


def test_a_missing_file_names_the_command_that_makes_it(tmp_path: Path):
    with pytest.raises(
        WeightsError, match=r"nothing there.*train\.py fit --config configs/train/un"
    ):
        Universal(tmp_path / "none.ckpt")
    assert (CONFIGS / "train" / "universal_shapes.yaml").is_file()


def test_a_file_of_something_else_is_refused(tmp_path: Path):
    torch.save({"state_dict": {"victim.weight": torch.ones(3)}}, tmp_path / "victim.ckpt")
    with pytest.raises(
        WeightsError, match=r"must hold a 'perturbation' \(1, C, H, W\), got victim"
    ):
        Universal(tmp_path / "victim.ckpt")


def test_images_of_another_size_are_refused_with_both_sizes(tmp_path: Path):
    attack = Universal(universal_file(size=(10, 20), folder=tmp_path))
    victim, images = CurvedSegmenter(), eight_bit_images(2)
    with pytest.raises(InputError, match=r"width \(3, 12, 16\), got \(3, 10, 20\).*size '\[12, 16"):
        attack(victim, images, predicted(victim, images))


def test_description_changes_with_the_content_of_the_file(tmp_path: Path):
    path = universal_file(EPS, folder=tmp_path)
    first = digest(describe(Universal(path)))
    assert digest(describe(Universal(path))) == first
    torch.save({"state_dict": {"perturbation": saved(path).flip(3)}}, path)
    assert digest(describe(Universal(path))) != first


def test_config_applies_what_its_recipe_fits(tmp_path: Path):
    text = (CONFIGS / "attacks" / "universal.yaml").read_text()
    content: dict[str, Any] = yaml.safe_load(text)
    checkpoint, recipe = content["train_missing"][-1].popitem()
    saving = yaml.safe_load((CONFIGS.parent / recipe).read_text())["trainer"]["callbacks"][-1]
    folder, name = (saving["init_args"][key] for key in ("dirpath", "filename"))
    assert checkpoint == f"{folder}/{name}.ckpt"
    path = tmp_path / "universal.yaml"
    path.write_text(text.replace(checkpoint, str(universal_file(folder=tmp_path))))
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--config", action="config")
    parser.add_argument("--train_missing", type=list[dict[str, str]])
    parser.add_class_arguments(AttackCallback, "attack")
    built = parser.instantiate(parser.parse_args([f"--config={path}"])).attack.attacks
    assert {attack.eps for attack in built.values()} == {EPS}
