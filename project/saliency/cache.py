"""Cache of saliency maps, so that each is computed once for all attacks, sources and runs.

Layout
    FOLDER/KE/KEY.npz    one map (1, H, W)

KEY is a hash of everything that determines the map: provider, image, device, libraries, precision.
Files are written atomically and sealed under their key, so that any number of processes may share
the folder; a map whose file is damaged, or is another's, is computed anew.
"""

from __future__ import annotations

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

from project.core.errors import let_memory_errors_pass
from project.core.identity import describe, digest
from project.core.numerics import numerics
from project.storage.files import replace_file
from project.storage.seal import sealed, unsealed

FOLDER_VARIABLE = "MIRAGE_SALIENCY_CACHE"
"""Environment variable that names the folder; if set but empty, maps are kept in memory only."""
_FOLDER = ".cache/saliency"
_FORMAT = 2
_MEMORY = 2**28  # bytes; some 1,300 maps of 224×224

Map = NDArray[np.floating[Any]]
Provider = Callable[[Tensor], Tensor]


class KeptMaps:
    """Maps in memory, of which the least recently used are evicted, and on disk.

    Args:
        memory: largest number of bytes of maps kept in memory.
    """

    def __init__(self, memory: int = _MEMORY) -> None:
        self.memory = memory
        self._held: OrderedDict[str, Map] = OrderedDict()
        self._bytes = 0

    def maps(self, provider: Provider, images: Tensor) -> Tensor:
        """Return a provider's maps (N, 1, H, W); it is asked only for those that are not cached."""
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
        """Drop all maps from memory."""
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
            with np.load(io.BytesIO(unsealed(path.read_bytes(), key))) as arrays:
                known: Map = arrays["map"]
        except Exception as error:  # a broken file fails in many ways: zip, zlib, header, key
            let_memory_errors_pass(error)
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
            replace_file(path, sealed(packed.getvalue(), key))
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
"""The cache of this process, which all attacks share."""


def _keys(provider: Provider, images: Tensor) -> list[str]:
    """Return a key per image, with whatever decides the last bits of its map."""
    # Each thread of a CPU sums a part, so here, where maps are compared bit for bit, they count.
    threads = torch.get_num_threads() if images.device.type == "cpu" else 0
    made_by = digest([_FORMAT, describe(provider), numerics(images.device), threads])
    return [digest([made_by, describe(image)]) for image in images.detach().cpu()]


def _path(key: str) -> Path | None:
    folder = os.environ.get(FOLDER_VARIABLE, _FOLDER)
    return Path(folder).expanduser() / key[:2] / f"{key}.npz" if folder else None
