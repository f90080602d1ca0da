"""Notebooks run from top to bottom, use public names only, and hold no outputs."""

import ast
import json
import shutil
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest
import torch
import yaml

from project.victims import TimmVictim
from tests.report.conftest import VICTIMS, make_run

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SAYS = {
    "adversarial_training": "val/robust_accuracy",
    "attack_one_image": " became ",
    "read_a_run": " rows of ",
    "transfer_and_significance": "p (Holm)",
}
# What the recipes say, and what is enough to see that a notebook runs.
SHORTER = {
    "data/shapes_classification.yaml": ("task: classification", "{}\n    size: 32"),
    "train/shapes_resnet10t.yaml": ("batch_size: 16", "size: 32, batch_size: 32"),
    "train/dashboard.yaml": ("samples: 8, resolution: 11", "samples: 4, resolution: 5"),
    "attacks/shapes_classification.yaml": ("preset: fast", "{}, steps: 3"),
}

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code_cells(path: Path) -> list[dict[str, Any]]:
    cells = json.loads(path.read_text())["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


@every_notebook
def test_notebook_holds_no_outputs(path):
    assert all(not cell["outputs"] for cell in code_cells(path))
    assert all(cell["execution_count"] is None for cell in code_cells(path))


@every_notebook
def test_notebook_uses_public_names_only(path):
    nodes = [n for cell in code_cells(path) for n in ast.walk(ast.parse("".join(cell["source"])))]
    used = [n.attr for n in nodes if isinstance(n, ast.Attribute)]
    used += [alias.name for n in nodes if isinstance(n, ast.ImportFrom) for alias in n.names]
    used += [n.module or "" for n in nodes if isinstance(n, ast.ImportFrom)]
    assert not [name for name in used if any(part.startswith("_") for part in name.split("."))]


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """Return a repository's root without runs, with shorter recipes and untrained victims."""
    root: Path = tmp_path_factory.mktemp("root")
    shutil.copytree(ROOT / "configs", root / "configs")
    for name, (old, new) in SHORTER.items():
        config = root / "configs" / name
        assert old in config.read_text()
        config.write_text(config.read_text().replace(old, new.format(old)))
    victims = yaml.safe_load((root / "configs/victims/shapes_classifiers.yaml").read_text())
    for entry in victims["model"]["victims"].values():
        untrained(root, **entry["init_args"])
    return root


def untrained(root: Path, checkpoint: str, **arguments: Any) -> None:
    state = TimmVictim(**arguments).network.state_dict()
    (root / checkpoint).parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, root / checkpoint)


def execute(path: Path) -> dict[str, Any]:
    """Run all cells and return what they define."""
    namespace: dict[str, Any] = {}
    with mpl.rc_context({"backend": "Agg"}):
        for cell in code_cells(path):
            exec("".join(cell["source"]), namespace)
        plt.close("all")
    return namespace


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@every_notebook
def test_notebook_runs(path, root, monkeypatch, capsys):
    monkeypatch.chdir(root)
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)  # tests share the cores
    execute(path)
    assert SAYS[path.stem] in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("samples", [2, 0])
@pytest.mark.parametrize("task", ["classification", "segmentation"])
def test_any_run_is_read(task, samples, tmp_path, monkeypatch, capsys):
    (tmp_path / "configs").mkdir()  # so it is a repository's root
    folder = tmp_path / "runs" / "notebooks" / "classification"
    make_run(folder, task, count=8, samples=samples, sources=VICTIMS[1:2])
    monkeypatch.chdir(tmp_path)
    found = execute(ROOT / "notebooks" / "read_a_run.ipynb")
    said = capsys.readouterr().out
    assert f"A run of {task}" in said
    assert ("not drawn" in said) == (task == "segmentation")
    assert [sample.source for sample in found["same"]] == [VICTIMS[1]] * min(samples, 1) * 2
