"""``mirage list WHAT`` prints what there is, a line each: the names that configs take."""

import argparse
import inspect
import re
from types import ModuleType

import project.attacks
import project.data
import project.saliency
import project.victims
from project.attacks import Attack, GradientRule, InputTransform, Objective
from project.core.errors import plain_errors
from project.data import AttackDataModule
from project.data.synsets import imagenet_synsets
from project.metrics.panel import perceptual_summaries
from project.saliency import Saliency
from project.victims import Victim

_CLASSES: dict[str, tuple[ModuleType, type]] = {
    "attacks": (project.attacks, Attack),
    "rules": (project.attacks, GradientRule),
    "transforms": (project.attacks, InputTransform),
    "objectives": (project.attacks, Objective),
    "saliency": (project.saliency, Saliency),
    "victims": (project.victims, Victim),
    "data": (project.data, AttackDataModule),
}
WHAT = (*_CLASSES, "metrics", "classes")


def listed(what: str) -> dict[str, str]:
    """Return the names of a kind with the first line of what each is, in alphabetical order.

    Args:
        what: one of :data:`WHAT`; ``classes`` are ImageNet's, by their numbers.
    """
    if what == "metrics":
        return perceptual_summaries()
    if what == "classes":
        return {f"{number}": name for number, name in enumerate(imagenet_synsets().values())}
    module, base = _CLASSES[what]
    kinds = {
        kind
        for kind in vars(module).values()
        if inspect.isclass(kind) and issubclass(kind, base) and not _is_base(kind, base)
    }
    named = sorted(kinds, key=lambda kind: kind.__name__.lower())
    return {kind.__name__: _line(kind) for kind in named}


def _is_base(kind: type, base: type) -> bool:
    return kind is base or inspect.isabstract(kind)


def _line(kind: type) -> str:
    """Return the first line of a docstring, without its formulas."""
    first = (kind.__doc__ or "").strip().partition("\n")[0]
    return re.sub(r":? \$\$.*?\$\$", "", first)


def main(arguments: list[str] | None = None) -> None:
    """Print the names of one kind, or of all.

    Args:
        arguments: command line; None is ``sys.argv``.
    """
    parser = argparse.ArgumentParser(prog="mirage list", description=__doc__)
    parser.add_argument("what", nargs="?", choices=WHAT, help="default: all but ImageNet's classes")
    given = parser.parse_args(arguments)
    for what in [given.what] if given.what else WHAT[:-1]:
        found = listed(what)
        width = max(map(len, found))
        print(f"{what}:")
        for name, told in found.items():
            print(f"  {name:<{width}}  {told}")


if __name__ == "__main__":
    with plain_errors():
        main()
