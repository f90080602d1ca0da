"""Checking a run's adversarial images in the store."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from project.callbacks.experiment.adversarial_set import described
from project.core.errors import InputError
from project.core.portable import at_home
from project.report.run_rows import RunRows
from project.storage import layout
from project.storage.checksums import read_json
from project.storage.seal import DamagedError
from project.storage.store import Store, StoreError, image_name

_TOLD = ("attack", "source", "folder", "sha256")
_AT_ONCE = 8  # parts read in parallel, since reading waits for disks
_PART = 64  # images


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
    if not path.exists():
        return ImageCount(0, 0), []
    try:
        passes = _passes(path)
        indices = RunRows.read(folder / layout.ROWS).indices.tolist()
    except (InputError, FileNotFoundError) as error:
        return ImageCount(0, 0), [f"the images in the store were not checked: {error}"]
    whole, faults = 0, []
    for told in passes:
        known = Path(at_home(told["folder"]))
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


def _passes(path: Path) -> list[dict[str, str]]:
    """Return the passes of an adversarial.json.

    Raises:
        DamagedError: if it does not tell them.
    """
    told = read_json(path)
    passes = told.get("passes") if isinstance(told, dict) else None
    if not isinstance(passes, list) or not all(map(_is_pass, passes)):
        raise DamagedError(
            f"{path} is damaged: it does not tell the run's passes ({', '.join(_TOLD)} of each). "
            f"Run the command of {layout.FACTS} again."
        )
    return passes


def _is_pass(told: Any) -> bool:
    return isinstance(told, dict) and all(isinstance(told.get(name), str) for name in _TOLD)


def _faults(store: Store, indices: list[int]) -> list[str]:
    parts = [indices[first : first + _PART] for first in range(0, len(indices), _PART)]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = [fault for part in pool.map(store.damages, parts) for fault in part.items()]
    return [
        f"{store.folder / image_name(index)}: {fault}; the run's command makes it again"
        for index, fault in found
    ]
