"""Fields are checked against their annotations at construction, and told in plain words."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import pytest

from project.core.errors import InputError
from project.core.fields import CheckedFields


class Part(CheckedFields):
    """A part that others hold."""


@dataclass(frozen=True)
class Screw(Part):
    turns: int = 3


@dataclass(frozen=True)
class Machine(CheckedFields):
    speed: float = 1.0
    count: int = 1
    on: bool = True
    mode: Literal["slow", "fast"] = "slow"
    name: str | None = None
    parts: Sequence[Part] = ()
    pairs: Sequence[tuple[float, float]] = ((1.0, 1.0),)
    limit: float = float("inf")
    shape: Callable[[int], int] | None = None
    table: Mapping[str, int] | None = None

    def __post_init__(self) -> None:
        if self.count < 1:
            raise InputError("count must be at least 1.")


GOOD = [
    {"speed": 2},
    {"limit": float("inf")},
    {"parts": [Screw()]},
    {"pairs": [[2, 0.5], (1, 0.5)]},
    {"shape": abs},
    {"table": {"a": 1}},
    {"mode": "fast"},
]
BAD = [
    ({"speed": "2"}, "speed must be a finite number, got '2'. Give the number itself"),
    ({"speed": float("nan")}, "finite number, got nan"),
    ({"speed": float("inf")}, "finite number, got inf"),
    ({"speed": True}, "finite number, got True"),
    ({"limit": float("nan")}, "finite number, got nan"),
    ({"count": 2.5}, "count must be a whole number, got 2.5"),
    ({"count": True}, "whole number, got True"),
    ({"on": 1}, "on must be True or False, got 1"),
    ({"mode": "fsat"}, "mode must be one of slow, fast, got 'fsat'. Do you mean fast?"),
    ({"name": 3}, "name must be a text, or None, got 3"),
    ({"parts": Screw()}, "list .* got Screw.* Put it into a list: \\[Screw"),
    ({"parts": [Screw]}, "Give instances: Screw"),
    ({"parts": "screw"}, "must be a list"),
    ({"pairs": [(1.0,)]}, "must be a list"),
    ({"shape": Screw}, "must be a function, or None, got the class Screw"),
    ({"table": {"a": "1"}}, "got {'a': '1'}"),
]


@pytest.mark.parametrize("given", GOOD, ids=str)
def test_what_an_annotation_says_is_taken(given):
    Machine(**given)


@pytest.mark.parametrize(("given", "told"), BAD, ids=lambda value: str(value)[:40])
def test_what_an_annotation_does_not_say_is_refused_in_plain_words(given, told):
    with pytest.raises(InputError, match=f"^Machine's {told}|^Machine's .*{told}"):
        Machine(**given)


def test_kinds_are_checked_before_values_also_in_classes_that_forget_their_base():
    with pytest.raises(InputError, match="whole number"):
        Machine(count="0")
    with pytest.raises(InputError, match="at least 1"):
        Machine(count=0)
    with pytest.raises(InputError, match="Screw's turns must be a whole number"):
        Screw(1.5)


def test_lists_become_tuples_so_that_nothing_changes_and_all_can_be_hashed():
    parts = [Screw()]
    machine = Machine(parts=parts, pairs=[[1.0, 1.0]])
    parts.append(Screw(2))
    assert machine.parts == (Screw(),)
    assert machine == Machine(parts=(Screw(),))
    assert hash(machine) == hash(replace(machine))


def test_names_that_are_unknown_here_are_let_pass():
    @dataclass(frozen=True)
    class Inner(CheckedFields):
        value: "NowhereDefined"  # noqa: F821

    assert Inner(3).value == 3
