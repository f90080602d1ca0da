"""Photos and what belongs to them, found by their paths; what may mean two files is refused."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from pathlib import Path, PurePosixPath

from project.core.errors import InputError
from project.core.folders import composed, files_below
from project.data.file_set import require_folder, short_names
from project.data.files import MaskedFile

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm")
MASK_SUFFIXES = (".png", ".bmp", ".tif", ".tiff")  # those that keep class ids as they are
_SHOWN = 3  # files that a message names


def split_suffix(path: str) -> tuple[str, str]:
    """Split a path into what stands before an image's suffix, and the suffix in lower case."""
    suffix = PurePosixPath(path).suffix
    if suffix.lower() not in IMAGE_SUFFIXES:
        return path, ""
    return path[: -len(suffix)], suffix.lower()


class Lookup:
    """Files under a root by what lists and other files call them.

    A path means the file of that path; else the one that differs in how accents are written, in
    the case of its suffix, or by a suffix that the path has not.

    Args:
        root: folder that all paths are relative to.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._listed: dict[str, dict[str, list[str]]] = {}

    def find(self, path: str, suffixes: Collection[str] = IMAGE_SUFFIXES) -> list[str]:
        """Return the files that a path may mean, relative to the root, sorted.

        Args:
            path: with ``/``, with or without an image's suffix.
            suffixes: those that a file may have.
        """
        parts = PurePosixPath(path).parts
        if not parts:
            return []
        places = [""]
        for part in parts[:-1]:
            places = [
                f"{place}{name.rstrip('/')}/"
                for place in places
                for name in self._folders(place, part)
            ]
        stem, wanted = split_suffix(parts[-1])
        found = [
            place + name
            for place in places
            for name in self._names(place).get(composed(stem), [])
            if (split_suffix(name)[1] == wanted if wanted else split_suffix(name)[1] in suffixes)
        ]
        exact = PurePosixPath(path).as_posix()
        return [exact] if exact in found else sorted(found)

    def _folders(self, place: str, part: str) -> list[str]:
        if (self.root / place / part).is_dir():
            return [part]
        return [name for name in self._names(place).get(composed(part), []) if name != part]

    def _names(self, place: str) -> dict[str, list[str]]:
        """Map composed names without an image's suffix to the names in a folder."""
        if place not in self._listed:
            names: dict[str, list[str]] = {}
            try:
                for name in sorted(os.listdir(self.root / place)):
                    names.setdefault(composed(split_suffix(name)[0]), []).append(name)
            except OSError:
                pass  # what is listed there is missing, which verifying says file by file
            self._listed[place] = names
        return self._listed[place]


def photos_in(root: Path, folder: str, beside: str | None = None) -> list[str]:
    """List the photos anywhere in a folder, relative to the root.

    Args:
        root: the data set's folder.
        folder: where the photos are.
        beside: the folder of the masks: where it lies among the photos, what it holds is none.
    """
    files = files_below(root / folder, IMAGE_SUFFIXES)
    if beside is not None:
        inside = (root / beside).resolve()
        top = (root / folder).resolve()
        if inside != top and inside.is_relative_to(top):
            prefix = inside.relative_to(top).as_posix() + "/"
            files = [file for file in files if not file.startswith(prefix)]
    return [(PurePosixPath(folder) / file).as_posix() for file in files]


def pair_masks(
    root: Path,
    photos: Sequence[str],
    images: str,
    masks: str,
    suffixes: Collection[str] = MASK_SUFFIXES,
    *,
    image_suffix: str = "",
    mask_suffix: str = "",
) -> list[MaskedFile]:
    """Give each photo the mask of its path, or of its stem where folders of masks have no folders.

    A photo without a mask is listed with the mask that it should have, for verifying to find.

    Args:
        root: the data set's folder.
        photos: photos relative to it.
        images: the folder in it that their paths begin with.
        masks: the folder of the masks.
        suffixes: those that a mask may have.
        image_suffix: the end of photos' stems that masks do not have.
        mask_suffix: the end of masks' stems that photos do not have.

    Raises:
        InputError: if a photo has two masks, a mask would serve two photos, or photos differ in
            nothing but their suffix.
    """
    require_names_once(photos)
    lookup = Lookup(root)
    own: dict[str, list[str]] = {}
    borrowed: dict[str, list[str]] = {}
    wanted, found = [], []
    for photo in photos:
        path = PurePosixPath(photo)
        inside = path.relative_to(images) if path.is_relative_to(images) else path
        stem = split_suffix(inside.as_posix())[0].removesuffix(image_suffix) + mask_suffix
        wanted.append(f"{masks}/{stem}.png")
        mask, users = only(lookup.find(f"{masks}/{stem}", suffixes), photo), own
        if mask is None and "/" in stem:
            flat = f"{masks}/{PurePosixPath(stem).name}"
            mask, users = only(lookup.find(flat, suffixes), photo), borrowed
        if mask is not None:
            users.setdefault(mask, []).append(photo)
        found.append(mask)
    for mask, users_of in (*own.items(), *borrowed.items()):
        if len(users_of) > 1 and not (users_of is borrowed.get(mask) and mask in own):
            raise InputError(
                f"a mask must belong to one photo, got {' and '.join(users_of[:_SHOWN])} for "
                f"{mask}. Put masks at the paths of their photos, or remove what is there twice."
            )
    taken = {photo for mask, photos in borrowed.items() if mask in own for photo in photos}
    return [
        MaskedFile(
            photo,
            missing if mask is None or photo in taken else mask,
            name.removesuffix(image_suffix),
        )
        for photo, mask, missing, name in zip(
            photos, found, wanted, short_names(photos), strict=True
        )
    ]


def only(found: list[str], photo: str) -> str | None:
    """Return the one mask that was found for a photo, or None.

    Raises:
        InputError: naming them, if there are several.
    """
    if len(found) > 1:
        raise InputError(
            f"a photo must have one mask, got {' and '.join(found)} for {photo}. Remove or rename "
            "one of them."
        )
    return found[0] if found else None


def require_two_folders(root: Path, images: str, masks: str) -> None:
    """Check that photos and masks have a folder each.

    Raises:
        FileNotFoundError: if one is not there.
        InputError: if both are one.
    """
    require_folder(root / images, "the photos")
    require_folder(root / masks, "the masks")
    if (root / images).resolve() == (root / masks).resolve():
        raise InputError(
            f"photos and masks must lie in two folders, got {images!r} for both. "
            "Set --data.images and --data.masks."
        )


def require_names_once(files: Sequence[str]) -> None:
    """Check that no two files differ in nothing but their suffix, so that they would share a mask.

    Raises:
        InputError: naming both.
    """
    names: dict[str, str] = {}
    for file in files:
        first = names.setdefault(composed(split_suffix(file)[0]), file)
        if first != file:
            raise InputError(
                f"every name must occur once in a folder, got {first} and {file}. Remove or rename "
                "one of them."
            )
