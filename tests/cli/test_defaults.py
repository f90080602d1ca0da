"""What is not named is the embedded default of its task, and one line says so."""

from pathlib import Path

import pytest

from project.cli.defaults import completed, completed_training
from project.core.errors import InputError
from tests.processes import ROOT

SHAPES = {
    task: [f"data/shapes_{task}", f"victims/shapes_{victims}", f"attacks/{attacks}"]
    for task, victims, attacks in (
        ("classification", "classifiers", "shapes_classification"),
        ("segmentation", "segmenters", "segmentation"),
    )
}
LIMIT = "--data.limit=24"


def config(name: str) -> str:
    return f"--config={ROOT / 'configs' / name}.yaml"


def added(args: list[str]) -> list[list[str]]:
    """Return what stands before the given arguments, with configs by their names."""
    lines = completed(args)
    assert all(line[len(line) - len(args) :] == args for line in lines)
    return [
        [
            argument.removeprefix(f"--config={ROOT / 'configs'}/").removesuffix(".yaml")
            for argument in line[: len(line) - len(args)]
        ]
        for line in lines
    ]


@pytest.fixture(autouse=True)
def here(monkeypatch):
    monkeypatch.chdir(ROOT)


@pytest.mark.parametrize(
    ("args", "task", "parts"),
    [
        ([config("attacks/pgd")], "classification", "dv"),
        (["--config", "configs/attacks/pgd.yaml"], "classification", "dv"),
        (["-c", "configs/attacks/auto_attack.yaml"], "classification", "dv"),
        ([config("attacks/segpgd")], "segmentation", "dv"),
        ([config("attacks/sea"), "--trainer.devices=2"], "segmentation", "dv"),
        (["--attack.attacks.a=TranSegPGD"], "segmentation", "dv"),
        (["--attack.attacks={a: TranSegPGD}"], "segmentation", "dv"),
        (["--attack.attacks", "{a: {class_path: PGD}}"], "classification", "dv"),
        ([config("victims/shapes_segmenters")], "segmentation", "da"),
        ([config("victims/shapes_classifiers")], "classification", "da"),
        ([config("data/shapes_segmentation")], "segmentation", "va"),
        (["--data=ShapesData", "--data.task=segmentation"], "segmentation", "va"),
        (["--data=ShapesData"], "classification", "va"),
        ([config("victims/shapes_segmenters"), config("attacks/pgd")], "segmentation", "d"),
        ([config("data/camvid"), config("victims/camvid")], "segmentation", "a"),
        ([config("data/imagenet"), config("victims/imagenet_local")], "classification", "a"),
        ([config("data/shapes_segmentation"), config("attacks/pgd")], "segmentation", "v"),
    ],
)
def test_what_is_not_named_is_the_default_of_the_task(args, task, parts, capsys):
    limit = [LIMIT] if "d" in parts else []
    wanted = [name for name in SHAPES[task] if name[0] in parts]
    # The embedded victims know the embedded data as their config draws them.
    drawn = [name for name in SHAPES[task] if name[0] == "d" and "v" in parts and "d" not in parts]
    assert added(args) == [drawn + wanted + limit]
    (said,) = capsys.readouterr().out.splitlines()
    assert f"not named, so the embedded default for {task}: " in said
    assert all(f"configs/{name}.yaml" in said for name in wanted)


def test_what_is_named_wholly_is_left_as_it_is(capsys):
    args = [config(name) for name in SHAPES["segmentation"]]
    assert completed(args) == [args]
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("args", [[], [config("acceleration/bfloat16")], ["--estimate.only=true"]])
def test_settings_alone_are_of_both_tasks(args):
    first, second = added(args)
    assert first[:3] == SHAPES["classification"]
    assert second[:3] == SHAPES["segmentation"]
    assert LIMIT in first
    assert "--run.folder=runs/shapes_segmentation" in second


def test_number_of_samples_that_is_given_is_not_limited():
    first, second = added(["--data.num_test", "4000"])
    assert LIMIT not in first + second
    (one,) = added([config("attacks/pgd"), "--data.num_test=4000"])
    assert LIMIT not in one


def test_one_folder_given_for_both_tasks_loses_neither():
    lines = completed(["--run.folder=mine"])
    assert [line[-1] for line in lines] == [
        "--run.folder=mine_classification",
        "--run.folder=mine_segmentation",
    ]


def test_data_that_the_embedded_victims_do_not_know_need_victims():
    with pytest.raises(InputError, match="victims must be named for CamVidData"):
        completed([config("data/camvid"), config("attacks/segpgd")])


def test_help_and_files_that_are_not_there_are_left_to_the_parser(tmp_path: Path):
    assert completed(["--help"]) == [["--help"]]
    assert completed(["--data.help=ShapesData"]) == [["--data.help=ShapesData"]]
    assert len(completed([f"--config={tmp_path / 'none.yaml'}"])) == 2


@pytest.mark.parametrize(
    ("args", "name"),
    [
        (["fit"], "train/shapes_resnet10t"),
        (["fit", "--trainer.max_epochs=1"], "train/shapes_resnet10t"),
        (["fit", "--data.task=segmentation"], "train/shapes_fpn"),
        (["fit", "--data.task", "segmentation", "--seed_everything=1"], "train/shapes_fpn"),
    ],
)
def test_a_training_that_names_nothing_is_an_embedded_one(args, name, capsys):
    assert completed_training(args) == ["fit", config(name), *args[1:]]
    assert f"configs/{name}.yaml" in capsys.readouterr().out


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["fit", "--help"],
        ["fit", "--config", "mine.yaml"],
        ["fit", "--model=ClassifierTraining"],
        ["fit", "--data.root=photos"],
        ["fit", "--data.task=detection"],
        ["test", "--ckpt_path=a.ckpt"],
    ],
)
def test_other_trainings_are_left_as_they_are(args, capsys):
    assert completed_training(args) == args
    assert not capsys.readouterr().out
