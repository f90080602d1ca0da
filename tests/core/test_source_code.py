"""Code from outside the package is told by its source, and what it imports by theirs."""

import importlib
import linecache
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from project.attacks import PGD
from project.core.errors import UndescribableError
from project.core.identity import describe
from project.core.source_code import code_of

MINE = """
from dataclasses import dataclass
from mine_tools.numbers import EPS
from project.attacks import PGD

@dataclass(frozen=True)
class Mine(PGD):
    def perturb(self, *given):
        import mine_late
        return super().perturb(*given)

class Child(Mine):
    pass
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """Return a function that writes a module of the user's own and its helpers, and imports it."""
    monkeypatch.syspath_prepend(tmp_path)
    files = {
        "mine.py": MINE,
        "mine_tools/__init__.py": "",
        "mine_tools/numbers.py": "from .deeper import DEPTH\nEPS = 8 / 255\n",
        "mine_tools/deeper.py": "DEPTH = 1\n",
        "mine_late.py": "LATE = 1\n",
        "nobodys.py": "NOTHING = 1\n",
    }

    def imported(**changed: str):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(changed.get(path.stem, text))
        importlib.invalidate_caches()
        for name in [n for n in sys.modules if n.startswith("mine")]:
            monkeypatch.delitem(sys.modules, name)
        return importlib.import_module("mine")

    yield imported
    for name in [n for n in sys.modules if n.startswith("mine")]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("changed", "counts"),
    [
        ({}, False),
        ({"mine": MINE + "# a mended bug\n"}, True),
        ({"numbers": "from .deeper import DEPTH\nEPS = 32 / 255\n"}, True),
        ({"deeper": "DEPTH = 2\n"}, True),
        ({"mine_late": "LATE = 2\n"}, True),
        ({"nobodys": "NOTHING = 2\n"}, False),
    ],
)
def test_a_change_counts_in_whatever_file_the_code_uses(mine, changed, counts):
    before = [describe(getattr(mine(), name)()) for name in ("Mine", "Child")]
    after = [describe(getattr(mine(**changed), name)()) for name in ("Mine", "Child")]
    assert [one != other for one, other in zip(before, after, strict=True)] == [counts, counts]


def test_the_package_and_libraries_are_told_by_their_versions():
    assert code_of(PGD) == ""
    assert "code" not in describe(PGD())
    assert code_of(torch.nn.ReLU).startswith(f"torch {torch.__version__.partition('+')[0]}")
    assert code_of(Path).startswith("python 3.")


def test_code_is_told_alike_by_every_process():
    script = (
        "from tests.core import things; from project.core.identity import describe, digest;"
        "from torch import nn;"
        "print(digest(describe([things.MyPGD(), nn.GELU(), things.plain, {'b', 'a', 'c'}])))"
    )
    runs = [
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    assert runs[0].stdout == runs[1].stdout != ""


CELL = """
FACTOR = {factor}

def helper(images):
    return images * FACTOR

class Typed:
    kept = False

    def __call__(self, images):
        return helper(images){more}
"""


def typed(monkeypatch, name: str, factor: int = 1, more: str = "", source: bool = True):
    """Return a class as a notebook defines it: in a module without a file, of known text."""
    text = CELL.format(factor=factor, more=more)
    module = type(sys)("notebook_of_a_test")
    monkeypatch.setitem(sys.modules, "notebook_of_a_test", module)
    if source:
        linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    exec(compile(text, name, "exec"), vars(module))
    return module.Typed


def test_what_a_notebook_defines_is_told_by_the_text_of_its_cells(monkeypatch):
    def told(**given):
        return code_of(typed(monkeypatch, f"<cell {sorted(given.items())}>", **given))

    assert told() == told()
    assert len({told(), told(factor=2), told(more=" + 1")}) == 3


def test_what_has_no_source_is_refused_by_name(monkeypatch):
    with pytest.raises(UndescribableError, match=r"Typed is nowhere to be read.*Move it into a"):
        describe(typed(monkeypatch, "<nowhere>", source=False)())


SET = """
from dataclasses import dataclass
import torch
import mine_tools.numbers as numbers
from mine_tools.numbers import scaled

EPS = 8
UNUSED = 1
CACHE = {}
FILE = "words"

class Base:
    steps = 3

class Mine(Base):
    eps = 8
    file = "noise.npy"
    sizes = (1, 2)
    choice = {"a": [1]}
    seen = {}
    _made = 0

    @torch.no_grad()
    def attack(self, images):
        CACHE[1] = images
        return scaled(images) * EPS * numbers.DEPTH + helped()

def helped():
    def inner():
        return open(FILE)
    return inner()
"""
NUMBERS = "SCALE = 2\nDEPTH = 3\nNOBODYS = 1\ndef scaled(images):\n    return images * SCALE\n"


@pytest.fixture
def running(mine, monkeypatch, tmp_path):
    """Return a module of the user's own, which is running beside two files."""
    monkeypatch.chdir(tmp_path)
    for name in ("noise.npy", "words"):
        Path(name).write_text("1")
    return mine(mine=SET, numbers=NUMBERS)


def numbers():
    return sys.modules["mine_tools.numbers"]


AT_RUN_TIME = {
    "attribute": (lambda own: setattr(own.Mine, "eps", 5), True),
    "attribute of a base": (lambda own: setattr(own.Base, "steps", 5), True),
    "tuple": (lambda own: setattr(own.Mine, "sizes", (1, 3)), True),
    "inside a mapping": (lambda own: own.Mine.choice["a"].append(2), True),
    "private attribute": (lambda own: setattr(own.Mine, "_made", 5), False),
    "global": (lambda own: setattr(own, "EPS", 5), True),
    "unused global": (lambda own: setattr(own, "UNUSED", 5), False),
    "global of a helper": (lambda own: setattr(numbers(), "SCALE", 5), True),
    "global by its module": (lambda own: setattr(numbers(), "DEPTH", 5), True),
    "unused global of a helper": (lambda own: setattr(numbers(), "NOBODYS", 5), False),
    "file of an attribute": (lambda own: Path("noise.npy").write_text("22"), True),
    "file of a global": (lambda own: Path("words").write_text("22"), True),
    "cache": (lambda own: own.CACHE.update({1: torch.zeros(1)}), False),
    "cache of the class": (lambda own: own.Mine.seen.update({1: torch.zeros(1)}), False),
}


@pytest.mark.parametrize(("change", "counts"), AT_RUN_TIME.values(), ids=AT_RUN_TIME.keys())
def test_what_is_set_at_run_time_counts(running, change, counts):
    before = describe(running.Mine())
    assert describe(running.Mine()) == before
    change(running)
    assert (describe(running.Mine()) != before) == counts
