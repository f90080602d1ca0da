"""The manifest of a run's adversarial images: their files in the store, and checksums."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from project.core.portable import portable
from project.evaluation import Pass
from project.storage.files import replace_file
from project.storage.store import Store


def write_adversarial_set(path: Path, stores: Mapping[Pass, Store], indices: Sequence[int]) -> None:
    """Write a manifest: for each attack and source the store's folder, key and image checksums.

    The images are named and not copied; whoever has the store can verify them by the checksums.

    Args:
        path: the JSON file to write.
        stores: the store of each of the run's passes.
        indices: indices of the run's samples.
    """
    passes = []
    for step, store in stores.items():
        passes.append({"attack": step.attack, "source": step.source, **described(store, indices)})
        store.forget()
    manifest = {"format": 1, "images": len(indices), "passes": passes}
    replace_file(path, json.dumps(manifest, indent=1).encode())


def described(store: Store, indices: Sequence[int]) -> dict[str, Any]:
    """Return a store's folder and key, and number, bytes and SHA-256 of some of its images.

    The folder is told from the working folder.

    Where the store holds no others, its archives unpacked into one folder, lower generations first,
    ``sha256sum *.png | sha256sum`` gives the same hash.

    Args:
        store: the store of one pass.
        indices: the images to describe; missing ones, as when machines share no disk, do not count.
    """
    total, images, size = hashlib.sha256(), 0, 0
    for name, content in store.pngs(sorted(indices)):
        # The line that sha256sum prints for a file.
        total.update(f"{hashlib.sha256(content).hexdigest()}  {name}\n".encode())
        images, size = images + 1, size + len(content)
    return {
        "folder": portable(str(store.folder)),
        "key": store.key,
        "images": images,
        "bytes": size,
        "sha256": total.hexdigest(),
    }
