"""Seals: checksums inside of files, by which a reader knows that they are whole and the right ones.

A seal is the SHA-256 of all other bytes of its file and of what the file is said to be, such as the
key and index of a stored image: neither a flipped bit nor a right file under a wrong name passes.
A sealed file stays a valid one of its format.

Where it stands
    PNG                 a private chunk before the last one, ``shAS``
    zip (npz, ckpt)     the archive's comment
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Callable
from typing import NamedTuple

from project.core.errors import InputError

_PNG_END = struct.pack(">I", 0) + b"IEND" + struct.pack(">I", zlib.crc32(b"IEND"))
_MARK = b"mirage seal "


class DamagedError(InputError):
    """A file is not what was written, or not the one that its name says."""


class _Parts(NamedTuple):
    """A file's bytes before and after the place of its seal."""

    before: bytes
    after: bytes


def sealed(content: bytes, identity: str) -> bytes:
    """Return a file's content with a seal.

    Args:
        content: of a PNG, or of a zip archive without comment.
        identity: what the file is said to be; whoever reads it must say the same.
    """
    split, framed = _format(content)
    parts = split(content)
    return parts.before + framed(_mark(parts, identity)) + parts.after


def unsealed(content: bytes, identity: str) -> bytes:
    """Return a file's content after a check of its seal, which stays in it.

    Raises:
        DamagedError: if there is no seal, or it is that of other content or another file.
    """
    split, framed = _format(content)
    # The seal is of one length, so that where it must stand follows from the file's end.
    parts = split(content, len(framed(bytes(len(_MARK) + 64))))
    seal = content[len(parts.before) : len(content) - len(parts.after)]
    if seal != framed(_mark(parts, identity)):
        raise DamagedError("its checksum is not that of its content")
    return content


def _mark(parts: _Parts, identity: str) -> bytes:
    sha = hashlib.sha256(f"{identity}\0".encode())
    sha.update(parts.before)
    sha.update(parts.after)
    return _MARK + sha.hexdigest().encode()


def _format(content: bytes) -> tuple[Callable[..., _Parts], Callable[[bytes], bytes]]:
    """Return how to split a file at its seal, and how the seal is framed."""
    if content[:4] == b"\x89PNG":
        return _split_png, _png_chunk
    if content[:2] == b"PK":
        return _split_zip, _zip_comment
    raise DamagedError("it is not of its format")


def _split_png(content: bytes, seal: int = 0) -> _Parts:
    end = len(content) - len(_PNG_END)
    return _Parts(content[: max(0, end - seal)], content[max(0, end) :])


def _png_chunk(mark: bytes) -> bytes:
    # Lower case: ancillary, private; upper case: reserved, and no copy of a changed picture has it.
    body = b"shAS" + mark
    return struct.pack(">I", len(mark)) + body + struct.pack(">I", zlib.crc32(body))


def _split_zip(content: bytes, seal: int = 2) -> _Parts:
    # The length of the comment is part of the seal, so it takes the place of the old one.
    return _Parts(content[: len(content) - seal], b"")


def _zip_comment(mark: bytes) -> bytes:
    return struct.pack("<H", len(mark)) + mark
