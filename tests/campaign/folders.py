"""What must be equal in the end, and what may differ.

Every visible file is compared, byte for byte. Hidden ones (``.NAME.….part``) are what a killed
writer may leave behind. Nothing else is let off but:

    *.sqlite         compared by its content, as SQL: a file's pages lie as they were filled
    lightning_logs/, runs/train/   Lightning's CSV logs, a folder for each start
    *.ckpt           compared value by value, but for what Lightning counts of a run that was
                     begun several times: its loops' counters, the last score in memory
    last.ckpt        is a place to go on from; Lightning writes it once more, after the validation,
                     where a run goes on whose last step was done. So only weights, optimiser,
                     schedule and place in the data are compared
"""

from __future__ import annotations

import hashlib
import pickle
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

_LET_OFF = ("lightning_logs", "runs/train")
_COUNTS = ("loops", "current_score")
_OF_ITS_TIME = ("callbacks", "epoch", "mirage_history")  # in last.ckpt


def content(folder: Path) -> dict[str, bytes]:
    """Return what every visible file holds, by its path: its bytes, or what stands for them."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        hidden = any(part.startswith(".") and part != ".cache" for part in Path(name).parts)
        if hidden or not path.is_file() or name.startswith(_LET_OFF):
            continue
        found[name] = _content(path)
    return found


def differences(found: dict[str, bytes], wanted: dict[str, bytes]) -> list[str]:
    """Return a line for each file that is missing, too many or different."""
    return [
        *(f"{name} is missing" for name in wanted if name not in found),
        *(f"{name} is not in the unbroken run" for name in found if name not in wanted),
        *(f"{n} differs" for n in wanted if n in found and found[n] != wanted[n]),
    ]


def _content(path: Path) -> bytes:
    if path.suffix == ".sqlite":
        with closing(sqlite3.connect(path)) as connection:
            return "\n".join(connection.iterdump()).encode()
    if path.suffix == ".ckpt":
        found = torch.load(path, weights_only=True)
        for key in _OF_ITS_TIME if path.name == "last.ckpt" else ():
            found.pop(key, None)
        return pickle.dumps(_plain(found))
    return path.read_bytes()


def _plain(value: Any) -> Any:
    if isinstance(value, Tensor):
        kept = value.detach().contiguous()
        bytes_ = kept.flatten().view(torch.uint8).numpy().tobytes() if kept.numel() else b""
        return str(kept.dtype), tuple(kept.shape), hashlib.sha256(bytes_).hexdigest()
    if isinstance(value, dict):
        return [(repr(k), _plain(v)) for k, v in value.items() if k not in _COUNTS]
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return repr(value)
