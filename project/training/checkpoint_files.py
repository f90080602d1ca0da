"""Atomic writes of training checkpoints, and clear errors for unreadable ones."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem
from lightning.pytorch.plugins import TorchCheckpointIO

from project.core.errors import InputError, out_of_memory
from project.core.whole_files import require_whole
from project.storage.files import remove_abandoned, replace_file


class CheckpointFiles(TorchCheckpointIO):
    """Writes local checkpoints atomically: a kill or a full disk leaves the old one or the new one.

    Lightning's own writes to the system's temporary folder, and moves the file from there over the
    old one: between two disks that is a copy, and a kill during it leaves neither.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Write a checkpoint, atomically on a local disk, elsewhere as Lightning does.

        Raises:
            WriteError: if it cannot be written, as on a full disk; the old one is still there.
        """
        system, place = url_to_fs(str(path))
        if not isinstance(system, LocalFileSystem) or storage_options is not None:
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        content = io.BytesIO()
        torch.save(checkpoint, content)
        remove_abandoned(Path(place).parent)
        replace_file(Path(place), content.getvalue())

    def load_checkpoint(self, path: str | Path, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Read a checkpoint.

        Raises:
            FileNotFoundError: if there is none.
            InputError: if the file is not a training's checkpoint, or is truncated.
        """
        try:
            if Path(path).is_file():  # or somewhere else, which Lightning reads
                require_whole(Path(path))
            checkpoint: dict[str, Any] = super().load_checkpoint(path, *args, **kwargs)
        except FileNotFoundError:
            raise
        except Exception as error:  # torch fails in many ways on what it has not written
            reason = f"memory ran out: {error}" if out_of_memory(error) else str(error)
            raise _unreadable(path, reason) from error
        if not isinstance(checkpoint, dict) or "state_dict" not in checkpoint:
            raise _unreadable(path, "it has no state_dict")
        return checkpoint


def _unreadable(path: str | Path, reason: str) -> InputError:
    # Before this torch advises to load with weights_only=False, which runs code from the file.
    told = reason.rpartition("WeightsUnpickler error: ")[2]
    first = (told.strip().splitlines() or ["empty"])[0].rstrip(". ")
    return InputError(
        f"a checkpoint must be a whole file that a training has written, got {path} ({first}). "
        "Name another one with --ckpt_path, or delete it and begin anew."
    )
