"""Victims that are trained on first use."""

import os
from functools import partial
from pathlib import Path

import pytest
import torch
import yaml

from project.cli import first_use, train_main
from project.cli.first_use import make, train_together
from project.core.errors import InputError
from project.training.finished import recipe_of, why_unfinished
from tests.campaign.doomed import Steps, forked

EPOCHS = 2
RECIPE = {"data": {"seed": 0}, "model": {"checkpoint": "start.ckpt"}}


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A folder with a recipe, whose training writes a better checkpoint after each epoch."""
    monkeypatch.chdir(tmp_path)
    write_recipe(RECIPE)
    Path("start.ckpt").write_bytes(b"the weights to start from")
    monkeypatch.setattr(first_use, "trained_into", trained_into)
    return tmp_path


def write_recipe(content: dict) -> None:
    Path("recipe.yaml").write_text(yaml.safe_dump(content))


def trained_into(folder: Path, checkpoint: Path, config: str) -> None:
    seed = yaml.safe_load(Path(config).read_text())["data"]["seed"]
    for epoch in range(EPOCHS):
        state = {"weight": torch.tensor([seed, epoch])}
        torch.save(
            {"state_dict": state, "pytorch-lightning_version": "2"}, folder / checkpoint.name
        )


def made() -> None:
    make(Path("victims/made.ckpt"), "recipe.yaml")


def unfinished(path: str = "victims/made.ckpt") -> str:
    return why_unfinished(Path(path), recipe_of(["fit", "--config", "recipe.yaml"]))


def weight(path: str = "victims/made.ckpt") -> list[int]:
    return torch.load(path, weights_only=True)["state_dict"]["weight"].tolist()


def until(step: int, where: str) -> None:
    """Make the checkpoint in a process that ends at a step of writing; write down their number."""

    def work() -> None:
        steps = Steps(Path(), step, where).watch()
        made()
        (Path.cwd().parent / "steps.txt").write_text(str(steps.count))

    os.waitpid(forked(work, Path.cwd(), Path.cwd().parent / "said.txt"), 0)


def test_a_victim_killed_at_any_step_of_writing_never_passes_for_finished(folder, monkeypatch):
    until(0, "before")
    whole = Path("victims/made.ckpt").read_bytes()
    count = int((folder.parent / "steps.txt").read_text())
    assert count >= EPOCHS + 4
    assert weight() == [0, EPOCHS - 1]
    half_made = 0
    for where in ("before", "middle"):
        for step in range(1, count + 1):
            here = folder / f"{where}-{step}"
            here.mkdir()
            monkeypatch.chdir(here)
            write_recipe(RECIPE)
            Path("start.ckpt").write_bytes(b"the weights to start from")
            until(step, where)
            path = Path("victims/made.ckpt")
            half_made += bool(unfinished())
            assert unfinished() or path.read_bytes() == whole, (where, step)
            until(0, "before")
            assert path.read_bytes() == whole, (where, step)
            assert [one.name for one in path.parent.glob("[!.]*")] == ["made.ckpt"]
    assert half_made > count


def test_what_is_finished_is_not_trained_again(folder, monkeypatch):
    made()
    monkeypatch.setattr(first_use, "trained_into", lambda *given: pytest.fail("trained again"))
    made()


@pytest.mark.parametrize("change", ["recipe", "weights to start from", "version"])
def test_another_recipe_trains_anew_and_keeps_the_old_one(folder, monkeypatch, change):
    made()
    assert not unfinished()
    if change == "recipe":
        write_recipe(RECIPE | {"data": {"seed": 7}})
    elif change == "version":
        monkeypatch.setattr("project.training.finished.TRAINING_VERSION", 99)
    else:
        Path("start.ckpt").write_bytes(b"others")
    assert "another recipe" in unfinished()
    made()
    assert not unfinished()
    assert weight() == [7 if change == "recipe" else 0, EPOCHS - 1]
    assert weight("victims/made.replaced.ckpt") == [0, EPOCHS - 1]


def test_the_checkpoint_of_a_killed_training_of_an_older_version_is_made_anew(folder):
    Path("victims").mkdir()
    trained_into(Path("victims"), Path("made.ckpt"), "recipe.yaml")
    assert "does not say that its training has ended" in unfinished()
    Path("victims/made.ckpt").write_bytes(b"half")
    assert "cannot be read" in unfinished()
    made()
    assert not unfinished()


def test_weights_from_elsewhere_are_taken_as_they_are(folder):
    torch.save({"weight": torch.zeros(2)}, "own.ckpt")
    assert not unfinished("own.ckpt")


def test_a_config_that_makes_another_file_says_so(folder, monkeypatch):
    monkeypatch.setattr(first_use, "trained_into", lambda *given: None)
    with pytest.raises(ValueError, match=r"recipe\.yaml must make victims.made\.ckpt, but its"):
        made()


@pytest.mark.slow
def test_failing_training_ends_the_experiment_with_what_it_said(tmp_path):
    config = tmp_path / "broken.yaml"
    config.write_text("model: {class_path: NoSuchTraining}\n")
    made = tmp_path / "made.ckpt"
    with pytest.raises(InputError, match=r"(?s)training .*made\.ckpt failed:.*NoSuchTraining"):
        train_together({str(made): str(config)})


def test_nothing_missing_trains_nothing():
    train_together({})


TINY = {
    "seed_everything": 0,
    "model": {
        "class_path": "ClassifierTraining",
        "init_args": {
            "victim": {
                "class_path": "TimmVictim",
                "init_args": {"architecture": "test_resnet", "num_classes": 6},
            }
        },
    },
    "data": {
        "class_path": "ShapesData",
        "init_args": {"size": 32, "num_train": 8, "num_val": 4, "batch_size": 4},
    },
    "trainer": {
        "max_epochs": 1,
        "accelerator": "cpu",
        "devices": 1,
        "log_every_n_steps": 1,
        "callbacks": [
            {
                "class_path": "ModelCheckpoint",
                "init_args": {
                    "dirpath": "victims",
                    "filename": "tiny",
                    "monitor": "val/accuracy",
                    "enable_version_counter": False,
                    "save_weights_only": True,
                },
            }
        ],
    },
}


@pytest.mark.filterwarnings("ignore:.*does not have many workers.*")
@pytest.mark.filterwarnings("ignore::jsonargparse._deprecated.JsonargparseDeprecationWarning")
@pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.. is deprecated.*")
def test_what_train_py_has_trained_by_the_same_recipe_is_finished_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("tiny.yaml").write_text(yaml.safe_dump(TINY))
    train_main(["fit", "--config=tiny.yaml", "--trainer.enable_progress_bar", "false"])
    finished = partial(why_unfinished, Path("victims/tiny.ckpt"))
    assert not finished(recipe_of(["fit", "--config", "tiny.yaml"]))
    assert finished(recipe_of(["fit", "--config", "tiny.yaml", "--trainer.max_epochs=2"]))


@pytest.mark.slow
def test_a_victim_is_trained_in_a_process_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("tiny.yaml").write_text(yaml.safe_dump(TINY))
    train_together({"victims/tiny.ckpt": "tiny.yaml"})
    recipe = recipe_of(["fit", "--config", "tiny.yaml"])
    assert not why_unfinished(Path("victims/tiny.ckpt"), recipe)
