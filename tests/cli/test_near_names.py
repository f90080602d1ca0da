"""A mistake on the command line or in a config is told on one line, with what is near to it."""

import re
from pathlib import Path
from typing import Any

import pytest

from project.cli import attack_main, train_main
from project.cli.near_names import close
from project.core.errors import plain_errors
from tests.processes import ROOT

pytestmark = pytest.mark.filterwarnings(
    "ignore::jsonargparse._deprecated.JsonargparseDeprecationWarning"
)
SHAPES = [
    f"--config={ROOT}/configs/data/shapes_classification.yaml",
    f"--config={ROOT}/configs/victims/shapes_classifiers.yaml",
]
PGD = f"--config={ROOT}/configs/attacks/pgd.yaml"


def refusal(capsys: Any, *args: str, main: Any = attack_main) -> str:
    """Return the one line with which a command line is refused."""
    with pytest.raises(SystemExit) as left, plain_errors():
        main(list(args))
    told = left.value.code if isinstance(left.value.code, str) else capsys.readouterr().err
    (line,) = [one for one in told.splitlines() if not one.startswith("INFO: Seed set")]
    assert line.startswith("error: ")
    assert len(line) < 600
    return line


def attack(content: str) -> str:
    return f"--attack.attacks={{a: {content}}}"


@pytest.mark.parametrize(
    ("content", "near", "more"),
    [
        ("{class_path: PGD, init_args: {stepsize: 1/255}}", "step_size", "PGD has no option"),
        ("{class_path: PDG}", "DAG or PGD", "Accepted: ALMAProx, APGD"),
        ("PDG", "DAG or PGD", "none of the name 'PDG'"),
        ("{class_path: project.attacks.SegPDG}", "project.attacks.SegPGD", "cannot be imported"),
        ("{class_path: projekt.attacks.PGD}", "project", "on PYTHONPATH"),
        ("{class_path: GradCAM}", "", "attack.attacks must name a class"),
        ("{class_path: project.saliency.GradCAM}", "", "must be a kind of Attack"),
        ("{class_path: ChromaShift, init_args: {preset: fats}}", "fast", "fast, got 'fats'"),
        ("{class_path: PGD, init_args: {norm: linff}}", "linf", "one of linf, l2, got 'linff'"),
        ("{class_path: PGD, init_args: {steps: many}}", "", "steps must be a whole number, got"),
        ("{class_path: PGD, init_args: {objective: CrossEntrpy}}", "CrossEntropy", "AdversarialS"),
        ("{class_path: SSTA, init_args: {saliency: {class_path: GradCam}}}", "GradCAM", "TRACER"),
        (
            "{class_path: SSTA, init_args: {saliency: {class_path: TRACER, init_args: {wts: x}}}}",
            "",
            "TRACER has no option 'wts'",
        ),
        ("{class_path: PGD, init_args: {rules: [{class_path: Momentun}]}}", "Momentum", "Nesterov"),
        (
            "{class_path: BestOf, init_args: {attacks: [{class_path: PGD, init_args: {epz: 1}}]}}",
            "eps",
            "PGD has no option 'epz'",
        ),
        (
            "{class_path: SSTA, init_args: {saliency: {class_path: os.system}}}",
            "",
            "'os.system' of Python's standard library, which no config may import",
        ),
    ],
)
def test_mistake_in_an_attack_is_told_with_what_is_near(capsys, content, near, more):
    line = refusal(capsys, *SHAPES, attack(content))
    assert ("Did you mean" in line) == bool(near)
    assert f"Did you mean {near}?" in line or not near
    assert more in line


@pytest.mark.parametrize(
    ("argument", "told"),
    [
        ("--run.foldr=x", "no option 'run.foldr'. Did you mean run.folder? Accepted: run.folder"),
        ("--atack.store=x", "no option 'atack.store'. Did you mean attack.store? Accepted: seed_"),
        ("--trainer.presicion=16", "Did you mean trainer.precision?"),
        ("--trainer.precision=bf16-mxed", "got 'bf16-mxed'. Did you mean bf16-mixed?"),
        ("--trainer.callbacks=ModelChekpoint", "Did you mean ModelCheckpoint?"),
        ("--data.num_tst=16", "ShapesData has no option 'num_tst'. Did you mean num_test?"),
        ("--model.victims={a: {class_path: TimVictim}}", "Did you mean TimmVictim?"),
        ("stray", "must be options, written --KEY VALUE or --KEY=VALUE, got 'stray'"),
        ("--config={atack: {store: x}}", "no option 'atack.store'. Did you mean attack.store?"),
        ("--config={attack: {stre: x}}", "attack has no option 'stre'. Did you mean store?"),
        (f"--config={ROOT}/configs/attacks/pdg.yaml", "there is none. /.*/attacks has pgd.yaml"),
    ],
)
def test_mistake_elsewhere_is_told_with_what_is_near(capsys, argument, told):
    line = refusal(capsys, *SHAPES, PGD, argument)
    before, _, after = told.partition("/.*")
    assert before in line
    assert after in line


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("attack:\n\tstore: x", "must be YAML, indented by blanks: .* in line 2, column 1"),
        ("attack: {store: x, store: y}", "got 'store' for the second time in line 1"),
        (
            "attack: {store: !!python/object/apply:os.getcwd []}",
            "constructor for the tag .* line",
        ),
        ("a: &a [*a]", "must not lie inside of what it stands for"),
        ("[" * 10_000, "nested at most 100 deep"),
        ("attack: {store: .nan}", r"must be one, got \.nan in line 1"),
        ("- 1", ""),
        ("just text", ""),
        ("\0", ""),
    ],
)
def test_file_that_is_no_config_is_named(capsys, tmp_path: Path, content, told):
    (tmp_path / "mine.yaml").write_text(content)
    line = refusal(capsys, *SHAPES, PGD, f"--config={tmp_path}/mine.yaml")
    assert re.search(told, line)
    assert "mine.yaml" in line or not told


def test_training_is_told_likewise(capsys):
    recipe = f"--config={ROOT}/configs/train/shapes_resnet10t.yaml"
    line = refusal(capsys, "fit", recipe, "--model.learning_rat=1", main=train_main)
    assert "ClassifierTraining has no option 'learning_rat'. Did you mean learning_rate?" in line
    line = refusal(capsys, "fit", recipe, "--trainer.max_epohcs=1", main=train_main)
    assert "Did you mean trainer.max_epochs?" in line
    line = refusal(capsys, "fitt", recipe, main=train_main)
    assert "fit" in line


def test_nearest_come_first_and_none_that_is_far():
    assert close("StepSize", ["steps", "step_size", "eps"]) == ["step_size"]
    assert close("xyz", ["steps", "step_size", "eps"]) == []
    assert close("anything", []) == []


def test_config_that_is_no_utf_8_is_told_with_its_name(tmp_path, capsys):
    path = tmp_path / "config.yaml"
    path.write_bytes("seed_everything: 0  # gr\xfc\xdfe\n".encode("latin-1"))
    told = refusal(capsys, f"--config={path}")
    assert "config.yaml' must be text in UTF-8" in told
