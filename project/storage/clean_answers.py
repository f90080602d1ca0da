"""Victims' answers to clean images on disk: a run on known data need not ask for them again.

Layout
    ROOT/clean-LABEL-KEY/FIRST-HASH.npz    one victim's answers to the images of one batch

KEY is a hash of the victim and of what its last bits depend on, HASH one of the batch's samples and
their origins. An answer may depend on the other images of its batch in the last bits, so only those
of the very same batch are taken: what a run finds is what it would have computed. Each file is
sealed (:mod:`project.storage.seal`) and written atomically; a damaged one is computed anew.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from project.core.answers import Answers
from project.core.errors import let_memory_errors_pass
from project.core.folders import regular_bytes
from project.core.identity import digest
from project.storage.files import remove_abandoned, replace_file
from project.storage.seal import sealed, unsealed

_FORMAT = 1
_DIGITS = 16  # of a hash, in a name


class CleanAnswers:
    """One victim's answers to clean images.

    Args:
        root: the folder of all stores.
        label: a readable name, part of the folder's name.
        description: plain data that the answers depend on, beside the images.
    """

    def __init__(self, root: Path, label: str, description: Any) -> None:
        slug = re.sub(r"[^\w.-]+", "_", label)
        self.key = digest([_FORMAT, description])
        self.folder = root / f"clean-{slug}-{self.key[:_DIGITS]}"
        remove_abandoned(self.folder)

    def load(
        self,
        indices: Sequence[int],
        origins: Sequence[str],
        device: torch.device = torch.device("cpu"),  # noqa: B008 immutable
    ) -> Answers | None:
        """Return the answers to a batch, or None if they are not there.

        Args:
            indices: the samples' ids.
            origins: hashes of the images and labels.
            device: where the answers are needed.
        """
        path = self._path(indices, origins)
        try:
            if not path.is_file():
                return None
            content = unsealed(regular_bytes(path), self._sealed_as(path))
            with np.load(io.BytesIO(content)) as arrays:
                told = {name: torch.from_numpy(arrays[name]).to(device) for name in arrays}
            return Answers(told["classes"], told.get("confidence"))
        except Exception as error:  # beside its seal a file may fail in many ways to be read
            let_memory_errors_pass(error)
            warnings.warn(
                f"{path} cannot be used ({error}); its answers are computed anew.", stacklevel=2
            )
            return None

    def save(self, indices: Sequence[int], origins: Sequence[str], answers: Answers) -> None:
        """Write the answers to a batch.

        Raises:
            WriteError: if they cannot be written.
        """
        told = {
            name: one.cpu().numpy() for name, one in answers._asdict().items() if one is not None
        }
        packed = io.BytesIO()
        np.savez_compressed(packed, **told)
        path = self._path(indices, origins)
        replace_file(path, sealed(packed.getvalue(), self._sealed_as(path)))

    def _path(self, indices: Sequence[int], origins: Sequence[str]) -> Path:
        told = digest([list(indices), list(origins)])[:_DIGITS]
        return self.folder / f"{min(indices):08d}-{told}.npz"

    def _sealed_as(self, path: Path) -> str:
        return f"{self.key}/{path.name}"
