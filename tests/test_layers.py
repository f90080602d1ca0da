"""Imports go down only: the layers of the project, and a reading of its import statements."""

import re
from pathlib import Path

import pytest

from tests.imports import (
    circles,
    class_names,
    import_graph,
    imported_names,
    module_files,
    reached,
    what_runs,
)

ROOT = Path(__file__).parents[1]
LAYERS = (
    {"core"},
    {"images", "storage", "statistics", "victims", "data"},
    {"threat_models", "saliency", "metrics", "report"},
    {"attacks", "study"},
    {"evaluation", "training"},
    {"tracking"},
    {"callbacks"},
    {"cli"},
    {"check", "explain", "grid", "largest_batch"},
    {"__main__"},
    {"scripts"},
)
"""The rooms of the project, the lowest layer first. A room imports from layers below its own, and
so none that stands beside it."""

ATTACK_LAYERS = (
    {"core"},
    {"gradient.objectives", "gradient.transforms", "gradient.schedules"},
    {"gradient.landscape"},
    {"gradient.rules"},
    {"gradient.loop"},
    {"gradient.attack"},
    {"flow", "noise", "adapters"},
    {"combined"},
    {"exports"},
)
"""The same inside of attacks: flow and noise are two families, which stand on the gradient loop or
on parts of it, and adapters a third, of other libraries' attacks. They do not know each other."""

REPORT_READS = {"core", "statistics", "storage"}
MODELS = {"torch", "torchvision", "lightning", "timm", "torchmetrics"}
MOST_LINES = 400


def room(module: str) -> str:
    """Return ``attacks`` for project.attacks.noise.pgd, and ``scripts`` for what is beside."""
    parts = module.split(".")
    if parts[0] != "project":
        return "scripts"
    return parts[1] if len(parts) > 1 else "core"  # the package itself holds nothing


def attack_room(module: str) -> str:
    """Return ``noise`` for project.attacks.noise.pgd, and ``gradient.loop`` for the loop.

    Of gradient, which one attack's loop is put together in, every part has a place of its own.
    """
    parts = module.split(".")[2:]
    if parts in ([], ["gradient"]):
        return "exports"
    return ".".join(parts[: 2 if parts[0] == "gradient" else 1])


def attack_modules(root: Path) -> dict[str, set[str]]:
    """Return the import graph of the attacks alone."""
    return {
        module: {other for other in imports if room(other) == "attacks"}
        for module, imports in import_graph(root).items()
        if room(module) == "attacks"
    }


def upward_imports(graph, layers, room_of) -> list[str]:
    """Return the imports of a room that is not in a lower layer, one sentence each."""
    layer = {name: place for place, names in enumerate(layers) for name in names}
    return [
        f"{module} ({own}, layer {layer.get(own)}) imports {other} (layer {layer.get(theirs)})"
        for module, imports in sorted(graph.items())
        for other in sorted(imports)
        if (own := room_of(module)) != (theirs := room_of(other))
        and layer.get(theirs, len(layers)) >= layer.get(own, len(layers))
    ]


def long_files(root: Path) -> list[str]:
    """Return the files of the package that are too long, with their lines."""
    lengths = {path: len(path.read_text().splitlines()) for path in module_files(root).values()}
    return [
        f"{path.relative_to(root)}: {length} lines"
        for path, length in lengths.items()
        if length > MOST_LINES
    ]


def names_of_several(root: Path) -> list[str]:
    """Return the names that classes of several files have, with the files."""
    files: dict[str, set[str]] = {}
    for path in module_files(root).values():
        for name in class_names(path):
            files.setdefault(name, set()).add(str(path.relative_to(root)))
    return [
        f"{name}: {', '.join(sorted(found))}"
        for name, found in sorted(files.items())
        if len(found) > 1
    ]


def test_imports_go_down_only():
    assert upward_imports(import_graph(ROOT), LAYERS, room) == []


def test_attacks_import_down_only():
    assert upward_imports(attack_modules(ROOT), ATTACK_LAYERS, attack_room) == []


def test_layers_name_every_room_once_and_no_other():
    named = sorted(name for names in LAYERS for name in names)
    assert named == sorted({room(module) for module in module_files(ROOT)})


def test_layers_of_attacks_name_every_part_once_and_no_other():
    named = sorted(name for names in ATTACK_LAYERS for name in names)
    assert named == sorted({attack_room(module) for module in attack_modules(ROOT)})


def test_table_of_the_layers_in_contributing_is_this_one():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    rows = re.findall(r"^\| (\d+) \| `([\w, .`]+)` \|", text, re.MULTILINE)
    told = [(int(layer), set(names.split("`, `"))) for layer, names in rows]
    assert {layer for layer, _ in told} == set(range(len(LAYERS)))
    scripts = {"scripts"}
    for number, names in enumerate(LAYERS):
        rooms = set().union(*(some for layer, some in told if layer == number))
        assert rooms == ({"attack.py", "train.py"} if names == scripts else names)


def test_no_modules_import_each_other_in_a_circle():
    assert circles(what_runs(import_graph(ROOT))) == []


def test_no_file_is_too_long():
    assert long_files(ROOT) == []


def test_no_class_name_has_two_meanings():
    assert names_of_several(ROOT) == []


def test_report_reads_files_and_needs_no_model():
    assert rooms_read_by("report") <= REPORT_READS
    assert models_behind("report") == []


def test_study_needs_the_report_and_no_model():
    assert rooms_read_by("study") <= REPORT_READS | {"report"}
    assert models_behind("study") == []


def rooms_read_by(name: str) -> set[str]:
    """Return the other rooms that a room imports."""
    graph = import_graph(ROOT)
    found = {room(other) for module in graph if room(module) == name for other in graph[module]}
    return found - {name}


def models_behind(name: str) -> list[str]:
    """Return what a room imports that runs models, itself or by what it imports."""
    graph, files = import_graph(ROOT), module_files(ROOT)
    modules = reached(graph, {module for module in graph if room(module) == name})
    return [
        f"{module} imports {imported}"
        for module in sorted(modules)
        for imported in imported_names(files[module])
        if imported.split(".")[0] in MODELS
    ]


def plant(root: Path, files: dict[str, str]) -> Path:
    """Write modules into a tree, beside the attacks and two that are as they should be."""
    good = {
        "project/__init__.py": "",
        "project/attacks/__init__.py": "from project.attacks.noise.pgd import PGD\n",
        "project/attacks/noise/pgd.py": "class PGD:\n    pass\n",
        "project/metrics/good.py": "import torch\nfrom project.storage.rows import Measure\n",
        "project/storage/rows.py": "class Measure:\n    pass\n",
    }
    for name, text in (good | files).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


WHEREVER = pytest.mark.parametrize(
    "statement",
    [
        "from {0}.{1} import {2}",
        "from {0} import {1}",
        "import {0}.{1} as other",
        "def late():\n    from {0}.{1} import {2}",
        "if TYPE_CHECKING:\n    from {0}.{1} import {2}",
    ],
)


@WHEREVER
def test_upward_import_is_found_wherever_it_stands(tmp_path, statement):
    root = plant(tmp_path, {})
    assert upward_imports(import_graph(root), LAYERS, room) == []
    bad = statement.format("project.attacks.noise", "pgd", "PGD") + "\n"
    plant(root, {"project/metrics/bad.py": bad})
    (found,) = upward_imports(import_graph(root), LAYERS, room)
    assert found == (
        "project.metrics.bad (metrics, layer 2) imports project.attacks.noise.pgd (layer 3)"
    )


def test_import_of_what_a_package_exports_is_found(tmp_path):
    root = plant(tmp_path, {"project/metrics/bad.py": "from project.attacks import PGD\n"})
    (found,) = upward_imports(import_graph(root), LAYERS, room)
    assert found.endswith("imports project.attacks (layer 3)")


def test_import_from_a_room_of_the_same_layer_is_found(tmp_path):
    beside = {"project/saliency/bad.py": "import project.metrics.good\n"}
    (found,) = upward_imports(import_graph(plant(tmp_path, beside)), LAYERS, room)
    assert found.startswith("project.saliency.bad (saliency, layer 2) imports project.metrics")


def test_upward_import_inside_of_attacks_is_found(tmp_path):
    root = plant(tmp_path, {"project/attacks/core/attack.py": ""})
    assert upward_imports(attack_modules(root), ATTACK_LAYERS, attack_room) == []
    plant(root, {"project/attacks/core/attack.py": "from project.attacks.noise.pgd import PGD\n"})
    (found,) = upward_imports(attack_modules(root), ATTACK_LAYERS, attack_room)
    assert "(core, layer 0) imports project.attacks.noise.pgd" in found


@WHEREVER
def test_circle_is_found_wherever_its_imports_stand(tmp_path, statement):
    root = plant(tmp_path, {"project/data/first.py": "from project.data.second import A\n"})
    plant(root, {"project/data/second.py": "from project.data.third import A\n"})
    plant(root, {"project/data/third.py": "class A:\n    pass\n"})
    assert circles(what_runs(import_graph(root))) == []
    plant(root, {"project/data/third.py": statement.format("project.data", "first", "B")})
    names = ["project.data.first", "project.data.second", "project.data.third"]
    assert circles(what_runs(import_graph(root))) == [names]


def test_module_that_imports_the_package_which_exports_it_is_a_circle(tmp_path):
    root = plant(tmp_path, {"project/attacks/noise/pgd.py": "from project.attacks import PGD\n"})
    assert circles(what_runs(import_graph(root))) == [
        ["project.attacks", "project.attacks.noise.pgd"]
    ]


def test_circle_through_the_package_around_what_is_imported_is_found(tmp_path):
    root = plant(tmp_path, {"project/data/__init__.py": "from project.data.first import A\n"})
    plant(root, {"project/data/first.py": "from project.data.files.one import A\n"})
    plant(root, {"project/data/files/one.py": "class A:\n    pass\n"})
    plant(root, {"project/data/files/two.py": "from project.data.first import A\n"})
    assert circles(what_runs(import_graph(root))) == []
    plant(root, {"project/data/files/__init__.py": "import project.data.files.two\n"})
    names = ["project.data.files", "project.data.files.two", "project.data.first"]
    assert circles(what_runs(import_graph(root))) == [names]


def test_model_behind_a_reader_of_files_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.test_layers.ROOT", plant(tmp_path, {}))
    plant(tmp_path, {"project/report/page.py": "from project.storage.rows import Measure\n"})
    assert models_behind("report") == []
    plant(tmp_path, {"project/storage/__init__.py": "from torch import Tensor\n"})
    assert models_behind("report") == ["project.storage imports torch.Tensor"]


def test_file_that_is_too_long_is_found(tmp_path):
    root = plant(tmp_path, {"project/data/long.py": "x = 1\n" * MOST_LINES})
    assert long_files(root) == []
    plant(root, {"project/data/long.py": "x = 1\n" * (MOST_LINES + 1)})
    assert long_files(root) == [f"project/data/long.py: {MOST_LINES + 1} lines"]


def test_class_name_of_two_files_is_found_wherever_it_is_defined(tmp_path):
    root = plant(tmp_path, {"project/data/one.py": "class Cell:\n    class Wall:\n        pass\n"})
    plant(root, {"project/data/two.py": "def build():\n    class Cell(Other): ...\n"})
    assert names_of_several(root) == ["Cell: project/data/one.py, project/data/two.py"]
    plant(root, {"project/data/two.py": "Cell = tuple\n\n\nclass Prison: ...\n"})
    assert names_of_several(root) == []
