"""Lists of photos as PASCAL VOC has them, and as others write them."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import NamedTuple

from project.core.errors import InputError
from project.core.folders import composed
from project.data.decoding import Reading
from project.data.file_set import require_inside, short_names
from project.data.files import MaskedFile
from project.data.lists import Line, read_list, require_proof
from project.data.pairing import MASK_SUFFIXES, Lookup, pair_masks, split_suffix


class ListedPair(NamedTuple):
    """A photo of a list, the mask that the list names beside it if it does, and its line."""

    photo: str
    mask: str | None
    source: str


def read_voc_list(
    path: Path,
    root: Path,
    images: str,
    masks: str,
    reading: Reading,
    *,
    image_suffix: str = "",
    mask_suffix: str = "",
) -> tuple[list[MaskedFile], int]:
    """List the photos and masks that a split's list names.

    A line is a stem, a photo's file, or one of them and a second column: a mask, or anything else,
    which does not count (as VOC's lists of one class have it).

    Args:
        path: the list.
        root: the data set's folder.
        images: folder of the photos in it.
        masks: folder of the masks in it.
        reading: whether files may lie outside of the root.
        image_suffix: the end of photos' stems that masks do not have.
        mask_suffix: the end of masks' stems that photos do not have.

    Returns:
        Photos with their masks, and how many lines repeat another one.

    Raises:
        FileNotFoundError: if there is no such list.
        InputError: naming file and line of what may mean two photos, or lies outside of the root.
    """
    if not path.exists():
        found = sorted(other.stem for other in path.parent.glob("*.txt"))
        raise FileNotFoundError(
            f"{path} must list the photos of a split, but there is none; the lists there are: "
            f"{found}. Set --data.root, or --data.eval_split or train_split to one of them."
        )
    lines, guessed = read_list(path)
    photos = _ListedPhotos(root, images, reading)
    require_proof(guessed, lines, lambda entry: bool(photos.meant(Line(entry, f"{path}"))))
    pairs: dict[str, ListedPair] = {}
    for line in lines:
        pair = photos.pair(line)
        first = pairs.setdefault(composed(pair.photo), pair)
        if first.mask != pair.mask:
            raise InputError(
                f"{line.source}: {pair.photo} has the mask {pair.mask}, and {first.mask} before. "
                "Remove one of the lines."
            )
    plain = [pair.photo for pair in pairs.values() if pair.mask is None]
    pairs_found = pair_masks(
        root, plain, images, masks, image_suffix=image_suffix, mask_suffix=mask_suffix
    )
    paired = {entry.file: entry.mask for entry in pairs_found}
    names = short_names([pair.photo for pair in pairs.values()])
    files = [
        MaskedFile(pair.photo, pair.mask or paired[pair.photo], name.removesuffix(image_suffix))
        for pair, name in zip(pairs.values(), names, strict=True)
    ]
    return files, len(lines) - len(files)


class _ListedPhotos:
    """What the lines of a list mean, in a folder of photos or from the root on."""

    def __init__(self, root: Path, images: str, reading: Reading) -> None:
        self.images = images
        self.reading = reading
        self._lookup = Lookup(root)

    def pair(self, line: Line) -> ListedPair:
        """Return the photo of a line, and its mask if the line names one that is there."""
        first, *rest = line.entry.split(maxsplit=1)
        found = self.meant(line)
        if len(found) > 1:
            raise InputError(
                f"{line.source}: {line.entry!r} may mean {' and '.join(found)}. Write the whole "
                "name of the file, or rename one."
            )
        photo = found[0] if found else self._expected(first if rest else line.entry)
        second = "" if self._whole(line) else "".join(rest)
        mask = second.replace("\\", "/").lstrip("/")
        require_inside(mask, self.reading, line.source)
        masks = self._lookup.find(mask, MASK_SUFFIXES) if split_suffix(mask)[1] else []
        return ListedPair(photo, masks[0] if masks else None, line.source)

    def meant(self, line: Line) -> list[str]:
        """Return the photos that a line may mean: by all of it, or by its first column."""
        first = self._found(line.entry.split(maxsplit=1)[0], line.source)
        whole = self._whole(line)
        return whole + [file for file in first if file not in whole]

    def _whole(self, line: Line) -> list[str]:
        return self._found(line.entry, line.source)

    def _found(self, entry: str, source: str) -> list[str]:
        path = entry.replace("\\", "/").lstrip("/")
        require_inside(path, self.reading, source)
        return self._lookup.find(f"{self.images}/{path}") or self._lookup.find(path)

    def _expected(self, entry: str) -> str:
        stem, suffix = split_suffix(entry.replace("\\", "/").lstrip("/"))
        return (PurePosixPath(self.images) / f"{stem}{suffix or '.jpg'}").as_posix()
