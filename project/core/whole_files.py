"""Whether a checkpoint is as it was written, by the checksums that it comes with.

torch compares none of them when it loads: a flipped bit becomes a weight.
"""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from pathlib import Path

from project.core.errors import InputError


class NotWholeError(InputError):
    """A file is damaged; the message is the reason."""


def require_whole(path: Path) -> None:
    """Compare a file with its checksums, as far as it has any.

    Those are the ones of a zip archive, as which torch saves, and a file ``NAME.sha256`` beside it
    (as ``sha256sum`` writes it), which suits formats that have none, such as safetensors.

    Raises:
        NotWholeError: if one differs.
    """
    beside = path.with_name(f"{path.name}.sha256")
    if beside.is_file():
        wanted = beside.read_text(encoding="utf-8", errors="replace").split()[:1]
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if wanted != [found]:
            raise NotWholeError(f"it is not what {beside.name} beside it says")
    with path.open("rb") as file:
        if file.read(2) != b"PK":
            return
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError, ValueError) as error:
        raise NotWholeError(f"it is cut off or damaged: {error}") from error
    except NotImplementedError as error:  # a flipped bit names a way of packing that there is not
        raise NotWholeError(f"it is damaged: {error}") from error
    if damaged is not None:
        raise NotWholeError(f"its checksum of {damaged} is not that of the content")
