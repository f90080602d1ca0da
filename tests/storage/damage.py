"""Damage to files, as disks and networks do it; also to files inside of a store's archives."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path


def flipped(content: bytes, bit: int) -> bytes:
    """Return a file's content with one bit changed."""
    place, offset = divmod(bit, 8)
    return content[:place] + bytes([content[place] ^ (1 << offset)]) + content[place + 1 :]


def stored(root: Path) -> dict[str, bytes]:
    """Return all files in the archives below a folder, by name."""
    found = {}
    for path in sorted(root.rglob("*.zip")):
        with zipfile.ZipFile(path) as archive:
            found |= {name: archive.read(name) for name in archive.namelist()}
    return found


def names(archive: Path) -> list[str]:
    """Return the names of the files in an archive."""
    with zipfile.ZipFile(archive) as opened:
        return opened.namelist()


def images(root: Path) -> list[str]:
    """Return the names of the images in the archives below a folder, as often as they are there."""
    found = [name for path in sorted(root.rglob("*.zip")) for name in names(path)]
    return [name for name in found if name.endswith(".png")]


def change(folder: Path, name: str, changed: Callable[[bytes], bytes] | None) -> None:
    """Change a file in its archive, whose own checksum then fits; None drops it."""
    for path in folder.glob("*.zip"):
        with zipfile.ZipFile(path) as archive:
            members = {one: archive.read(one) for one in archive.namelist()}
        if name not in members:
            continue
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for one, content in members.items():
                if one == name and changed is None:
                    continue
                kept = changed(content) if one == name and changed else content
                archive.writestr(zipfile.ZipInfo(one, (1980, 1, 1, 0, 0, 0)), kept)
        path.write_bytes(packed.getvalue())
        return
    raise FileNotFoundError(name)
