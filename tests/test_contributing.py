"""What the pages name is there: in CONTRIBUTING.md's lives of runs down to functions."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FOLDERS = "project|tests|configs|docs|benchmarks|notebooks"
LIVES = ("Life of a run", "Life of a training")
MOST_LINES = 50


def section(text: str, title: str) -> str:
    """Return what stands below a heading, down to the next one."""
    _, _, below = text.partition(f"\n## {title}\n")
    return re.split(r"^## ", below, flags=re.MULTILINE)[0]


def named(text: str) -> Iterator[tuple[str, str]]:
    """Yield each file in code type with "", and each other name with the file before it."""
    path = ""
    for name in re.findall(r"`([^`]+)`", text):
        if "/" in name or name.endswith(".py"):
            path = name
            yield path, ""
        else:
            yield path, name


def found(path: str, name: str, root: Path = ROOT) -> bool:
    """Return whether a file, of the root or the package, has a name such as ``Attack.run``."""
    files = [place for place in (root / path, root / "project" / path) if place.exists()]
    if not name or not files:
        return bool(files)
    tree: ast.AST | None = ast.parse(files[0].read_text())
    for part in name.split("."):
        tree = next((node for node in ast.iter_child_nodes(tree) if defines(node, part)), None)
        if tree is None:
            return False
    return True


def defines(node: ast.AST, name: str) -> bool:
    kinds = ast.ClassDef | ast.FunctionDef
    return isinstance(node, kinds) and node.name == name


@pytest.mark.parametrize("title", LIVES)
def test_files_and_names_of_a_life_are_there(title):
    pairs = list(named(section(CONTRIBUTING, title)))
    assert len(pairs) > 20
    assert [pair for pair in pairs if not found(*pair)] == []


@pytest.mark.parametrize("title", LIVES)
def test_a_life_fits_on_a_screen(title):
    assert len(section(CONTRIBUTING, title).splitlines()) <= MOST_LINES


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_files_and_modules_that_a_page_names_are_there(page):
    text = page.read_text()
    paths = re.findall(rf"(?<![\w/.])(?:{FOLDERS})/[\w/]*(?:\.\w+)?", text)
    modules = re.findall(r"python -m ((?:project|tests)[\w.]*)", text)
    modules += re.findall(r"(?<![\w/.])project(?:\.[a-z_]+)+", text)
    assert [path for path in paths if not (ROOT / path).exists()] == []
    files = [ROOT / module.replace(".", "/") for module in modules]
    assert [path for path in files if not (path.is_dir() or path.with_suffix(".py").exists())] == []


def test_wrong_names_are_noticed(tmp_path):
    (tmp_path / "project/core").mkdir(parents=True)
    (tmp_path / "project/core/rolls.py").write_text("class Dice:\n    def roll(self): ...\n")
    text = (
        "\n## A life\n`core/rolls.py`, `Dice.roll`, `Dice.stop`, `roll`; `core/dice.py`\n## B\n`C`"
    )
    missing = [pair for pair in named(section(text, "A life")) if not found(*pair, tmp_path)]
    assert missing == [
        ("core/rolls.py", "Dice.stop"),
        ("core/rolls.py", "roll"),
        ("core/dice.py", ""),
    ]
