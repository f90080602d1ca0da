"""Adversarial images on disk: a content-addressed cache that survives a crash at any instant.

Layout
    ROOT/LABEL-KEY/manifest.json     what the key stands for
    ROOT/LABEL-KEY/FIRST.N.HASH.zip  a batch, see :mod:`project.storage.shards`; in it
        00000042.png                 the 8-bit image of sample 42, with text chunks of JSON: its
                                     facts, what it was made from, whether there are arrays
        00000042.npz                 its flow, mask and traces

Older stores have the two files of each sample as they are, in the folder; they are read, too.

KEY is a hash of everything the images depend on. Of the data it hashes only names and sizes of the
files, so each sample's origin, a hash of its clean image and label, is compared when it is read. So
is each file's seal (:mod:`project.storage.seal`), which is of its key and index too: a damaged file
and one under a wrong name are made again. A sample is in the store once its batch is: archives are
replaced atomically, so none is ever half written. Any number of runs may write to one store at
once, since equal keys and indices mean equal content; up to rounding, where their batch sizes
differ.
"""

from __future__ import annotations

import contextlib
import json
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from project.core.errors import InputError, let_memory_errors_pass
from project.core.folders import regular_bytes
from project.core.identity import digest
from project.core.json_text import parse_json
from project.storage import layout
from project.storage.arrays import pack_arrays, unpack_arrays
from project.storage.files import remove_abandoned, replace_file
from project.storage.png import decode_png, encode_png
from project.storage.seal import DamagedError, sealed, unsealed
from project.storage.shards import DAMAGED, Shards

_FORMAT = 2
_CHUNK = "mirage"
_ABOUT = "mirage_about"
_DIGITS = 16  # of the key, in the folder's name
_AT_ONCE = 64  # samples read at a time, of which several are in one archive
_TRACE = "trace_"  # before the name of a trace, among the names of the arrays


class StoreError(InputError):
    """The store's folder is that of another experiment, whose key begins with the same digits."""


@dataclass(frozen=True)
class StoredSample:
    """One adversarial image, with facts and arrays about its attack.

    Attributes:
        image: (H, W, 3) uint8.
        facts: plain numbers (success, steps, largest displacement …).
        flow: (2, H, W) float16 in pixels, or None.
        mask: (H, W) uint8, 255 where the image was allowed to change, or None.
        traces: (T,) float32 each, one value per step of the attack.
    """

    image: NDArray[np.uint8]
    facts: dict[str, float]
    flow: NDArray[np.float16] | None = None
    mask: NDArray[np.uint8] | None = None
    traces: dict[str, NDArray[np.float32]] = field(default_factory=dict)


class _Read(NamedTuple):
    """A sample, and the hash of what it was made from."""

    sample: StoredSample
    origin: str


class Store:
    """The adversarial images of one attack on one source over one data set.

    Args:
        root: the folder of all stores.
        label: a readable name, part of the folder's name.
        description: plain data that the images depend on; its hash is the key.

    Raises:
        StoreError: if the folder is another experiment's, whose key begins alike.
    """

    def __init__(self, root: Path, label: str, description: Any) -> None:
        self.root = root
        self.label = label
        self.description = description
        slug = re.sub(r"[^\w.-]+", "_", label)
        self.key = digest(description)
        # Few digits keep names short; the manifest is compared whole, so a collision is caught.
        self.folder = root / f"{slug}-{self.key[:_DIGITS]}"
        self._shards = Shards(self.folder)
        self._check_manifest()
        remove_abandoned(self.folder)

    @classmethod
    def reopened(cls, folder: Path) -> Store:
        """Open a store by what its manifest says.

        Raises:
            StoreError: if it cannot be read, or is not that of the folder.
        """
        label, description = read_manifest(folder)
        return cls(folder.parent, label, description)

    def __contains__(self, index: int) -> bool:
        name = image_name(index)
        return name in self._shards or (self.folder / name).is_file()

    def pngs(self, indices: Sequence[int]) -> Iterator[tuple[str, bytes]]:
        """Yield names and contents of samples' images as they are stored, unchecked.

        Those that are not there or cannot be read are left out.
        """
        for part in _parts(indices):
            files = self._readable([image_name(index) for index in part])
            yield from ((n, files[n]) for n in map(image_name, part) if n in files)

    def load(
        self,
        indices: list[int],
        origins: Sequence[str] | None = None,
        before: Callable[[int], str] | None = None,
    ) -> list[StoredSample] | None:
        """Return the samples of a batch, or None unless all of them are there and readable.

        A batch that was interrupted is attacked again as a whole: so its images are the same, bit
        for bit, as in an uninterrupted run.

        Args:
            indices: indices of the samples.
            origins: hashes of what each would be made from now; None accepts any.
            before: returns another hash that will do, as older stores have it, by the place among
                the indices.
        """
        if not all(index in self for index in indices):
            return None
        try:
            files = self._files([name for index in indices for name in _names(index)])
            found = [self._read(files, index) for index in indices]
            for place, origin in enumerate(origins or ()):
                told = found[place].origin
                if told != origin and (before is None or told != before(place)):
                    name = image_name(indices[place])
                    raise ValueError(f"{name} was made from another image or label")
            return [one.sample for one in found]
        except Exception as error:  # beside its seal a file may fail in many ways to be read
            let_memory_errors_pass(error)
            warnings.warn(
                f"a file in {self.folder} cannot be used ({error}); its batch is attacked again.",
                stacklevel=2,
            )
            return None

    def save(
        self,
        indices: list[int],
        samples: list[StoredSample],
        origins: Sequence[str] | None = None,
    ) -> None:
        """Write the samples of a batch into one archive.

        Args:
            indices: indices of the samples.
            samples: one for each index.
            origins: hashes of what each was made from; None stores none, which suits no origin.

        Raises:
            WriteError: if they cannot be written; what was stored before is kept.
        """
        if not (self.folder / layout.MANIFEST).exists():
            self._replace_manifest()  # before any image, so that whoever finds one can tell its key
        origins = origins or [""] * len(indices)
        each = zip(indices, samples, origins, strict=True)
        packed = [self._packed(*one) for one in each]
        self._shards.write({name: content for one in packed for name, content in one.items()})

    def damages(self, indices: Sequence[int]) -> dict[int, str]:
        """Return what is wrong with samples, by index; of those that are whole nothing."""
        found = {}
        for part in _parts(indices):
            files = self._readable([name for index in part for name in _names(index)])
            for index in part:
                try:
                    self._read(files, index)
                except Exception as error:  # see load
                    let_memory_errors_pass(error)
                    found[index] = str(error)
        return found

    def forget(self) -> None:
        """Free the memory of what is there, which is looked up again when it is asked for.

        Not while :meth:`save` runs.
        """
        self._shards.forget()

    def _check_manifest(self) -> None:
        """Refuse another experiment's folder, and write a damaged or missing manifest anew.

        That is safe, since images are sealed under the whole key.
        """
        path = self.folder / layout.MANIFEST
        if not self.folder.is_dir():
            return
        try:
            manifest = parse_json(regular_bytes(path))
            key = digest(manifest["description"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            manifest, key = None, ""
        if manifest == self._manifest():
            return
        if key != self.key and key[:_DIGITS] == self.key[:_DIGITS]:
            raise StoreError(
                f"{self.folder} is the store of another experiment: its manifest describes another "
                "attack, source or data set. Move it away, or choose another store."
            )
        if path.exists():
            warnings.warn(f"{path} was damaged, and is written anew.", stacklevel=4)
        self._replace_manifest()

    def _manifest(self) -> dict[str, Any]:
        return {"format": _FORMAT, "label": self.label, "description": self.description}

    def _replace_manifest(self) -> None:
        content = json.dumps(self._manifest(), indent=1, sort_keys=True)
        replace_file(self.folder / layout.MANIFEST, content.encode())

    def _files(self, names: Sequence[str]) -> dict[str, bytes]:
        """Return what files hold, in archives or, where none has them, as an older store's."""
        found = self._shards.read(names)
        for name in names:
            if name not in found and (path := self.folder / name).is_file():
                found[name] = regular_bytes(path)
        return found

    def _readable(self, names: Sequence[str]) -> dict[str, bytes]:
        """Return the same one by one, without those in archives that cannot be read."""
        try:
            return self._files(names)
        except (OSError, ValueError, *DAMAGED):
            found: dict[str, bytes] = {}
            for name in names:
                with contextlib.suppress(OSError, ValueError, *DAMAGED):
                    found |= self._files([name])
            return found

    def _read(self, files: Mapping[str, bytes], index: int) -> _Read:
        name = image_name(index)
        content = self._unsealed(files, name)
        image, texts = decode_png(content)
        facts, about = parse_json(texts[_CHUNK]), parse_json(texts[_ABOUT])
        if not about["arrays"]:
            return _Read(StoredSample(image, facts), about["origin"])
        arrays = unpack_arrays(self._unsealed(files, _arrays_name(index)))
        traces = {n.removeprefix(_TRACE): arrays[n] for n in arrays if n.startswith(_TRACE)}
        flow, mask = arrays.get("flow"), arrays.get("mask")
        return _Read(StoredSample(image, facts, flow, mask, traces), about["origin"])

    def _unsealed(self, files: Mapping[str, bytes], name: str) -> bytes:
        if name not in files:
            raise ValueError(f"{name} is gone")
        try:
            return unsealed(files[name], self._sealed_as(name))
        except DamagedError as error:
            raise DamagedError(f"{name}: {error}") from error

    def _packed(self, index: int, sample: StoredSample, origin: str) -> dict[str, bytes]:
        """Return the files of a sample, sealed."""
        arrays: dict[str, NDArray[Any]] = {_TRACE + n: one for n, one in sample.traces.items()}
        if sample.flow is not None:
            arrays["flow"] = sample.flow
        if sample.mask is not None:
            arrays["mask"] = sample.mask
        about = {"origin": origin, "arrays": bool(arrays)}
        texts = {_CHUNK: json.dumps(sample.facts), _ABOUT: json.dumps(about)}
        files = {image_name(index): encode_png(sample.image, texts)}
        if arrays:
            files[_arrays_name(index)] = pack_arrays(arrays)
        return {name: sealed(content, self._sealed_as(name)) for name, content in files.items()}

    def _sealed_as(self, name: str) -> str:
        return f"{self.key}/{name}"


def image_name(index: int) -> str:
    """Return the name of a sample's image in a store: 00000042.png."""
    return f"{layout.sample_name(index)}.png"


def _arrays_name(index: int) -> str:
    return f"{layout.sample_name(index)}.npz"


def _parts(indices: Sequence[int]) -> Iterator[Sequence[int]]:
    return (indices[first : first + _AT_ONCE] for first in range(0, len(indices), _AT_ONCE))


def _names(index: int) -> tuple[str, str]:
    return image_name(index), _arrays_name(index)


def read_manifest(folder: Path) -> tuple[str, dict[str, Any]]:
    """Return a store's label and description.

    Raises:
        StoreError: if its manifest cannot be read, or is not that of the folder.
    """
    path = folder / layout.MANIFEST
    try:
        manifest = parse_json(regular_bytes(path))
        label, description = manifest["label"], manifest["description"]
        if not (isinstance(label, str) and isinstance(description, dict)):
            raise ValueError("it does not describe a store")
        key = digest(description)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise StoreError(
            f"{path} cannot be read ({error}). It is written anew by the next run that uses it."
        ) from error
    if not folder.name.endswith(key[:_DIGITS]):
        raise StoreError(f"{path} is damaged: it is not of the key in the folder's name.")
    return label, description
