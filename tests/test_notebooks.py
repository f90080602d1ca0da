"""Notebooks run from top to bottom, use public names only, and hold no outputs."""

import ast
import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SAYS = {
    "adversarial_training": "val/robust_accuracy",
    "attack_one_image": " became ",
    "read_a_run": " rows of ",
    "transfer_and_significance": "p (Holm)",
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


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@every_notebook
def test_notebook_runs(path, monkeypatch, capsys):
    monkeypatch.chdir(ROOT / "notebooks")
    namespace: dict[str, Any] = {}
    with mpl.rc_context({"backend": "Agg"}):
        for cell in code_cells(path):
            exec("".join(cell["source"]), namespace)
        plt.close("all")
    assert SAYS[path.stem] in capsys.readouterr().out
