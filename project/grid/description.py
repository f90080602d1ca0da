"""The file format of a grid.

Convention
    attacks   by family; the member of a budget is named FAMILY@BUDGET, which a report draws as a
              point of one curve, such as pgd@4 for 4/255 and chroma_shift@0.5
    data      by name: one experiment each, since a data set has victims of its own
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from project.core.errors import InputError
from project.core.yaml_files import read_yaml
from project.core.yaml_keys import require_text_keys

Budget = str | float
Section = TypeVar("Section")

_ARGUMENT = "eps"  # the argument that is the budget of most attacks


@dataclass(frozen=True)
class Family:
    """One attack at several budgets, or only at its own.

    Args:
        class_path: the attack's class, as in a config.
        init_args: its arguments, likewise.
        budgets: numbers or fractions such as 4/255; without any there is one attack, as given.
        argument: name of the argument that is the budget; dotted for an attack inside, such as
            ``attack.init_args.eps``.
        relative: arguments that are multiples of the budget, such as ``step_size: 1/4``.
    """

    class_path: str
    init_args: dict[str, Any] = field(default_factory=dict)
    budgets: list[Budget] = field(default_factory=list)
    argument: str = _ARGUMENT
    relative: dict[str, Budget] = field(default_factory=dict)

    def members(self, name: str) -> dict[str, dict[str, Any]]:
        """Return the family's attacks by name, each as in a config.

        Raises:
            ValueError: if a budget is not a number, two are equal or have the same name, or there
                is none though ``relative`` has arguments.
        """
        if not self.budgets:
            if self.relative or self.argument != _ARGUMENT:
                raise InputError(
                    f"{name} must have budgets for its argument {self.argument!r} and what is "
                    f"relative to it ({', '.join(self.relative) or 'nothing'}), got none. Add "
                    "budgets, or write the values into init_args."
                )
            return {name: self._member({})}
        found = {f"{name}@{_label(budget)}": self._at(number(budget)) for budget in self.budgets}
        if min(len(found), len({number(budget) for budget in self.budgets})) < len(self.budgets):
            raise InputError(
                f"the budgets of {name} must differ, and be written in one unit, got "
                f"{self.budgets}. Leave out what is there twice."
            )
        return found

    def _at(self, budget: float) -> dict[str, Any]:
        follows = {name: number(factor) * budget for name, factor in self.relative.items()}
        return self._member({self.argument: budget} | follows)

    def _member(self, values: Mapping[str, float]) -> dict[str, Any]:
        arguments = self.init_args
        for name, value in values.items():
            arguments = _replaced(arguments, name, value)
        return {"class_path": self.class_path, "init_args": arguments}


@dataclass(frozen=True)
class Place:
    """One data set with its victims.

    Args:
        configs: the config files of data and victims.
        attacks: names of the grid's families to use; None is every one.
        sources: names of the victims to attack; None is every one.
        arguments: further arguments, as on the command line.
    """

    configs: list[str]
    attacks: list[str] | None = None
    sources: list[str] | None = None
    arguments: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Grid:
    """Attacks × budgets × sources × data.

    Args:
        folder: the grid's folder; each data set's results are in a folder of its name there.
        attacks: families by name.
        data: data sets by name.
        title: heading of the reports.
        arguments: further arguments of every experiment, as on the command line.
    """

    folder: str
    attacks: dict[str, Family]
    data: dict[str, Place]
    title: str = "Grid"
    arguments: list[str] = field(default_factory=list)


def read_grid(path: Path) -> Grid:
    """Read a grid's file.

    Raises:
        ValueError: if it cannot be read, is not YAML, or does not describe a grid.
    """
    try:
        content = read_yaml(path)
    except OSError as error:
        raise InputError(
            f"the grid {str(path)!r} must be a file that can be read, got: {error.strerror}. "
            "Correct the path."
        ) from error
    found = _section(Grid, content, str(path))
    attacks = {
        name: _section(Family, family, f"attacks.{name}") for name, family in found.attacks.items()
    }
    data = {name: _section(Place, place, f"data.{name}") for name, place in found.data.items()}
    return Grid(found.folder, attacks, data, found.title, found.arguments)


def number(written: Budget) -> float:
    """Convert a budget, a number or a fraction, to a float.

    Raises:
        ValueError: if it is neither.
    """
    numerator, _, denominator = str(written).partition("/")
    try:
        return float(numerator) / float(denominator or 1)
    except (ValueError, ZeroDivisionError):
        raise InputError(
            f"a budget must be a number or a fraction such as 4/255, got {written!r}."
        ) from None


def _label(budget: Budget) -> str:
    numerator, _, denominator = str(budget).partition("/")
    return numerator if denominator in ("", "255") else f"{number(budget):g}"


def _replaced(arguments: Any, name: str, value: float) -> dict[str, Any]:
    if not isinstance(arguments, Mapping):
        raise InputError(
            f"a dotted argument must lead into an attack inside, got {name!r} of {arguments!r}. "
            "Write it like attack.init_args.eps."
        )
    first, _, rest = name.partition(".")
    inner = _replaced(arguments.get(first, {}), rest, value) if rest else value
    return {**arguments, first: inner}


def _section(kind: type[Section], content: Any, where: str) -> Section:
    """Build a dataclass of the grid, checking its keys and the types of their values."""
    known = {one.name: one for one in fields(kind)}  # type: ignore[arg-type]
    if not isinstance(content, dict) or content.keys() - known.keys():
        raise InputError(f"{where} must be of {', '.join(known)}; got {content!r}.")
    required = [
        name
        for name, one in known.items()
        if one.default is MISSING and one.default_factory is MISSING
    ]
    missing = [name for name in required if not content.get(name)]
    if missing:
        raise InputError(f"{where} needs {', '.join(missing)}; got {content!r}.")
    for name, hint in get_type_hints(kind).items():
        if name in content and not isinstance(content[name], _kinds(hint)):
            raise InputError(f"{where}.{name} must be {hint}, got {content[name]!r}.")
        if isinstance(content.get(name), dict):
            require_text_keys(f"{where}.{name}", content[name])
    return kind(**content)


def _kinds(hint: Any) -> tuple[type, ...]:
    """Return the classes of a type hint's values: dict for dict[str, Any]."""
    origin = get_origin(hint)
    if origin in (dict, list):
        return (origin,)
    return tuple(kind for part in get_args(hint) for kind in _kinds(part)) or (hint,)
