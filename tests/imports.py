"""What a tree's modules import and define, read from their syntax: nothing is run."""

import ast
from collections.abc import Mapping
from pathlib import Path

Graph = dict[str, set[str]]
"""From a module, such as ``project.attacks.noise.pgd`` or ``attack``, to what it imports."""


def module_files(root: Path) -> dict[str, Path]:
    """Return the files of the package and the scripts beside it, by the modules' names."""
    paths = [*sorted((root / "project").rglob("*.py")), *sorted(root.glob("*.py"))]
    return {module_name(path.relative_to(root)): path for path in paths}


def module_name(path: Path) -> str:
    """Return ``project.attacks`` for project/attacks/__init__.py."""
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_names(path: Path) -> list[str]:
    """Return all that a file imports, wherever in it: under TYPE_CHECKING, inside functions.

    Of ``from project.attacks import PGD`` it is ``project.attacks.PGD``.
    """
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


def class_names(path: Path) -> list[str]:
    """Return the names of all classes that a file defines, wherever in it."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return [node.name for node in nodes if isinstance(node, ast.ClassDef)]


def import_graph(root: Path) -> Graph:
    """Return which modules of a tree import which, as their import statements name them."""
    files = module_files(root)
    return {
        module: {own for name in imported_names(path) if (own := _owner(name, files))}
        for module, path in files.items()
    }


def what_runs(graph: Graph) -> Graph:
    """Return for each module what Python runs when it imports: the packages around it, too.

    Those around the importing module itself are under way by then. They do not count: else every
    module of a package that exports it would depend on all others.
    """
    return {
        module: {
            own
            for name in imports
            for own in {name, *_around(name)} & graph.keys()
            if own not in {module, *_around(module)} or own in imports
        }
        for module, imports in graph.items()
    }


def _around(module: str) -> set[str]:
    """Return the packages that a module is in."""
    parts = module.split(".")
    return {".".join(parts[:length]) for length in range(1, len(parts))}


def _owner(name: str, files: Mapping[str, Path]) -> str:
    """Return the module that a name is, or is in; nothing if it is none of the tree's."""
    if name in files:
        return name
    around = name.rpartition(".")[0]
    return around if around in files else ""


def circles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Return the sets of nodes each of which reaches all others, by Tarjan's algorithm, sorted."""
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        order[node] = lowest[node] = len(order)
        stack.append(node)
        for other in graph.get(node, ()):
            if other not in order:
                visit(other)
                lowest[node] = min(lowest[node], lowest[other])
            elif other in stack:
                lowest[node] = min(lowest[node], order[other])
        if lowest[node] == order[node]:
            place = stack.index(node)
            if len(stack) - place > 1 or node in graph.get(node, ()):
                found.append(sorted(stack[place:]))
            del stack[place:]

    for node in graph:
        if node not in order:
            visit(node)
    return sorted(found)


def reached(graph: Mapping[str, set[str]], start: set[str]) -> set[str]:
    """Return all modules that Python runs to import some, with the packages around them."""
    todo, seen = set(start), set()
    while todo:
        module = todo.pop()
        seen.add(module)
        todo |= (_around(module) & graph.keys() | graph[module]) - seen
    return seen
