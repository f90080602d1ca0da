"""Downloading published weights into torch's cache, with time limits so that it never hangs."""

from __future__ import annotations

import hashlib
import pickle
import re
import threading
from pathlib import Path
from urllib.request import urlopen

import torch

from project.storage.files import replace_file

UNAVAILABLE = (OSError, EOFError, LookupError, RuntimeError, pickle.UnpicklingError)
"""The errors raised by weights that cannot be downloaded (an OSError) or read."""

CONNECT_SECONDS = 5.0  # a machine with a network answers within one


def published(url: str) -> Path:
    """Return the file of published weights, downloaded if torch's cache has none, or a damaged one.

    That is ``$TORCH_HOME/hub/checkpoints``, by default ``~/.cache/torch/hub/checkpoints``.

    Raises:
        OSError: if it cannot be downloaded.
    """
    path = cached(url)
    if not path.is_file() or not _is_named(path, _sha256(path)):
        fetch(url, path)
    return path


def cached(url: str) -> Path:
    """Return the path of a URL's file in torch's cache, whether or not it is there."""
    return Path(torch.hub.get_dir()) / "checkpoints" / Path(url).name


def left_out(name: str, url: str, error: Exception) -> str:
    """Return a notice: what is left out for lack of weights, why, and which file to put where."""
    path = cached(url)
    why = " ".join(str(error).split())[:120] or type(error).__name__
    fault = "has unreadable backbone weights" if path.is_file() else "has no backbone weights"
    return f"{name} is left out: it {fault} ({why}). Put {path.name} from {url} into {path.parent}"


def fetch(url: str, path: Path) -> None:
    """Download a file whose name ends in ``-<first digits of its SHA-256>``.

    Written when complete and checked, atomically, so that a reader, or another process that
    downloads too, never sees half a file.

    Args:
        url: address of the file.
        path: path to save it to.

    Raises:
        OSError: if there is no answer within the time limit, or the content is not the one named.
    """
    _connect(url)
    with urlopen(url, timeout=CONNECT_SECONDS) as answer:
        content: bytes = answer.read()
    if not content or not _is_named(path, hashlib.sha256(content).hexdigest()):
        raise OSError(f"{url} gave other content than its name says")
    replace_file(path, content)


def _is_named(path: Path, sha256: str) -> bool:
    """Return whether a file's name ends in the first digits of a checksum, or in none."""
    named = re.search(r"-([0-9a-f]{8,})\.", path.name)
    return named is None or sha256.startswith(named.group(1))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _connect(url: str) -> None:
    """Raise unless the server answers in time.

    In a thread, since a name look-up has no time limit of its own, and could not be interrupted.
    """
    outcome: list[OSError | None] = []

    def probe() -> None:
        try:
            urlopen(url, timeout=CONNECT_SECONDS).close()
            outcome.append(None)
        except OSError as error:
            outcome.append(error)

    thread = threading.Thread(target=probe, daemon=True)
    thread.start()
    thread.join(2 * CONNECT_SECONDS)
    if not outcome:
        raise TimeoutError(f"no answer from {url} within {2 * CONNECT_SECONDS:g} s")
    if outcome[0]:
        raise outcome[0]
