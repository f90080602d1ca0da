"""The training command line: fractions are numbers, a run leaves a checkpoint victims can load."""

import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from jsonargparse import ArgumentParser

from project.cli import train_main
from project.cli.base import MirageCLI
from project.core.errors import InputError
from project.victims import SmpVictim, TimmVictim
from tests.models import eight_bit_images
from tests.processes import ROOT, script, start, status

RECIPES = sorted((ROOT / "configs" / "train").glob("*.yaml"))
CLASSIFIER = (
    "{class_path: TimmVictim, init_args: {architecture: resnet10t, num_classes: 6, "
    "model_args: {channels: [8, 8, 8, 8], stem_width: 8}}}"
)

pytestmark = [
    # Lightning calls what jsonargparse has renamed
    pytest.mark.filterwarnings("ignore::jsonargparse._deprecated.JsonargparseDeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.. is deprecated.*"),
    pytest.mark.filterwarnings("ignore:.*is smaller than the logging interval.*"),
    pytest.mark.filterwarnings("ignore:Experiment logs directory .* exists and is not empty.*"),
    pytest.mark.filterwarnings("ignore:.*Checkpoint directory .* exists and is not empty.*"),
]


class Knobs:
    def __init__(
        self,
        eps: float = 1.0,
        maybe: float | None = None,
        span: tuple[float, float] = (0.0, 1.0),
        named: dict[str, float] | None = None,
        free: dict[str, Any] | None = None,
        path: str = "",
        count: int = 1,
    ) -> None: ...


def parse(*arguments: str) -> Any:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--config", action="config")
    parser.add_subclass_arguments(Knobs, "knobs")
    return parser.parse_args(["--knobs=Knobs", *arguments]).knobs.init_args


def test_fractions_on_the_command_line_are_numbers_wherever_a_number_is_meant():
    knobs = parse(
        "--knobs.eps=8/255",
        "--knobs.maybe=-2.5/255",
        "--knobs.span=[1/4, 1/2]",
        "--knobs.named={a: 1/8}",
        "--knobs.free={b: 3/4}",
    )
    assert knobs.eps == 8 / 255
    assert knobs.maybe == -2.5 / 255
    assert knobs.span == (1 / 4, 1 / 2)
    assert knobs.named == {"a": 1 / 8}
    assert knobs.free == {"b": 3 / 4}


def test_fractions_in_yaml_are_numbers(tmp_path: Path):
    (tmp_path / "knobs.yaml").write_text(
        "knobs: {class_path: Knobs, init_args: {eps: 8/255, span: [0, 1/2], free: {a: [2/255]}}}"
    )
    knobs = parse(f"--config={tmp_path / 'knobs.yaml'}")
    assert knobs.eps == 8 / 255
    assert knobs.span == (0, 0.5)
    assert knobs.free == {"a": [2 / 255]}


@pytest.mark.parametrize("path", ["a/b", "2024/runs", "8/255", "1/2/3", "/4", "./1/2"])
def test_paths_stay_text(path: str):
    assert parse(f"--knobs.path={path}").path == path


def test_paths_in_untyped_places_stay_text():
    assert parse("--knobs.free={p: a/b, q: 1/2/3, r: 7/c}").free == {
        "p": "a/b",
        "q": "1/2/3",
        "r": "7/c",
    }


@pytest.mark.parametrize("value", ["1/0", "8/", "a/255"])
def test_what_is_no_fraction_is_no_number(value: str):
    with pytest.raises(Exception, match="eps"):
        parse(f"--knobs.eps={value}")


def test_a_fraction_is_no_whole_number():
    with pytest.raises(Exception, match="count"):
        parse("--knobs.count=1/2")


@pytest.mark.parametrize("value", ["{a: 1, b: 2, 'a': 3}", "{b: [{a: 1, a: 1}]}"])
def test_key_that_is_there_twice_is_refused(tmp_path: Path, value: str):
    (tmp_path / "knobs.yaml").write_text(f"knobs:\n  free: {value}\n")
    for argument, line in ((f"--knobs.free={value}", 1), (f"--config={tmp_path}/knobs.yaml", 2)):
        with pytest.raises(
            Exception, match=f"there once, got 'a' for the second time in line {line}"
        ):
            parse(argument)


def test_what_is_merged_may_be_overridden_and_merged_again():
    value = "{x: {y: &y {<<: {a: 1}, a: 2}}, z: {<<: *y, a: 3}, w: *y}"
    assert parse(f"--knobs.free={value}").free == {
        "x": {"y": {"a": 2}},
        "z": {"a": 3},
        "w": {"a": 2},
    }


def command(folder: Path, task: str, model: str, victim: str) -> list[str]:
    return [
        "fit",
        "--data=ShapesData",
        f"--data.task={task}",
        "--data.size=32",
        "--data.num_train=24",
        "--data.num_val=6",
        "--data.batch_size=8",
        f"--model={model}",
        f"--model.victim={victim}",
        "--model.learning_rate=1/1000",
        "--trainer.max_epochs=1",
        "--trainer.accelerator=cpu",
        "--trainer.enable_progress_bar=false",
        "--trainer.enable_model_summary=false",
        f"--trainer.logger.save_dir={folder}",
        "--trainer.callbacks=ModelCheckpoint",
        f"--trainer.callbacks.dirpath={folder}",
        "--trainer.callbacks.filename=best",
        "--trainer.callbacks.enable_version_counter=false",
    ]


def same_layout(*victims: torch.nn.Module) -> None:
    """Training uses channels_last, which rounds differently."""
    for victim in victims:
        victim.to(memory_format=torch.contiguous_format)


def test_a_trained_classifier_loads_from_its_checkpoint_to_identical_logits(tmp_path: Path):
    arguments = command(tmp_path, "classification", "ClassifierTraining", CLASSIFIER)
    trainer = train_main(arguments)
    assert trainer.global_step == 3
    assert 0 <= trainer.callback_metrics["val/accuracy"] <= 1
    loaded = TimmVictim(
        "resnet10t",
        num_classes=6,
        checkpoint=tmp_path / "best.ckpt",
        model_args={"channels": [8, 8, 8, 8], "stem_width": 8},
    ).eval()
    trained = trainer.lightning_module.victim.eval()
    assert loaded.fingerprint() == trained.fingerprint()
    same_layout(loaded, trained)
    images = eight_bit_images(3, 32, 32)
    assert torch.equal(loaded(images), trained(images))


def test_a_second_run_into_the_same_folder_overwrites_instead_of_failing(tmp_path: Path):
    victim = (
        "{class_path: SmpVictim, init_args: {architecture: FPN, encoder: tu-test_efficientnet, "
        "num_classes: 7}}"
    )
    arguments = command(tmp_path, "segmentation", "SegmenterTraining", victim)
    arguments += ["--trainer.logger.name=", "--trainer.logger.version="]
    for _ in range(2):
        trainer = train_main(arguments)
    assert (tmp_path / "config.yaml").is_file()
    loaded = SmpVictim("FPN", "tu-test_efficientnet", 7, checkpoint=tmp_path / "best.ckpt").eval()
    trained = trainer.lightning_module.victim.eval()
    same_layout(loaded, trained)
    images = eight_bit_images(1, 32, 32)
    assert torch.equal(loaded(images), trained(images))


def test_a_training_that_sigterm_ends_says_so_by_its_status(tmp_path: Path):
    arguments = command(tmp_path, "classification", "ClassifierTraining", CLASSIFIER)
    arguments.append("--trainer.callbacks+=tests.training.terminated.Terminated")
    process = start(script, str(ROOT / "train.py"), *arguments)
    assert status(process) == 128 + signal.SIGTERM
    assert not (tmp_path / "best.ckpt").exists()


@pytest.mark.parametrize(
    ("task", "classes", "message"),
    [
        ("classification", 5, "the victim must have the data's 6 classes, but has 5"),
        ("segmentation", 6, "the victim must do segmentation, as the data does, but does class"),
    ],
)
def test_a_victim_that_does_not_suit_the_data_is_refused_at_once(
    task: str, classes: int, message: str, tmp_path: Path
):
    victim = CLASSIFIER.replace("num_classes: 6", f"num_classes: {classes}")
    with pytest.raises(InputError, match=message):
        train_main(command(tmp_path, task, "ClassifierTraining", victim))


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path):
    arguments = command(tmp_path, "classification", "ClassifierTraining", CLASSIFIER)
    with pytest.raises(InputError, match=r"whole file .* got .*README\.md \(Unsupported"):
        train_main([*arguments, f"--ckpt_path={ROOT / 'README.md'}"])


def test_victims_are_fitted_validated_and_tested():
    assert set(MirageCLI.subcommands()) == {"fit", "validate", "test"}


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_every_training_recipe_parses(recipe: Path):
    with pytest.raises(SystemExit) as left:
        train_main(["fit", "--config", str(recipe), "--print_config"])
    assert left.value.code == 0
