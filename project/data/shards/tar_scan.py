"""The scan of a tar's headers: which samples lie where.

Convention (WebDataset's)
    key        a member's path up to the first dot of its name; members of one key lie side by side
    field      what follows that dot, in lower case: ``jpg``, ``cls``, ``seg.png``
    passed     folders, links, hidden members, those without a dot, and keys such as ``__meta__``
"""

from __future__ import annotations

import io
import os
import re
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from project.core.errors import InputError
from project.core.json_text import parse_json
from project.data.decoding import SampleError
from project.data.files import class_number
from project.data.shards.shards import Numbers
from project.data.shards.texts import Texts

_MEMBER = re.compile(r"((?:.*/)?[^./]+)\.([^/]+)")
_META = re.compile(r"(?:.*/)?__[^/]*__")
_BLOCK = 512  # bytes, of which tars are made
_BEHIND = 22 * _BLOCK  # to which tars are padded and a bit more, where joined ones would go on
_LARGEST_LABEL = 1 << 20  # bytes
_SHOWN = 40  # characters of what is no class
_KNOWN = 120  # characters of what a JSON holds instead


class Fields(NamedTuple):
    """Which members of a key are its photo and its target.

    Attributes:
        photo: the fields that may be the photo.
        target: those that may be its class, or its mask.
        mask: whether the target is a mask.
        label_key: the entry of a JSON field that is the class, with dots where it lies deeper.
    """

    photo: tuple[str, ...]
    target: tuple[str, ...]
    mask: bool
    label_key: str


class TarIndex(NamedTuple):
    """The samples of one tar.

    Attributes:
        keys: one per sample.
        places: (N, 2) or with masks (N, 4) int64: offset and size of the photo, and of the mask.
        labels: (N,) int64, classes as they are stored; empty where there are masks.
        faults: why samples cannot be used.
        found: the fields that the tar has.
    """

    keys: Texts
    places: Numbers
    labels: Numbers
    faults: dict[int, str]
    found: list[str]


class _Part(NamedTuple):
    """Where a member's content lies, or why it is of no use."""

    offset: int
    size: int
    fault: str = ""


def scan_tar(path: Path, fields: Fields) -> TarIndex:
    """Find the samples of a tar; only headers and classes are read.

    Raises:
        InputError: naming a tar that is damaged or cut off, or one whose keys do not lie together.
    """
    listing = _Listing(fields)
    with path.open("rb") as file:
        for name, part in _members(path, file):
            found = _MEMBER.fullmatch(name)
            if found is None or _META.fullmatch(found[1]):
                continue
            key, suffix = found[1], found[2].lower()
            if not listing.add(key, suffix, part):
                raise InputError(
                    f"{path}: the members of a key must lie side by side, and those of {key!r} do "
                    "not, or two samples have this key. Pack the tar anew, sorted: tar --sort=name"
                )
        return listing.index(file)


def _members(path: Path, file: io.BufferedReader) -> Iterator[tuple[str, _Part]]:
    """Yield the names of the regular files in a tar, and where their contents lie."""
    size = os.fstat(file.fileno()).st_size
    try:
        with tarfile.open(fileobj=file, mode="r:") as tar:
            while (member := tar.next()) is not None:
                tar.members.clear()  # type: ignore[attr-defined] # it would keep a KB of each
                if member.offset_data + member.size > size:
                    raise InputError(_cut_off(path, f"it ends within {member.name!r}"))
                if not member.isreg():
                    continue
                if not _is_text(member.name):
                    raise InputError(
                        f"{path}: names of members must be valid UTF-8, got {member.name!r}. "
                        "Rename it and pack the tar anew."
                    )
                fault = "is stored with holes (sparse)" if member.issparse() else ""
                yield member.name, _Part(member.offset_data, member.size, fault)
            end = tar.offset
    except tarfile.TarError as error:
        if "unexpected end of data" in str(error):
            raise InputError(_cut_off(path, "its last member is not whole")) from error
        raise InputError(
            f"{path}: must be a tar that is not compressed, and cannot be read: {error}. Fetch or "
            "pack it anew."
        ) from error
    except OSError as error:
        raise InputError(f"{path}: the shard cannot be read: {error.strerror}.") from error
    _check_end(path, file, end)


def _check_end(path: Path, file: io.BufferedReader, end: int) -> None:
    """Check that nothing but zeros follow the last member: tarfile ends at damage in silence."""
    behind = os.pread(file.fileno(), _BEHIND, end)
    if len(behind) < _BLOCK:
        raise InputError(_cut_off(path, "it has no end mark"))
    if any(behind[:_BLOCK]):
        raise InputError(f"{path}: is damaged at byte {end}. Fetch or pack it anew.")
    if any(behind):
        raise InputError(
            f"{path}: goes on behind its end mark, as tars that were joined do. Give its parts a "
            "file each, or pack it anew."
        )


def _cut_off(path: Path, told: str) -> str:
    return f"{path}: the shard is cut off: {told}. Fetch or pack it anew."


def _is_text(name: str) -> bool:
    return name == name.encode(errors="ignore").decode()


@dataclass
class _Listing:
    """Samples as they are found, key by key."""

    fields: Fields
    keys: list[str] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    labels: list[_Part] = field(default_factory=list)
    faults: dict[int, str] = field(default_factory=dict)
    found: set[str] = field(default_factory=set)
    seen: set[str] = field(default_factory=set)
    key: str | None = None
    parts: dict[str, _Part] = field(default_factory=dict)

    def add(self, key: str, suffix: str, part: _Part) -> bool:
        """Take a member; return False if other members were between those of its key."""
        if key != self.key:
            self._flush()
            if key in self.seen:
                return False
            self.seen.add(key)
            self.key = key
        if suffix in self.parts:
            part = part._replace(fault=f"has two .{suffix}")
        self.parts[suffix] = part
        return True

    def index(self, file: io.BufferedReader) -> TarIndex:
        """Take the last key, read the classes, and return all as arrays."""
        self._flush()
        labels = np.zeros(len(self.labels), np.int64)
        for number, part in enumerate(self.labels):
            if number not in self.faults:
                try:
                    labels[number] = self._label(file, part)
                except SampleError as error:
                    self.faults[number] = str(error)
        places = np.array(self.places, np.int64).reshape(-1, 4 if self.fields.mask else 2)
        return TarIndex(Texts.of(self.keys), places, labels, self.faults, sorted(self.found))

    def _flush(self) -> None:
        parts, self.parts = self.parts, {}
        if self.key is None or not parts:
            return
        self.found |= parts.keys()
        target = [name for name in self.fields.target if name in parts]
        photo = [name for name in self.fields.photo if name in parts and name not in target]
        if not photo and not target:  # a note or a list, no sample
            return
        kind = ("mask", "mask") if self.fields.mask else ("class", "label")
        fault = _about(photo, ("photo", "image"), self.fields.photo, parts)
        fault = fault or _about(target, kind, self.fields.target, parts)
        if fault:
            self.faults[len(self.keys)] = fault
        used = [parts[names[0]] if names else _Part(0, 0) for names in (photo, target)]
        self.keys.append(self.key)
        for part in used if self.fields.mask else used[:1]:
            self.places += [part.offset, part.size]
        if not self.fields.mask:
            self.labels.append(used[1])

    def _label(self, file: io.BufferedReader, part: _Part) -> int:
        if part.size > _LARGEST_LABEL:
            raise SampleError(f"a class must be an integer, got {part.size} bytes")
        text = os.pread(file.fileno(), part.size, part.offset).decode(errors="replace").strip()
        if not self.fields.target[0].endswith("json"):
            return _fitting(class_number(text[:_SHOWN]))
        return _entry(text, self.fields.label_key)


def _about(
    found: Sequence[str], kind: tuple[str, str], wanted: Sequence[str], parts: dict[str, _Part]
) -> str:
    """Return what is wrong with a key's photo or target, empty if nothing is.

    Args:
        found: which of the wanted fields the key has.
        kind: what they are, and the option that names them.
        wanted: the fields that would do.
        parts: all fields of the key.
    """
    what, option = kind
    if not found:
        return f"has no {what} ({_dotted(wanted)}), only {_dotted(parts)}"
    if len(found) > 1:
        return f"must have one {what}, got {_dotted(found)}: name one with --data.{option}"
    return parts[found[0]].fault


def _dotted(names: Iterable[str]) -> str:
    return ", ".join(f".{name}" for name in names)


def _entry(text: str, key: str) -> int:
    try:
        value = parse_json(text.encode())
    except ValueError as error:
        raise SampleError("its JSON cannot be read") from error
    for step in key.split("."):
        if not isinstance(value, dict) or step not in value:
            known = ", ".join(value) if isinstance(value, dict) else type(value).__name__
            raise SampleError(f"its JSON must have the entry {key!r}, got {known[:_KNOWN]}")
        value = value[step]
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise SampleError(f"a class must be an integer, got {value!r:.{_SHOWN}}")
    return _fitting(class_number(str(value)[:_SHOWN]))


def _fitting(number: int) -> int:
    if abs(number) >= 2**63:
        raise SampleError(f"a class must be an integer of at most 18 digits, got {number}")
    return number
