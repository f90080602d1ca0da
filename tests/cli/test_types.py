"""The command line checks the type of every setting, also of classes that inherit their fields.

Where jsonargparse cannot resolve an annotation it takes any value without a word: of a dataclass it
evaluates those of all bases in the module of the class itself.
"""

from dataclasses import dataclass

import pytest
from jsonargparse import ArgumentParser

import project.attacks
import project.saliency
import project.threat_models
from project.attacks import PGD, TargetedAPGD

ROOMS = (project.attacks, project.saliency, project.threat_models)
PUBLIC = sorted(
    {kind for room in ROOMS for kind in vars(room).values() if isinstance(kind, type)},
    key=lambda kind: kind.__name__,
)


@dataclass(frozen=True)
class MyPGD(PGD):
    """A class of the user's own, in a module that imports none of the names of its fields."""

    mine: int = 3


@dataclass(frozen=True)
class MyAPGD(TargetedAPGD):
    """Likewise, over more bases."""


def unchecked(kind: type) -> list[str]:
    """Return the settings of a class whose type is not known to the command line."""
    parser = ArgumentParser(exit_on_error=False)
    added = parser.add_class_arguments(kind, "it", fail_untyped=False)
    types = {action.dest: str(getattr(action, "_typehint", "")) for action in parser._actions}
    return [name for name in added if "Unvalidated" in types[name] or "ForwardRef" in types[name]]


@pytest.mark.parametrize("kind", [*PUBLIC, MyPGD, MyAPGD], ids=lambda kind: kind.__name__)
def test_every_setting_has_a_type_that_is_checked(kind: type):
    assert unchecked(kind) == []


def test_what_cannot_be_checked_is_found():
    class Hidden:
        def __init__(self, size: "NoSuchType") -> None:  # noqa: F821
            self.size = size

    assert unchecked(Hidden) == ["it.size"]
