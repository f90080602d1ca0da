"""Saliency maps that are kept: each is computed once for all attacks, sources and runs.

Layout
    FOLDER/KE/KEY.npz    one map (1, H, W)

KEY is a hash of what the map follows from: provider, image, and what computed it. Files are
written as a whole and carry a checksum, so that any number of processes may share the folder; one
that cannot be read is computed anew.
"""

from __future__ import annotations

import hashlib
import io
import os
import warnings
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from project.core.identity import describe, digest
from project.storage.files import replace_file

FOLDER_VARIABLE = "MIRAGE_SALIENCY_CACHE"
"""Environment variable that names the folder; set but empty, maps are kept in memory alone."""
_FOLDER = ".cache/saliency"
_FORMAT = 1
_MEMORY = 2**28  # bytes; some 1,300 maps of 224×224

Map = NDArray[np.floating[Any]]
Provider = Callable[[Tensor], Tensor]


class KeptMaps:
    """Maps in memory, the latest used first, and on disk.

    Args:
        memory: the most bytes of maps that stay in memory.
    """

    def __init__(self, memory: int = _MEMORY) -> None:
        self.memory = memory
        self._held: OrderedDict[str, Map] = OrderedDict()
        self._bytes = 0

    def maps(self, provider: Provider, images: Tensor) -> Tensor:
        """Return a provider's maps (N, 1, H, W), those that are wanting from the provider."""
        keys = _keys(provider, images)
        found = [self._load(key) for key in keys]
        wanting = [place for place, known in enumerate(found) if known is None]
        if wanting:
            computed = provider(images[wanting]).detach().cpu().numpy()
            for place, fresh in zip(wanting, computed, strict=True):
                found[place] = fresh
                self._save(keys[place], fresh)
        return torch.from_numpy(np.stack(found)).to(images.device)  # type: ignore[arg-type]

    def clear(self) -> None:
        """Forget what is in memory."""
        self._held.clear()
        self._bytes = 0

    def _load(self, key: str) -> Map | None:
        if key in self._held:
            self._held.move_to_end(key)
            return self._held[key]
        path = _path(key)
        if path is None or not path.is_file():
            return None
        try:
            with np.load(io.BytesIO(path.read_bytes())) as arrays:
                known: Map = arrays["map"]
        except Exception as error:  # a broken file fails in many ways: zip, zlib, header, key
            warnings.warn(f"{path} cannot be read ({error}); its map is made anew.", stacklevel=2)
            return None
        self._hold(key, known)
        return known

    def _save(self, key: str, fresh: Map) -> None:
        self._hold(key, fresh.copy())  # a view would hold its whole batch
        path = _path(key)
        if path is None:
            return
        packed = io.BytesIO()
        np.savez_compressed(packed, map=fresh)
        try:
            replace_file(path, packed.getvalue())
        except OSError as error:
            warnings.warn(
                f"saliency maps cannot be kept: {error}. Name another folder in {FOLDER_VARIABLE}.",
                stacklevel=2,
            )

    def _hold(self, key: str, values: Map) -> None:
        if key not in self._held:
            self._bytes += values.nbytes
        self._held[key] = values
        while self._bytes > self.memory:
            self._bytes -= self._held.popitem(last=False)[1].nbytes


KEPT = KeptMaps()
"""The maps of this process, whichever attacks ask."""


def _keys(provider: Provider, images: Tensor) -> list[str]:
    """Return a key per image; other machinery than that of the key would round otherwise."""
    made_by = [_FORMAT, describe(provider), _machinery(images.device), str(torch.__version__)]
    common = digest([*made_by, list(images.shape[1:])]).encode()
    pixels = images.detach().cpu().contiguous().numpy()
    return [hashlib.sha256(common + image.tobytes()).hexdigest() for image in pixels]


def _machinery(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type} with {torch.get_num_threads()} threads"  # each sums a part


def _path(key: str) -> Path | None:
    folder = os.environ.get(FOLDER_VARIABLE, _FOLDER)
    return Path(folder).expanduser() / key[:2] / f"{key}.npz" if folder else None
