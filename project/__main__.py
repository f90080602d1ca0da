"""``mirage COMMAND …``: every command of the project under one name.

``python -m project COMMAND …`` is the same. ``attack.py`` and ``train.py`` are two of them.
"""

import runpy
import sys
from collections.abc import Callable
from functools import partial

from project.core.choices import choose
from project.core.errors import InputError, plain_errors

_STORED = "What was attacked is in the store (--attack.store): the same command goes on from there."
_CHECKPOINTS = (
    "Checkpoints written so far are kept: add --ckpt_path FILE to go on from one, or begin anew. "
    "configs/train/resumable.yaml writes them as it goes."
)


# Imports of what takes seconds to load stand inside of plain_errors: Ctrl-C may come then, too.
def attack(args: list[str] | None = None) -> None:
    """Run an experiment; with ``--grid``, a grid of them."""
    args = sys.argv[1:] if args is None else args
    with plain_errors(_STORED):
        if any(argument.split("=")[0] == "--grid" for argument in args):
            from project.grid import grid_main  # noqa: PLC0415

            grid_main(args)
        else:
            from project.cli import attack_main  # noqa: PLC0415

            attack_main(args)


def grid(args: list[str]) -> None:
    """Run a grid, whose file is the first argument."""
    file, rest = args[:1], args[1:]
    if not file or file[0].startswith("-"):
        with plain_errors():
            raise InputError(
                "mirage grid must be given the grid's file first, such as "
                f"configs/grids/shapes.yaml, got {file[0] if file else 'nothing'}."
            )
    attack(["--grid", *file, *rest])


def train(args: list[str] | None = None) -> None:
    """Fit, validate or test a victim or a saliency network."""
    with plain_errors(_CHECKPOINTS):
        from project.cli import train_main  # noqa: PLC0415

        train_main(args)


def _module(name: str) -> Callable[[list[str]], None]:
    return partial(_run_module, name)


def _run_module(name: str, args: list[str]) -> None:
    sys.argv[1:] = args  # where it looks for them
    runpy.run_module(name, run_name="__main__")


COMMANDS: dict[str, tuple[Callable[[list[str]], None], str]] = {
    "attack": (attack, "data × victims × attacks × sources, from YAML; without any, the default"),
    "train": (train, "fit, validate or test a victim or a saliency network"),
    "grid": (grid, "attacks × budgets × sources × data from one file"),
    "list": (_module("project.cli.listing"), "what there is: attacks, victims, data, metrics …"),
    "explain": (_module("project.explain"), "one sample's adversarial image again, and its story"),
    "report": (_module("project.report"), "a run's page and tables again, from its rows"),
    "check": (_module("project.check"), "whether a run's files and images are as written"),
    "study": (_module("project.study"), "what people see: a study on a local page"),
    "dashboard": (_module("project.tracking.dashboard"), "the W&B workspace of a run"),
    "largest-batch": (_module("project.largest_batch"), "the most images that fit into memory"),
}


def main() -> None:
    """Run the command that the first argument names, with the others as its own.

    ``sys.argv`` stays whole, since Lightning starts further processes of an experiment by it.
    """
    name, rest = (sys.argv[1] if len(sys.argv) > 1 else "--help"), sys.argv[2:]
    if name in ("-h", "--help"):
        print(_usage())
        return
    if name not in COMMANDS:
        with plain_errors():
            choose("the command", COMMANDS, name)
    COMMANDS[name][0](rest)


def _usage() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {told}" for name, (_, told) in COMMANDS.items()]
    head = "usage: mirage COMMAND [-h] …\n\nImperceptible and transferable attacks on vision models"
    return "\n".join([head, "", *lines, "", "mirage COMMAND --help tells its options."])


if __name__ == "__main__":
    main()
