"""The victims of the configs exist, and what a recipe trains is what an experiment builds."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonargparse import ArgumentParser

from project.core.errors import InputError
from project.victims import Victim
from tests.test_configs import of_checkpoints, parts

CONFIGS = Path(__file__).parents[2] / "configs"
FRAGMENTS = sorted((CONFIGS / "victims").glob("*.yaml"))
# Those of tracer train a saliency network and those of universal a perturbation: no victims. The
# last two go on top of a recipe.
OTHERS = {"duts_tracer", "shapes_tracer", "universal_camvid", "universal_shapes"}
OTHERS |= {"dashboard", "resumable", "wandb"}
RECIPES = sorted(path for path in (CONFIGS / "train").glob("*.yaml") if path.stem not in OTHERS)


def victims() -> dict[str, dict[str, Any]]:
    """Return every victim of the fragments, also those inside of others, by its checkpoint."""
    named = [
        victim
        for fragment in FRAGMENTS
        for victim in yaml.safe_load(fragment.read_text())["model"]["victims"].values()
    ]
    return {part["init_args"].get("checkpoint"): part for victim in named for part in parts(victim)}


@pytest.mark.parametrize("fragment", FRAGMENTS, ids=lambda path: path.stem)
def test_every_fragment_parses_into_victims(fragment: Path):
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--config", action="config")
    parser.add_argument("--model.victims", type=dict[str, Victim])
    parser.add_argument("--train_missing", type=list[dict[str, str]])
    parsed = parser.parse_args([f"--config={fragment}"])
    assert all(
        victim.class_path.startswith("project.victims.") for victim in parsed.model.victims.values()
    )


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_trains_a_victim_that_an_experiment_can_name(recipe: Path):
    content = yaml.safe_load(recipe.read_text())
    (saved,) = [
        callback["init_args"]
        for callback in content["trainer"]["callbacks"]
        if callback["class_path"] == "ModelCheckpoint"
    ]
    trained = content["model"]["init_args"]["victim"]
    for start in ("encoder_checkpoint", "pretrained"):
        trained["init_args"].pop(start, None)
    named = victims()[f"{saved['dirpath']}/{saved['filename']}.ckpt"]
    named["init_args"].pop("checkpoint")
    assert named == trained


@pytest.mark.parametrize("fragment", FRAGMENTS, ids=lambda path: path.stem)
def test_victims_that_are_trained_on_first_use_are_made_by_their_own_recipe(fragment: Path):
    stages = yaml.safe_load(fragment.read_text()).get("train_missing", [])
    for checkpoint, recipe in [entry for stage in stages for entry in stage.items()]:
        content = yaml.safe_load((CONFIGS.parent / recipe).read_text())
        saved = content["trainer"]["callbacks"][-1]["init_args"]
        assert checkpoint == f"{saved['dirpath']}/{saved['filename']}.ckpt"


@pytest.mark.parametrize(
    "fragment", [path for path in FRAGMENTS if of_checkpoints(path)], ids=lambda path: path.stem
)
def test_published_checkpoints_that_cannot_be_had_are_told_by_what_to_do(
    fragment: Path, no_network: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(no_network)
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--victim", type=Victim)
    for part in yaml.safe_load(fragment.read_text())["model"]["victims"].values():
        asked = parser.parse_object({"victim": part})
        with pytest.raises(InputError, match=r"Connect to the internet once, or put|pip install"):
            parser.instantiate(asked)
