"""The README's table of attacks, from the code: ``python -m tests.attack_table`` writes it anew.

What an attack does, its source and its options are its docstring's and its constructor's; what it
runs on is what the contract test runs it on.
"""

import inspect
import math
import re
from pathlib import Path

import project.attacks
from project.attacks import Attack
from tests.attacks.test_contract import ABSTRACT, EXTRAS, ROWS

README = Path(__file__).parents[1] / "README.md"
BEGIN = "<!-- attacks: written by python -m tests.attack_table -->\n"
END = "<!-- end of attacks -->\n"
HEAD = "| attack | what it does | tasks | targeted | options and their defaults | source |\n"
KINDS = ("gradient", "black_box", "flow", "other", "ensemble")
LEVELS = {"eps", "step_size"}  # written as k/255 where they are grey levels, or half ones
NOT_SHOWN = {"seed", "targeted"}  # of nearly all, or a column of its own


def attack_table() -> str:
    """Return the table, by the way in which attacks search and then by name."""
    kinds = [value for value in vars(project.attacks).values() if inspect.isclass(value)]
    attacks = {kind for kind in kinds if issubclass(kind, Attack)} - ABSTRACT
    ordered = sorted(attacks, key=lambda kind: (KINDS.index(kind.kind), kind.__name__.lower()))
    return HEAD + "|---" * 6 + "|\n" + "".join(map(line, ordered))


def line(attack: type[Attack]) -> str:
    """Return an attack's row."""
    targeted = "targeted" in inspect.signature(attack).parameters
    does = summary(attack)
    cells = [f"`{attack.__name__}`", does, tasks(attack), "yes" if targeted else "–"]
    return "| " + " | ".join([*cells, options(attack), source(attack)]) + " |\n"


def summary(attack: type[Attack]) -> str:
    """Return the first sentence of a docstring, without its formula."""
    first = (inspect.getdoc(attack) or "").partition("\n\n")[0].replace("\n", " ")
    return first.split(": $$")[0].rstrip(".")


def tasks(attack: type[Attack]) -> str:
    """Return what the contract test runs an attack on, where its library is installed."""
    if attack in EXTRAS:
        return "classification"
    found = {task for row in ROWS.values() if type(row.attack) is attack for task in row.tasks}
    return "both" if len(found) > 1 else "".join(found)


def options(attack: type[Attack]) -> str:
    """Return the constructor's arguments, those that must be given in bold."""
    parameters = inspect.signature(attack).parameters
    return ", ".join(
        f"**`{name}`**" if one.default is one.empty else f"`{name}{default(name, one.default)}`"
        for name, one in parameters.items()
        if name not in NOT_SHOWN
    )


def default(name: str, value: object) -> str:
    """Return how a default is written; None and what is empty say nothing."""
    if value is None or value == ():
        return ""
    if not isinstance(value, float):
        return f"={value}"
    levels = value * 255
    in_levels = name in LEVELS and math.isclose(2 * levels, round(2 * levels))
    return f"={levels:g}/255" if in_levels else f"={value:.3g}"


def source(attack: type[Attack]) -> str:
    """Return first author and year, as the docstring cites them."""
    text = re.sub(r"\s+", " ", inspect.getdoc(attack) or "").partition("Source: ")[2]
    cited = re.match(r'([^"\[]+?), "[^"]+", [^;\[]*?(?:\b((?:19|20)\d\d)\b|arXiv (\d\d))', text)
    if cited is None:
        return "Mirage" if text.startswith("[ours]") else "–"
    authors, year, month = cited.groups()
    return f"{authors} {year or f'20{month}'}"


def written(readme: str) -> str:
    """Return a README with the table as it is now."""
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + attack_table() + END + after


if __name__ == "__main__":
    README.write_text(written(README.read_text()))
