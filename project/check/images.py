"""Checking a run's adversarial images in the store."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from project.callbacks.experiment.adversarial_set import described
from project.storage import layout
from project.storage.checksums import read_json
from project.storage.rows import read_rows
from project.storage.seal import DamagedError
from project.storage.store import Store, StoreError

_AT_ONCE = 8  # images read in parallel, since reading waits for disks


class ImageCount(NamedTuple):
    """How many images a run has in the store, and how many of them were found whole."""

    checked: int
    wanted: int


def check_images(folder: Path, root: Path | None = None) -> tuple[ImageCount, list[str]]:
    """Read the images of a run in the store, each by its seal.

    Args:
        folder: the run's folder; a training has no images.
        root: the folder of all stores, where it is another now.

    Returns:
        The counts, and a line for each damage.
    """
    path = folder / layout.ADVERSARIAL_SET
    if not path.is_file():
        return ImageCount(0, 0), []
    try:
        passes = read_json(path)["passes"]
        rows = read_rows(folder / layout.ROWS)
    except (DamagedError, FileNotFoundError) as error:
        return ImageCount(0, 0), [f"the images in the store were not checked: {error}"]
    indices = sorted(set(rows["index"].to_pylist()))
    whole, faults = 0, []
    for told in passes:
        known = Path(told["folder"]).expanduser()
        try:
            store = Store.reopened(root / known.name if root else known)
        except StoreError as error:
            faults.append(str(error))
            continue
        found = _faults(store, indices)
        whole += len(indices) - len(found)
        if not found and described(store, indices)["sha256"] != told["sha256"]:
            found = [
                f"{store.folder}: the images of {told['attack']} on {told['source']} are others "
                "than those that the run judged, made anew since: run its command again"
            ]
        faults += found
    return ImageCount(whole, len(indices) * len(passes)), faults


def _faults(store: Store, indices: list[int]) -> list[str]:
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = zip(indices, pool.map(store.damage, indices), strict=True)
        return [
            f"{store.image_path(index)}: {fault}; the run's command makes it again"
            for index, fault in found
            if fault is not None
        ]
