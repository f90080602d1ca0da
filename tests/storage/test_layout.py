"""The names of a run's files are typed in project.storage.layout and nowhere else."""

import ast
import re
from pathlib import Path

import pytest

from project.storage import layout

ROOT = Path(__file__).parents[2]
NAMES = {value for name, value in vars(layout).items() if name[0].isupper() and type(value) is str}
FILES = re.compile(
    r"(?<![\w.-])(" + "|".join(re.escape(name) for name in NAMES if "." in name) + r")(?![\w-])"
)
"""A file's name is told from prose wherever it stands."""
FOLDERS = {name for name in NAMES if "." not in name}
"""A folder's is an ordinary word: it counts where a path is made."""


def typed_names(source: str) -> list[str]:
    """Return the names that a module types, but for docstrings and names of templates."""
    nodes = list(ast.walk(ast.parse(source)))
    passed_over = {id(one) for node in nodes for one in [*docs(node), *templates(node)]}
    found = []
    for node in nodes:
        if isinstance(node, ast.Constant) and id(node) not in passed_over:
            found += FILES.findall(str(node.value))
        for part in path_parts(node):
            found += [name for name in part.split("/") if name in FOLDERS]
    return found


def docs(node: ast.AST) -> list[ast.AST]:
    """Return a string that stands alone, as docstrings do."""
    return [node.value] if isinstance(node, ast.Expr) else []


def templates(node: ast.AST) -> list[ast.expr]:
    """Return what names a template of the package, which may be called as what is made of it."""
    return node.args if method(node) == "get_template" else []


def path_parts(node: ast.AST) -> list[str]:
    """Return the strings that a node makes a path of, or looks for in a folder."""
    parts = node.args if method(node) in ("joinpath", "glob", "rglob") else []
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        parts = [node.left, node.right]
    return [str(part.value) for part in parts if isinstance(part, ast.Constant)]


def method(node: ast.AST) -> str:
    """Return the name of the method that a node calls, empty if it calls none."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return node.func.attr
    return ""


def test_no_other_module_types_the_name_of_a_runs_file():
    own = ROOT / "project/storage/layout.py"
    found = {
        str(path.relative_to(ROOT)): names
        for path in (ROOT / "project").rglob("*.py")
        if path != own and (names := typed_names(path.read_text(encoding="utf-8")))
    }
    assert found == {}, "use the names of project.storage.layout"


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ('path = folder / "run.json"', ["run.json"]),
        ('path = f"{folder}/rows.parquet"', ["rows.parquet"]),
        ('print("no rows.parquet, and no run.json.")', ["rows.parquet", "run.json"]),
        ('pictures = run / "gallery"', ["gallery"]),
        ('folder.glob("slices/*.npz")', ["slices"]),
        ('experiment.log({"gallery": table, "samples": pictures})', []),
        ('parser.add_argument("--config", default="configs/attacks/masking.yaml")', []),
        ('def write():\n    """Write run.json."""', []),
        ('environment.get_template("report.html")', []),
        ('embedded(["report.css"], [])', []),
    ],
)
def test_a_name_that_is_typed_is_seen(source, names):
    assert typed_names(source) == names


def test_every_name_is_on_the_map():
    for name in NAMES:
        stem, _, suffix = name.partition(".")
        assert stem.rstrip("*") in layout.__doc__
        assert suffix in layout.__doc__


def test_epochs_are_found_by_the_names_that_they_were_given(tmp_path):
    for epoch in (12, 3):
        (tmp_path / layout.epoch_name(epoch)).mkdir()
    (tmp_path / f"{layout.epoch_name(7)}.npz").touch()
    (tmp_path / f"{layout.epoch_name(1)} (copy)").mkdir()
    (tmp_path / "epoch_x").mkdir()
    assert list(layout.epochs_of(tmp_path)) == [3, 7, 12]
    assert layout.epochs_of(tmp_path / "none") == {}


def test_the_names_that_take_a_number_or_a_kind():
    assert layout.sample_name(42) == "00000042"
    assert layout.epoch_name(3) == "epoch_00003"
    assert layout.catalogue_name(0) == "catalogue-00.js"
    assert layout.picture_name("flow") == "flow.npy"
    assert layout.picture_name("mask") == "mask.png"
