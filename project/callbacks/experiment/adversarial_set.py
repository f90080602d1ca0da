"""The manifest of a run's adversarial images: which files of which stores they are."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from project.evaluation import Pass
from project.storage.files import replace_file
from project.storage.store import Store

_AT_ONCE = 8  # files; reading waits for disks


def write_adversarial_set(path: Path, stores: Mapping[Pass, Store], indices: Sequence[int]) -> None:
    """Write, for each attack and source, the store's folder and key and what its images add up to.

    The images are named and not copied; whoever has the store can tell whether these are they.

    Args:
        path: the file, JSON.
        stores: of the run's passes.
        indices: of its samples.
    """
    passes = [
        {"attack": step.attack, "source": step.source, **described(store, indices)}
        for step, store in stores.items()
    ]
    manifest = {"format": 1, "images": len(indices), "passes": passes}
    replace_file(path, json.dumps(manifest, indent=1).encode())


def described(store: Store, indices: Sequence[int]) -> dict[str, Any]:
    """Return a store's folder and key, and number, bytes and SHA-256 of some of its images.

    Where the store holds no others, ``cd FOLDER; sha256sum *.png | sha256sum`` tells the same.

    Args:
        store: the images of one pass.
        indices: of them; those that are not there, as when machines share no disk, do not count.
    """
    paths = [store.image_path(index) for index in sorted(indices)]
    present = [path for path in paths if path.is_file()]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        lines = pool.map(_line, present)
        total = hashlib.sha256("".join(lines).encode())
    return {
        "folder": str(store.folder),
        "key": store.key,
        "images": len(present),
        "bytes": sum(path.stat().st_size for path in present),
        "sha256": total.hexdigest(),
    }


def _line(path: Path) -> str:
    """Return what ``sha256sum`` prints of a file."""
    return f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
