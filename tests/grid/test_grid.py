"""One file describes attacks × budgets × sources × data, and is checked as a whole."""

import csv
from pathlib import Path

import pytest
import yaml

from project.core.errors import InputError
from project.grid import grid_main
from project.grid.description import Family, read_grid
from project.grid.planning import planned
from project.storage.rows import Measure, read_measures, write_measures
from tests.experiment.scene import IMAGES
from tests.experiment.test_processes import config
from tests.storage.damage import images

ROOT = Path(__file__).parents[2]
GRIDS = sorted((ROOT / "configs/grids").glob("*.yaml"))

pytestmark = pytest.mark.filterwarnings(
    "ignore::jsonargparse._deprecated.JsonargparseDeprecationWarning"
)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Return the current folder, with an experiment of classes and one of pixels."""
    monkeypatch.chdir(tmp_path)
    for task in ("classification", "segmentation"):
        content = config(task)
        content["model"]["victims"].pop("tiny.r32_x", None)
        del content["attack"]["attacks"], content["model"]["features"]
        content["attack"]["store"] = "store"
        (tmp_path / f"{task}.yaml").write_text(yaml.safe_dump(content))
    return tmp_path


def grid(**changes) -> dict:
    pgd = {"class_path": "PGD", "init_args": {"steps": 2}, "budgets": ["4/255", "8/255"]}
    content = {
        "folder": "runs/grid",
        "title": "Two kinds",
        "arguments": ["--trainer.logger=false"],
        "attacks": {
            "pgd": pgd | {"relative": {"step_size": "1/2"}},
            "fgsm": {"class_path": "FGSM"},
            "segpgd": {"class_path": "SegPGD", "init_args": {"steps": 2, "eps": "8/255"}},
        },
        "data": {
            "classes": {"configs": ["classification.yaml"], "attacks": ["pgd", "fgsm"]},
            "pixels": {
                "configs": ["segmentation.yaml"],
                "attacks": ["segpgd"],
                "sources": ["b"],
                "arguments": ["--data.num_test=6"],
            },
        },
    }
    return content | changes


def written(folder: Path, content: object) -> Path:
    path = folder / "grid.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def test_budget_sets_its_argument_and_what_follows_it():
    family = Family("PGD", {"steps": 3}, ["4/255", "8/255"], relative={"step_size": "1/4"})
    found = family.members("pgd")
    assert list(found) == ["pgd@4", "pgd@8"]
    assert found["pgd@4"] == {
        "class_path": "PGD",
        "init_args": {"steps": 3, "eps": 4 / 255, "step_size": 1 / 255},
    }


def test_budget_may_be_any_argument_of_an_attack_inside():
    inner = {"class_path": "ChromaShift", "init_args": {"preset": "fast"}}
    family = Family("Aimed", {"attack": inner}, [0.5, 2], "attack.init_args.max_shift")
    found = family.members("aimed")
    assert list(found) == ["aimed@0.5", "aimed@2"]
    assert found["aimed@2"]["init_args"]["attack"]["init_args"] == {
        "preset": "fast",
        "max_shift": 2,
    }
    assert inner["init_args"] == {"preset": "fast"}


def test_family_without_budgets_is_one_attack():
    assert Family("FGSM").members("fgsm") == {"fgsm": {"class_path": "FGSM", "init_args": {}}}


@pytest.mark.parametrize("budget", ["4/0", "four", None, "1/2/3"])
def test_budget_must_be_a_number(budget):
    with pytest.raises(InputError, match=r"a number or a fraction such as 4/255, got"):
        Family("PGD", budgets=[budget]).members("pgd")


@pytest.mark.parametrize(
    "budgets", [["4/255", "4/255"], ["4/255", "8/510"], [4, "4/255"], [1, 1.0]]
)
def test_budgets_of_one_name_or_number_are_refused(budgets):
    with pytest.raises(InputError, match="the budgets of pgd must differ"):
        Family("PGD", budgets=budgets).members("pgd")


@pytest.mark.parametrize("more", [{"relative": {"step_size": "1/4"}}, {"argument": "max_shift"}])
def test_what_follows_budgets_is_not_ignored_without_them(more):
    with pytest.raises(InputError, match=r"pgd must have budgets for .* got none\. Add"):
        Family("PGD", **more).members("pgd")


def test_argument_must_not_lead_into_a_number():
    with pytest.raises(InputError, match=r"must lead into an attack inside, got 'x' of 2"):
        Family("PGD", {"steps": 2}, [1], "steps.x").members("pgd")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (grid(budgets=[1]), r"must be of folder, attacks, data, title, arguments; got"),
        (["a", "list"], r"must be of folder"),
        ({"folder": "runs", "attacks": {}}, r"needs attacks, data; got"),
        (grid(attacks={"pgd": {"budgets": [1]}}), r"attacks.pgd needs class_path"),
        (
            grid(attacks={"pgd": {"class_path": "PGD", "budgets": 4}}),
            r"attacks.pgd.budgets must be",
        ),
        (grid(data={"a": {"configs": "a.yaml"}}), r"data.a.configs must be"),
        (grid(folder=3), r"folder must be"),
        (
            grid(attacks={1: {"class_path": "FGSM"}}),
            r"names in .*attacks must be text, got 1\. Put",
        ),
        (grid(data={True: {"configs": ["a.yaml"]}}), r"names in .*data must be text, got True"),
    ],
)
def test_file_that_is_no_grid_is_refused(tmp_path, content, message):
    with pytest.raises(InputError, match=message):
        read_grid(written(tmp_path, content))


def test_key_that_is_there_twice_is_refused(tmp_path):
    (tmp_path / "grid.yaml").write_text("attacks:\n  pgd: {}\n  fgsm: {}\n  pgd: {}\n")
    with pytest.raises(InputError, match=r"must be there once, got 'pgd' .* in line 4"):
        read_grid(tmp_path / "grid.yaml")


def test_file_that_cannot_be_read_is_told_in_one_line(tmp_path):
    (tmp_path / "latin.yaml").write_bytes(b"title: caf\xe9\n")
    for name, reason in {
        "missing.yaml": "No such file or directory",
        ".": "Is a directory",
        "latin.yaml": "text in UTF-8, got a byte that is not at 10",
    }.items():
        with pytest.raises(InputError, match=rf"'.*' must be .*{reason}") as error:
            read_grid(tmp_path / name)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("path", GRIDS, ids=lambda path: path.stem)
def test_grid_of_the_repository_can_be_planned(path, monkeypatch):
    monkeypatch.chdir(ROOT)
    found = read_grid(path)
    assert path.read_text().startswith("# ")
    assert [run.name for run in planned(found)] == list(found.data)


def test_all_that_is_wrong_is_told_before_anything_runs(folder, attacked):
    content = grid()
    content["attacks"] |= {
        "negative": {"class_path": "PGD", "budgets": ["-4/255"]},
        "misspelt": {"class_path": "PGDD"},
    }
    fine = content["data"]["classes"]
    content["data"] |= {
        "config": {"configs": ["missing.yaml"]},
        "attack": fine | {"attacks": ["cw"]},
        "source": fine | {"sources": ["resnet5"]},
        "budget": fine | {"attacks": ["negative"]},
        "class": fine | {"attacks": ["misspelt"]},
        "argument": fine | {"arguments": ["--data.nam_test=6"]},
    }
    with pytest.raises(InputError) as error:
        grid_main([f"--grid={written(folder, content)}"])
    told = str(error.value)
    for name, reason in {
        "config": "missing.yaml",
        "attack": "attack 'cw' is not among the grid's: fgsm, misspelt, negative, pgd, segpgd",
        "source": "source 'resnet5' is not among the victims: a, b",
        "budget": "must be greater than 0, got -0.0156",
        "class": "PGDD",
        "argument": "nam_test",
    }.items():
        assert f"\n{name}: " in told
        assert reason in told
    assert "\nclasses: " not in told
    assert attacked == []
    assert sorted(path.suffix for path in folder.iterdir()) == [".yaml"] * 3


@pytest.mark.slow
def test_grid_runs_every_budget_on_every_data_set(folder, attacked, capsys):
    path = written(folder, grid())
    grid_main([f"--grid={path}"])
    with (folder / "runs/grid/overview.csv").open() as file:
        rows = list(csv.DictReader(file))
    passes = {(row["data"], row["attack"], row["source"]) for row in rows if row["attack"]}
    of_classes = {("classes", name, s) for name in ("pgd@4", "pgd@8", "fgsm") for s in "ab"}
    assert passes == of_classes | {("pixels", "segpgd", "b")}
    measures = read_measures(folder / "runs/grid/pixels/metrics.csv")
    assert len(measures) == sum(row["data"] == "pixels" for row in rows)
    assert len(images(folder / "store")) == 6 * IMAGES + 6
    said = capsys.readouterr().out
    assert "classes: 3 attacks × 2 sources × 2 victims" in said
    page = (folder / "runs/grid/index.html").read_text()
    assert '<a href="classes/report.html">classes</a>' in page
    assert (folder / "runs/grid/classes/report.html").is_file()

    attacked.clear()
    grid_main([f"--grid={path}", "--estimate.only=true"])
    assert attacked == []
    assert capsys.readouterr().out.count("there is nothing to attack") == 2


def test_failing_experiment_does_not_lose_the_others(folder, capsys):
    content = grid()
    broken = content["data"]["classes"] | {"arguments": ["--data.limit=0"]}
    content["data"] = {"broken": broken, "pixels": content["data"]["pixels"]}
    earlier = [Measure("pgd", "a", "a", "asr", 1.0)]
    write_measures(folder / "runs/grid/broken/metrics.csv", earlier)
    with pytest.raises(InputError, match=r"1 of 2 experiments failed: broken\. Run the same"):
        grid_main([f"--grid={written(folder, content)}"])
    told = capsys.readouterr()
    assert "broken: failed: InputError: limit must be at least 1" in told.out
    assert "pixels: 1 attacks × 1 sources × 2 victims" in told.out
    overview = (folder / "runs/grid/overview.csv").read_text()
    assert "pixels,segpgd,b" in overview
    assert "broken" not in overview


def test_missing_file_of_an_experiment_is_told_without_a_traceback(folder, monkeypatch, capsys):
    def missing(_: object) -> None:
        raise FileNotFoundError("no photos in data/voc")

    monkeypatch.setattr("project.grid.running.run_experiment", missing)
    with pytest.raises(InputError, match="2 of 2 experiments failed"):
        grid_main([f"--grid={written(folder, grid())}"])
    said = capsys.readouterr().err
    assert "classes failed: no photos in data/voc\n" in said
    assert "Traceback" not in said


def test_grid_can_be_estimated(folder, attacked, capsys):
    grid_main([f"--grid={written(folder, grid())}", "--estimate.only=true"])
    assert len(attacked) == 7
    said = capsys.readouterr().out
    assert said.count("attacking will take about") == 2
    assert "pixels: no results yet" in said


def test_a_grid_that_was_killed_leaves_no_overview_and_half_an_experiment_is_no_result(
    folder, monkeypatch, capsys
):
    arguments = [f"--grid={written(folder, grid())}"]
    monkeypatch.setattr("project.grid.running.run_experiment", lambda _: None)
    grid_main(arguments)
    overview = folder / "runs/grid/overview.csv"
    assert overview.is_file()

    def killed(_: object) -> None:
        write_measures(folder / "runs/grid/classes/metrics.csv", [])
        raise KeyboardInterrupt

    monkeypatch.setattr("project.grid.running.run_experiment", killed)
    with pytest.raises(KeyboardInterrupt):
        grid_main(arguments)
    assert not overview.exists()
    assert not (folder / "runs/grid/index.html").exists()
    half = [Measure("pgd", "a", "a", "asr", 1.0)]
    write_measures(folder / "runs/grid/classes/metrics.csv", half)
    monkeypatch.setattr("project.grid.running.run_experiment", lambda _: None)
    grid_main(arguments)
    assert "classes: no results yet" in capsys.readouterr().out
