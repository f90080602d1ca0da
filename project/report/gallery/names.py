"""Names of attacks and victims as names of folders, on every file system."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from urllib.parse import unquote

from project.storage import layout

_LONGEST = 120  # bytes; with what is written beside it, far from the 255 that file systems allow
_SAFE = re.compile(r"[^/\\<>:\"|?*\x00-\x1f\x7f%]")


def folder_name(name: str) -> str:
    """Return a name as a single part of a path.

    A name that a disk might confuse with another (one that tells no upper from lower case, or
    writes letters in another way), or that is too long or means something there, ends in a hash.
    """
    written = "".join(
        one if _SAFE.match(one) else "".join(f"%{byte:02X}" for byte in one.encode())
        for one in name
    ).encode("utf-8", "backslashreplace")
    special = name.strip(". ") != name or name == layout.ORIGINALS
    if len(written) <= _LONGEST and name == name.lower() and name.isascii() and not special:
        return written.decode()
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:10]
    return f"{written[:_LONGEST].decode('utf-8', 'ignore').strip('. ')}~{digest}"


def names_by_folder(names: Iterable[str]) -> dict[str, str]:
    """Return the name that each folder stands for."""
    return {folder_name(name): name for name in names}


def name_of(folder: str, known: dict[str, str]) -> str:
    """Return the name that a folder stands for; where it is not known, as older runs wrote it."""
    return known.get(folder) or unquote(folder)
