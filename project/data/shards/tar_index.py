"""Indexes of tars, kept once they are made.

Layout
    FOLDER/KE/KEY.npz    one tar's

KEY is a hash of the tar's path, size and time of change, and of what is looked for. Files are
written atomically, so that any number of processes may share the folder; one that is damaged is
made anew.
"""

from __future__ import annotations

import io
import json
import os
import tempfile
import warnings
import zipfile
from pathlib import Path

import numpy as np

from project.core.identity import digest
from project.data.shards.shards import Stamp
from project.data.shards.tar_scan import Fields, TarIndex, scan_tar
from project.data.shards.texts import Texts

FOLDER_VARIABLE = "MIRAGE_SHARD_CACHE"
"""Environment variable that names the folder; if set but empty, no index is kept."""
_FOLDER = ".cache/shards"
_FORMAT = 1


def tar_index(path: Path, stamp: Stamp, fields: Fields) -> TarIndex:
    """Return the index of a tar, from the cache where one is kept.

    Args:
        path: the tar.
        stamp: its size and time of change, for which the index holds.
        fields: which members count.

    Raises:
        InputError: naming a tar that is damaged or cut off, or one whose keys do not lie together.
    """
    name = digest([_FORMAT, str(path.absolute()), *stamp, *fields])
    folder = os.environ.get(FOLDER_VARIABLE, _FOLDER)
    file = Path(folder) / name[:2] / f"{name}.npz" if folder else None
    known = _read(file) if file is not None else None
    if known is None:
        known = scan_tar(path, fields)
        if file is not None:
            _keep(file, known)
    return known


def _read(file: Path) -> TarIndex | None:
    if not file.is_file():
        return None
    try:
        with np.load(io.BytesIO(file.read_bytes())) as arrays:  # a zip, so with checksums
            keys = Texts(arrays["joined"].tobytes(), arrays["ends"])
            told = json.loads(arrays["told"].tobytes())
            faults = {int(number): fault for number, fault in told["faults"].items()}
            return TarIndex(keys, arrays["places"], arrays["labels"], faults, told["found"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        warnings.warn(f"{file} cannot be read ({error}); it is made anew.", stacklevel=2)
        return None


def _keep(file: Path, index: TarIndex) -> None:
    packed = io.BytesIO()
    told = json.dumps({"faults": index.faults, "found": index.found}).encode()
    np.savez(
        packed,
        joined=np.frombuffer(index.keys.joined, np.uint8),
        ends=index.keys.ends,
        places=index.places,
        labels=index.labels,
        told=np.frombuffer(told, np.uint8),
    )
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        # Renamed when it is whole, since several processes may look for it at the same time.
        descriptor, part = tempfile.mkstemp(".part", f".{file.name}.", file.parent)
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(packed.getvalue())
        os.replace(part, file)
    except OSError as error:
        warnings.warn(
            f"the index of a tar cannot be kept: {error}. Name another folder in "
            f"{FOLDER_VARIABLE}.",
            stacklevel=2,
        )
