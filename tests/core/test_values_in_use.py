"""Values that somebody's own code uses beside its arguments belong to what tells it."""

import importlib
import sys

import numpy as np
import pytest
import torch
from torch import nn

from project.core.arrays import weights_hash
from project.core.contents import any_text_may_name_files, named_file
from project.core.identity import describe

FROM_OUTSIDE = """
import argparse, dataclasses, enum, functools, types
import numpy as np, torch
import held_elsewhere
from held_elsewhere import VALUE

TABLE, KERNEL, PAIR = np.full(2, VALUE), torch.full((2,), VALUE), [torch.full((2,), VALUE)]
ARGUMENTS, SPACE = argparse.Namespace(eps=VALUE), types.SimpleNamespace(eps=VALUE)
NETWORK = torch.nn.Linear(2, 2)
torch.nn.init.constant_(NETWORK.weight, VALUE), torch.nn.init.zeros_(NETWORK.bias)
Level = enum.Enum("Level", {"HIGH": VALUE})
HIGH = Level.HIGH

@dataclasses.dataclass
class Settings:
    eps: float
SETTINGS = Settings(VALUE)

class Plain:
    def __init__(self): self.eps = VALUE
PLAIN = Plain()

class Named(dict): pass
NAMED = Named(eps=VALUE)

def scaled(x, eps): return x * eps
PART = functools.partial(scaled, eps=VALUE)
TABLE_OF = {"scaled": functools.lru_cache(scaled), "other": lambda x: x * ARGUMENTS.eps}

@functools.lru_cache
def kept(x): return x * ARGUMENTS.eps

def made(eps):
    def inner(self, x): return x * eps
    return inner
def decorated(eps):
    def outer(function):
        def inner(*given): return function(*given) * eps
        return inner
    return outer

class An_array:
    def __call__(self, x): return x * TABLE
class A_tensor:
    def __call__(self, x): return x * KERNEL
class A_list_of_tensors:
    def __call__(self, x): return x * PAIR[0]
class A_network:
    def __call__(self, x): return NETWORK(x)
class Arguments_of_a_script:
    def __call__(self, x): return x * ARGUMENTS.eps
class A_namespace:
    def __call__(self, x): return x * SPACE.eps
class A_dataclass:
    def __call__(self, x): return x * SETTINGS.eps
class An_object:
    def __call__(self, x): return x * PLAIN.eps
class A_kind_of_dictionary:
    def __call__(self, x): return x * NAMED["eps"]
class A_member_of_an_enumeration:
    def __call__(self, x): return x * HIGH.value
class A_partial:
    def __call__(self, x): return PART(x)
class A_table_of_functions:
    def __call__(self, x): return TABLE_OF["other"](x)
class A_function_that_remembers:
    def __call__(self, x): return kept(x)
class A_closure:
    run = made(VALUE)
class A_decorator:
    @decorated(VALUE)
    def run(self, x): return x
class A_partial_method:
    run = functools.partialmethod(scaled, eps=VALUE)
class A_default:
    def __call__(self, x, eps=VALUE): return x * eps
class A_default_of_a_keyword:
    def __call__(self, x, *, eps=VALUE): return x * eps
class A_tensor_of_the_class:
    kernel = torch.full((2,), VALUE)
class A_class_inside:
    class Inner:
        eps = VALUE
class An_import_inside:
    def __call__(self, x):
        from held_elsewhere import VALUE
        return x * VALUE
class A_module_that_another_method_names_too:
    def early(self, x): return x * held_elsewhere.SAME
    def late(self, x): return x * held_elsewhere.VALUE
    def never(self, x): return x
class A_file_that_the_code_names:
    def __call__(self, x): return x * np.load("table.npy")
class A_file_by_default:
    def __call__(self, x, path="table.npy"): return x * np.load(path)
"""
USES = [line.split()[1].rstrip(":") for line in FROM_OUTSIDE.splitlines() if line[:7] == "class A"]


@pytest.fixture
def used(tmp_path, monkeypatch):
    """Return a function that describes an object whose code uses a value, set before its import."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "uses_values.py").write_text(FROM_OUTSIDE)
    (tmp_path / "held_elsewhere.py").write_text("SAME = 1\nVALUE = 0\n")
    importlib.invalidate_caches()

    def described(name: str, value: float):
        sys.modules.pop("uses_values", None)
        importlib.import_module("held_elsewhere").VALUE = value
        np.save("table.npy", np.full(2, value))
        return describe(getattr(importlib.import_module("uses_values"), name)())

    yield described
    for name in ("uses_values", "held_elsewhere"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("name", USES)
def test_a_value_that_code_uses_tells_it_whatever_it_is_kept_in(used, name):
    first, other, again = (used(name, value) for value in (0.1, 0.2, 0.1))
    assert first != other
    assert first == again


def test_a_cache_that_fills_on_the_way_changes_nothing(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "caches_tensors.py").write_text(
        "import torch\nCACHE, FIRST = {}, None\nclass Caching:\n"
        "    def __call__(self): CACHE.setdefault(1, torch.ones(2))\n"
    )
    caching = importlib.import_module("caches_tensors").Caching()
    before = describe(caching)
    caching()
    assert describe(caching) == before


@pytest.mark.parametrize("text", ["/", ".", "..", "~", "//"])
def test_signs_in_somebody_elses_object_are_no_folders(text):
    with any_text_may_name_files(True):
        assert named_file(text) is None


def test_it_matters_which_layers_are_the_same_and_which_share_their_weights():
    first, second, third = (nn.Linear(2, 2) for _ in range(3))
    assert describe(nn.Sequential(first, second, first)) != describe(
        nn.Sequential(first, second, second)
    )
    third.weight, third.bias = first.weight, second.bias
    one = nn.Sequential(first, second, third)
    hashed = weights_hash(one)
    third.weight = second.weight
    assert weights_hash(one) != hashed
    assert torch.equal(third.weight, second.weight)
