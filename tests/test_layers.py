"""Imports go down only: the layers of the project, and a reading of its import statements."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = {
    4: {"cli", "attack_cli", "explain", "grid", "largest_batch", "study"},
    3: {"training", "evaluation", "callbacks", "report", "tracking"},
    2: {"attacks"},
    1: {"threat_models", "saliency", "metrics", "store"},
}
"""Every other part of the project is in layer 0; the scripts are in the highest."""
LAYER = {part: layer for layer, parts in LAYERS.items() for part in parts}
READABLE = {"report", "records", "replacing", "history", "traces", "pixel_counts", "resampling"}
"""What the report may import: itself, and what reads files and counts without a model."""


def upward_imports(root: Path) -> list[str]:
    """Return the imports of a part of a higher layer, one sentence each."""
    found = []
    for path in [*sorted((root / "project").rglob("*.py")), *sorted(root.glob("*.py"))]:
        where = path.relative_to(root)
        own = max(LAYERS) if len(where.parts) == 1 else LAYER.get(part(where), 0)
        for imported in imported_parts(path):
            layer = LAYER.get(imported, 0)
            if layer > own:
                found.append(f"{where} (layer {own}) imports {imported} (layer {layer})")
    return found


def part(where: Path) -> str:
    """Return ``attacks`` for project/attacks/noise/pgd.py and ``store`` for
    project/storage/store.py.
    """
    return where.parts[1].removesuffix(".py")


def imported_parts(path: Path) -> list[str]:
    """Return the parts of the project that a file imports anywhere in it, as often as it does."""
    modules = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            modules += [f"{node.module}.{alias.name}" for alias in node.names]
    names = [module.split(".") for module in modules]
    return [name[1] for name in names if name[0] == "project" and len(name) > 1]


def test_imports_go_down_only():
    assert upward_imports(ROOT) == []


def test_every_part_that_is_given_a_layer_exists():
    paths = [path.relative_to(ROOT) for path in (ROOT / "project").rglob("*.py")]
    assert {part(path) for path in paths} >= LAYER.keys()


def test_report_reads_files_and_needs_no_model():
    for path in (ROOT / "project/report").rglob("*.py"):
        assert set(imported_parts(path)) <= READABLE
        assert "torch" not in path.read_text(encoding="utf-8").split()


def test_study_needs_the_report_and_no_model():
    for path in (ROOT / "project/study").rglob("*.py"):
        assert set(imported_parts(path)) <= READABLE | {"study", "errors"}
        assert "torch" not in path.read_text(encoding="utf-8").split()


@pytest.mark.parametrize(
    "statement",
    [
        "from project.attacks import PGD",
        "from project import attacks",
        "import project.attacks.noise.pgd as pgd",
        "def late():\n    from project.attacks.noise.pgd import PGD",
        "if TYPE_CHECKING:\n    from project.attacks.noise.pgd import PGD",
    ],
)
def test_upward_import_is_found_wherever_it_stands(tmp_path, statement):
    package = tmp_path / "project/metrics"
    package.mkdir(parents=True)
    (package / "good.py").write_text("import torch\nfrom project.storage.rows import Measure\n")
    assert upward_imports(tmp_path) == []
    (package / "bad.py").write_text(statement + "\n")
    (found,) = upward_imports(tmp_path)
    assert found == "project/metrics/bad.py (layer 1) imports attacks (layer 2)"
