"""What the command line refuses, on one line: what is wrong, what is near to it, what is accepted.

jsonargparse tells a mistake as a tree: the option, the class given there, the option of that class,
and so on; where a field takes one of several types, a branch for each of them. Here the tree is
followed down to the one place where the mistake is.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections import abc
from collections.abc import Callable, Iterable, Iterator
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_origin

from jsonargparse import ArgumentParser

Found = re.Match[str]

_OPTION = re.compile(r'Parser key "(?P<key>[^"]+)":')
_CLASS = re.compile(r"Problem with given class_path '(?P<path>[^']+)':")
_BRANCH = re.compile(r"^\s*- ")
# Of a union's branches these say the least: the value was not meant for them.
_UNMEANT = re.compile(
    r"Expected a <class '(NoneType|list|dict|bool|str|int)'>|Expected a path but|"
    r"expects a function or a callable class|Expected a typing\.Literal\[\d"
)
_UNION = ("Subtypes:", "Errors:", "Given value", "Does not validate against any of the Union")
_LITERAL = re.compile(r"Expected a typing\.Literal\[(.+?)\]")
_SHOWN = 12  # names that are listed
_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "text",
    "list": "a list",
    "dict": "settings (key: value)",
    "NoneType": "left out",
}


def told(message: str, parser: ArgumentParser) -> str:
    """Return jsonargparse's message as one line.

    Args:
        message: as jsonargparse raises it, of several lines.
        parser: the command line's parser, which knows the options and their types.
    """
    mistake = _mistake(_meant([line for line in message.splitlines() if line.strip()]))
    return " ".join(_sentence(mistake, message, parser).split())


class Mistake(NamedTuple):
    """Where a mistake is.

    Attributes:
        place: the options on the way down.
        kind: the innermost class given, if any.
        told: what jsonargparse says of it.
    """

    place: list[str]
    kind: str | None
    told: str

    @property
    def where(self) -> str:
        """The options on the way down, as one name."""
        return ".".join(self.place)


def _meant(lines: list[str]) -> list[str]:
    """Leave of each union the one branch that says most about the mistake."""
    while starts := [place for place, line in enumerate(lines) if _BRANCH.match(line)]:
        start = end = starts[0]
        indent = _indent(lines[start])
        while end < len(lines) and _indent(lines[end]) >= indent:
            end += 1
        branches: list[list[str]] = []
        for line in lines[start:end]:
            if _BRANCH.match(line) and _indent(line) == indent:
                branches.append([line[:indent] + line[indent + 2 :]])
            elif not line.lstrip().startswith(_UNION[:3]):
                branches[-1].append(line)
        lines = [*lines[:start], *min(branches, key=_dull), *lines[end:]]
    return [line for line in lines if not line.lstrip().startswith(_UNION)]


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _dull(branch: list[str]) -> int:
    """Return how little a branch says: 0 where it leads into a class that was given."""
    if any(_CLASS.search(line) for line in branch):
        return 0
    return 2 if _UNMEANT.search(branch[0]) else 1


def _mistake(lines: list[str]) -> Mistake:
    """Follow the tree down to its leaf."""
    place: list[str] = []
    kind = None
    rest = []
    for line in lines:
        option, given = _OPTION.search(line), _CLASS.search(line)
        if option:
            place.append(option["key"])
        elif given:
            kind = given["path"]
        found = option or given
        rest.append(line[found.end() :] if found else line)
    return Mistake(place, kind, " ".join(" ".join(rest).split()))


def _sentence(mistake: Mistake, message: str, parser: ArgumentParser) -> str:
    """Return the sentence for a mistake, with what is near and what is accepted."""
    for pattern, sentence in _SENTENCES.items():
        if found := re.search(pattern, mistake.told):
            return sentence(mistake, found, message, parser)
    where, leaf = mistake.where, mistake.told
    return f"{where}: {leaf}" if where and not leaf.startswith(where) else leaf


def _no_option(mistake: Mistake, found: Found, message: str, parser: ArgumentParser) -> str:
    if mistake.kind is None:
        return _no_argument(mistake, found, message, parser)
    owner = mistake.kind.rpartition(".")[2]
    return _unknown(f"{owner} has no option {found[1]!r}", found[1], _settings(mistake.kind))


def _not_in_group(mistake: Mistake, found: Found, message: str, parser: ArgumentParser) -> str:
    group, name = found[1], found[2]
    known = [one.removeprefix(f"{group}.") for one in _options(parser, f"{group}.")]
    return _unknown(f"{group} has no option {name!r}", name, known)


def _no_argument(mistake: Mistake, found: Found, message: str, parser: ArgumentParser) -> str:
    first = found[1].split()[0]
    name = first.lstrip("-").partition("=")[0]
    if mistake.told.startswith("unrecognized") and not first.startswith("-"):
        return f"arguments must be options, written --KEY VALUE or --KEY=VALUE, got {first!r}."
    group, dot, _ = name.partition(".")
    known = _options(parser, group + dot)
    if known and dot:
        return _unknown(f"there is no option {name!r}", name, known)
    groups = list(dict.fromkeys(one.partition(".")[0] for one in _options(parser)))
    near = close(group, groups)
    within = close(name, _options(parser, f"{near[0]}.")) if near and dot else []
    return _unknown(f"there is no option {name!r}", name, groups, within or near)


def _no_class(mistake: Mistake, found: Found, message: str, parser: ArgumentParser) -> str:
    known = sorted(_names(mistake.place, mistake.kind, parser))
    sentence = f"{mistake.where} must name a class, and there is none of the name {found[1]!r}"
    return _unknown(sentence, found[1], known)


def _other_kind(mistake: Mistake, found: Found, message: str, parser: ArgumentParser) -> str:
    known = sorted(_names(mistake.place, mistake.kind, parser))
    sentence = f"{mistake.where} must be a kind of {found[2]}, got {found[1]}, which is none"
    return _unknown(sentence, found[1].rpartition(".")[2], known)


def _denied(mistake: Mistake, found: Found, message: str, parser: ArgumentParser) -> str:
    return (
        f"{mistake.where} must name a class of Mirage, of an installed library or of your own, got "
        f"{found[1]!r} of Python's standard library, which no config may import."
    )


def _not_importable(mistake: Mistake, found: Found, message: str, parser: ArgumentParser) -> str:
    """Say whether the module of a dotted path is unknown, or the name in the module."""
    path = mistake.kind or found[2]
    module, _, name = path.rpartition(".")
    while module and module not in sys.modules:
        module, _, name = module.rpartition(".")
    if module:
        near = [f"{module}.{one}" for one in close(name, vars(sys.modules[module]))]
    else:
        near = close(name, {one for one in sys.modules if "." not in one})
    sentence = f"{mistake.where} must name a class, and {path!r} cannot be imported"
    hint = _unknown(sentence, name, [], near)
    return f"{hint} A module of your own is found in the current folder and on PYTHONPATH."


def _no_choice(mistake: Mistake, found: Found, message: str, parser: ArgumentParser) -> str:
    every = [one for names in _LITERAL.findall(message) for one in names.split(",")]
    known = list(dict.fromkeys(one.strip().strip("'") for one in every))
    value = re.findall(r"(?:Got|Given) value: (.+)", message)
    given = value[-1] if value else "another"
    return _unknown(
        f"{mistake.where} must be one of {', '.join(known)}, got {given!r}",
        given,
        [],
        close(given, known),
    )


def _no_type(mistake: Mistake, found: Found, message: str, parser: ArgumentParser) -> str:
    value = re.findall(r"(?:Got|Given) value: (.+)", message)
    given = f", got {value[-1]!r}" if value else ""
    return f"{mistake.where} must be {_WORDS.get(found[1], found[1])}{given}."


def _no_file(mistake: Mistake, found: Found, message: str, parser: ArgumentParser) -> str:
    given = Path(found[1])
    folder = next((one for one in given.parents if one.is_dir()), Path())
    files = [str(one.relative_to(folder)) for one in sorted(folder.glob("*.y*ml"))]
    beside = _listed(close(given.name, files) or files) or "no YAML files"
    return f"the config {found[1]!r} must be a file, and there is none. {folder} has {beside}."


def _abstract(mistake: Mistake, found: Found, message: str, parser: ArgumentParser) -> str:
    known = sorted(_names(mistake.place, mistake.kind, parser))
    where = mistake.where
    return (
        f"{where} must name a class before its settings, one of {_listed(known)}: --{where} NAME."
    )


def _required(mistake: Mistake, found: Found, message: str, parser: ArgumentParser) -> str:
    return f"{found[1]} must be named. Add a --config that does; configs/ has many."


_SENTENCES: dict[str, Callable[[Mistake, Found, str, ArgumentParser], str]] = {
    r"Option '(.+?)' is not accepted": _no_option,
    r"Group '(.+?)' does not accept option '(.+?)'": _not_in_group,
    r"unrecognized arguments: (.+)": _no_argument,
    r"Expected a dot import path string: (\S+)": _no_class,
    r"Import path (\S+) does not correspond to a subclass of (\S+)": _other_kind,
    r"Importing '(.+?)' is not allowed": _denied,
    r"(?:module '(.+?)' has no attribute|No module named) '(.+?)'": _not_importable,
    _LITERAL.pattern: _no_choice,
    r"Expected a <class '(.+?)'>": _no_type,
    r"File does not exist: '(.+?)'": _no_file,
    r"(\S+) is abstract": _abstract,
    r"following arguments are required: (.+)": _required,
}
"""By what jsonargparse says, in the order in which they are looked for."""


def _unknown(sentence: str, name: str, known: Iterable[str], near: list[str] | None = None) -> str:
    """Return a sentence with the names near to a wrong one, and the first of those accepted."""
    names = list(dict.fromkeys(known))
    near = close(name, names) if near is None else near
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    accepted = f" Accepted: {_listed(names)}." if names else ""
    return f"{sentence}.{hint}{accepted}"


def close(name: str, known: Iterable[str]) -> list[str]:
    """Return up to three known names about as near to a wrong one as the nearest, best first.

    Case, underscores and hyphens do not count, as they are what one misremembers.
    """
    alike = {one: SequenceMatcher(None, _form(name), _form(one)).ratio() for one in known}
    best = max(alike.values(), default=0.0)
    least = max(0.6, best - 0.05)
    found = [one for one, ratio in alike.items() if ratio >= least]
    return sorted(found, key=lambda one: -alike[one])[:3]


def _form(name: str) -> str:
    return re.sub(r"[_\-\s]", "", name).lower()


def _listed(names: list[str]) -> str:
    more = f" … ({len(names)} in all)" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _options(parser: ArgumentParser, beginning: str = "") -> list[str]:
    """Return the names of the command line's options that begin so."""
    return [
        action.dest
        for action in parser._actions
        if action.option_strings
        and action.dest.startswith(beginning)
        and action.dest not in ("help", "config", "print_config")
        and not action.dest.endswith(".help")
    ]


def _settings(path: str) -> list[str]:
    """Return the settings of a class that parsing has imported."""
    kind = _class(path)
    try:
        signature = inspect.signature(kind) if kind is not None else None
    except (TypeError, ValueError):
        signature = None
    return [] if signature is None else [name for name in signature.parameters if name != "self"]


def _class(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(sys.modules.get(module), name, None)


def _names(place: list[str], kind: str | None, parser: ArgumentParser) -> Iterator[str]:
    """Yield the short names of the classes that a field takes, by its type."""
    for base in _bases(place, kind, parser):
        for one in _subclasses(base):
            if not one.__name__.startswith("_") and not inspect.isabstract(one):
                yield one.__name__


def _bases(place: list[str], kind: str | None, parser: ArgumentParser) -> set[type]:
    """Return the classes in the type of the innermost option, of a class or the command line."""
    owner = parser
    if kind is not None and len(place) > 1 and (found := _class(kind)) is not None:
        owner = ArgumentParser(exit_on_error=False)
        owner.add_class_arguments(found, fail_untyped=False)
    name = place[-1] if place else ""
    types = [getattr(one, "_typehint", None) for one in owner._actions if one.dest == name]
    return {base for one in types for base in _classes(one)}


def _classes(hint: Any) -> Iterator[type]:
    if inspect.isclass(hint) and not get_args(hint):
        if hint.__module__ != "builtins":
            yield hint
    elif get_origin(hint) is not abc.Callable:
        for part in get_args(hint):
            yield from _classes(part)


def _subclasses(kind: type) -> set[type]:
    below: list[type] = type.__subclasses__(kind)
    return {kind}.union(*(_subclasses(one) for one in below))
