"""The classes that values in masks mean: ids of up to 16 bits, or colours."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from project.core.errors import InputError
from project.core.folders import FileError
from project.core.losses import VOID
from project.core.raster import Raster, require_lossless, whole_ids
from project.core.yaml_files import read_yaml
from project.data.decoding import Pixels, SampleError

Classes = str | Sequence[str] | Mapping[str | int, str | int | None]
"""A YAML file, names in the order of ids, or a map from ids or colours to names or numbers."""

_HIGHEST_ID = 2**16 - 1
_HEX = re.compile(r"#([0-9a-fA-F]{2})([0-9a-fA-F]{2})([0-9a-fA-F]{2})")
_TRIPLE = re.compile(r"[\[(]?\s*(\d{1,3})\s*[, ]\s*(\d{1,3})\s*[, ]\s*(\d{1,3})\s*[\])]?")
_ID = re.compile(r"\d{1,5}")
_SHOWN = 3  # values that a message names
_FORM = (
    "Write a list of names, or a map such as {0: background, 255: object} or "
    '{"128, 64, 128": road, "#e8232d": car}, null for void.'
)


class MaskClasses(NamedTuple):
    """What the values of masks mean.

    Attributes:
        names: one per class.
        values: from ids, or colours as 0xRRGGBB, to classes (255 = void).
        colours: whether the values are colours.
    """

    names: tuple[str, ...]
    values: dict[int, int]
    colours: bool

    def classes_of(self, picture: Raster) -> Pixels:
        """Return the classes of a mask's pixels.

        Returns:
            (H, W) uint8, 255 where void.

        Raises:
            SampleError: naming values that have no class with their number of pixels, or what
                kind of values the file holds instead.
        """
        stored = self.stored(picture)
        known = np.array(sorted(self.values), np.int64)
        meant = np.array([self.values[value] for value in known.tolist()], np.uint8)
        places = np.searchsorted(known, stored).clip(max=len(known) - 1)
        strange = known[places] != stored
        if strange.any():
            raise SampleError(self._about(stored[strange], stored.size))
        classes: Pixels = meant[places]
        return classes

    def stored(self, picture: Raster) -> NDArray[np.int64]:
        """Return a mask's values as they are stored, (H, W), colours as 0xRRGGBB."""
        try:
            if self.colours:
                return _colours(picture)
            if picture.image.mode in ("RGB", "RGBA"):
                raise SampleError(
                    "a mask of ids must have one channel, got colours; map them to classes, as in "
                    'classes: {"128, 64, 128": road}'
                )
            return whole_ids(picture)
        except FileError as error:
            raise SampleError(str(error)) from error

    def _about(self, strange: NDArray[np.int64], total: int) -> str:
        values, counts = np.unique(strange, return_counts=True)
        often = np.argsort(-counts, kind="stable")[:_SHOWN]
        told = [f"{self._written(int(values[k]))} at {counts[k]} pixels" for k in often]
        more = f" and {len(values) - _SHOWN} more" if len(values) > _SHOWN else ""
        kind = "colours" if self.colours else "ids"
        return (
            f"all {kind} must be in the map of classes, got {', '.join(told)}{more} "
            f"({len(strange) / total:.2%} of the mask)"
        )

    def _written(self, value: int) -> str:
        return f"#{value:06x}" if self.colours else str(value)


def read_classes(
    classes: Classes,
    root: Path,
    *,
    ignore: Sequence[int | str] | None,
    reduce_zero_label: bool,
) -> MaskClasses:
    """Return what a map of classes says.

    Args:
        classes: the map, or the YAML file that holds it, relative to the root.
        root: the data set's folder.
        ignore: ids or colours, as they are stored, that are void; None: the id 255.
        reduce_zero_label: whether id 0 is void, and k is class k - 1 of the map.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: naming the entry that is none, or means two things.
    """
    where = "classes"
    if isinstance(classes, str):
        where = str(root / classes)
        classes = _from_file(root / classes)
    entries = _entries(classes, where)
    kinds = {value.colour for value in entries}
    if len(kinds) > 1:
        raise InputError(f"{where} must map ids, or colours, and got both. {_FORM}")
    colours = kinds == {True}
    if colours and reduce_zero_label:
        raise InputError(
            f"reduce_zero_label is for masks of ids, and {where} maps colours. Leave it out, and "
            "map the colour that counts as void to null."
        )
    names, values = _numbered(entries, where)
    if reduce_zero_label:
        values = {0: VOID} | {value + 1: number for value, number in values.items()}
    if ignore is None:
        return MaskClasses(names, values if colours else {VOID: VOID} | values, colours)
    void = [_value(value, "ignore") for value in ignore]
    if any(value.colour != colours for value in void):
        raise InputError(f"ignore must name {'colours' if colours else 'ids'}, as {where} does.")
    twice = next((v.text for v in void if values.get(v.code, VOID) != VOID), None)
    if twice is not None:
        raise InputError(f"a value is a class or void, got {twice} in both ignore and {where}.")
    return MaskClasses(names, values | {value.code: VOID for value in void}, colours)


class _Entry(NamedTuple):
    """A value of masks, whether it is a colour, how it was written, and what it means."""

    code: int
    colour: bool
    text: str
    meaning: str | int | None = None


def _from_file(path: Path) -> Any:
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} must be a YAML file of classes, but there is none. Set --data.root and "
            "--data.classes."
        )
    return read_yaml(path)


def _entries(classes: Any, where: str) -> list[_Entry]:
    if isinstance(classes, Mapping):
        entries = [_value(key, where)._replace(meaning=classes[key]) for key in classes]
    elif isinstance(classes, Sequence) and not isinstance(classes, str):
        entries = [_Entry(k, False, str(k), name) for k, name in enumerate(classes)]
        named = [entry.meaning for entry in entries]
        twice = next((name for name in named if named.count(name) > 1), None)
        if twice is not None:
            raise InputError(f"{where} must name each class once, got {twice!r} twice.")
    else:
        raise InputError(f"{where} must say what masks hold, got {classes!r}. {_FORM}")
    codes: dict[int, str] = {}
    for entry in entries:
        if entry.code in codes:
            raise InputError(
                f"{where} must name each value once, got {codes[entry.code]} and {entry.text}."
            )
        codes[entry.code] = entry.text
    return entries


def _value(key: Any, where: str) -> _Entry:
    """Read an id or a colour."""
    text = str(key).strip()
    if isinstance(key, bool):
        raise InputError(f"{where} must map ids or colours, got {key!r}. {_FORM}")
    if _ID.fullmatch(text) and int(text) <= _HIGHEST_ID:
        return _Entry(int(text), False, text)
    found = _HEX.fullmatch(text)
    levels = [int(part, 16) for part in found.groups()] if found else []
    if found := _TRIPLE.fullmatch(text):
        levels = [int(part) for part in found.groups()]
    if not levels or max(levels) > 255:
        raise InputError(
            f"{where} must map ids 0 … {_HIGHEST_ID} or colours, got {text!r}. {_FORM}"
        )
    red, green, blue = levels
    return _Entry(red << 16 | green << 8 | blue, True, text)


def _numbered(entries: Sequence[_Entry], where: str) -> tuple[tuple[str, ...], dict[int, int]]:
    """Number the classes: as the map does, or by the first mention of each name."""
    meant = [entry.meaning for entry in entries if entry.meaning is not None]
    wrong = [one for one in meant if isinstance(one, bool) or not isinstance(one, str | int)]
    if wrong or len({type(one) for one in meant}) != 1:
        told = f"{wrong[0]!r}" if wrong else "both" if meant else "none"
        raise InputError(f"{where} must give names of classes, or numbers, got {told}. {_FORM}")
    if isinstance(meant[0], int):
        highest = max(int(one) for one in meant)
        names = tuple(map(str, range(min(highest, VOID) + 1)))
    else:
        names = tuple(dict.fromkeys(map(str, meant)))
    numbers = {name: number for number, name in enumerate(names)}
    if len(names) > VOID or any(str(one) not in numbers for one in meant):
        raise InputError(
            f"{where} must name at most {VOID} classes, numbered from 0, got {meant[-1]!r} as "
            f"the last of {len(names)}. Map what you do not evaluate to null."
        )
    values = {
        entry.code: VOID if entry.meaning is None else numbers[str(entry.meaning)]
        for entry in entries
    }
    return names, values


def _colours(picture: Raster) -> NDArray[np.int64]:
    require_lossless(picture)
    if picture.deep:
        raise SampleError("a mask of colours must have 8 bits a channel, got more")
    levels = np.array(picture.image.convert("RGB")).astype(np.int64)
    packed: NDArray[np.int64] = levels[..., 0] << 16 | levels[..., 1] << 8 | levels[..., 2]
    return packed
