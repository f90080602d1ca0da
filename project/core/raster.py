"""One way to open a picture of the user's: documented formats only, whole, one, regular.

Every other format that Pillow knows is refused, since some start programs (EPS: Ghostscript).
"""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError

from project.core.errors import first_line
from project.core.folders import FileError, read_regular

FORMATS = ("BMP", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""The formats that are opened, by Pillow's names; a file is what it holds, not what it is called.
"""

_MULTI_PICTURE = "MPO"  # a JPEG with a second view or a depth map behind it: the first is the photo
_DEEP = re.compile(r";(?:\d+;)?(?:12|16|32|64)")  # in Pillow's names of layouts on disk
_ID_FORMATS = ("PNG", "BMP", "TIFF")  # without loss, and without a scale of their own
_ID_MODES = ("1", "L", "P")
_STRETCHED = {"L;2": 85, "L;4": 17}  # grey of few bits, which Pillow stretches to 0 … 255
_INVERTED = re.compile(r";\d*I")  # in the name of a layout where white is 0
_BITS_PER_SAMPLE = 258  # the tag of TIFF

# The next marker of a JPEG: neither a stuffed 0xFF00 nor a restart, which are part of a scan, nor
# padding; what stands between segments is passed, as libjpeg does.
_MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")
_SEGMENTS = frozenset({*range(0xC0, 0xD0), *range(0xDA, 0xDE), 0xFE, *range(0xE0, 0xF0)})
_END = 0xD9

_TRUSTED = "If the file is to be trusted, set --data.reading.max_pixels"


Encoded = Path | bytes
"""A picture that is not decoded yet: its file, or what a file, or a shard of many, holds of it."""


class Raster(NamedTuple):
    """A decoded picture, and what is lost once it is.

    Attributes:
        image: all pixels decoded, in Pillow's mode.
        format: Pillow's name of the format.
        layout: Pillow's name of the pixels' layout on disk, such as ``L;4``; empty if unknown.
        deep: whether the file has more than 8 bits a channel.
    """

    image: Image.Image
    format: str
    layout: str
    deep: bool


def decode(picture: Encoded, max_pixels: int | None = None) -> Raster:
    """Decode a picture whole, or not at all.

    Args:
        picture: a regular file in one of ``FORMATS``, or what such a file holds.
        max_pixels: the most pixels that are decoded; None: Pillow's ``MAX_IMAGE_PIXELS``.

    Raises:
        FileError: if the file is missing, no regular file, empty, in another format, damaged,
            cut off, too large, or holds several pictures.
    """
    # Any library may have set this global switch, and Pillow then serves half images in silence.
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    data = picture if isinstance(picture, bytes) else read_regular(picture)
    if not data:
        raise FileError("file is empty")
    _raise_limit(max_pixels)
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            _check_size(image, max_pixels)
            _check_single(image)
            layout = str(_arguments(image)[0] or "")
            deep = _is_deep(image, layout)
            image.load()
    except FileError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise FileError(f"possible decompression bomb: {error} {_TRUSTED}") from error
    except UnidentifiedImageError as error:
        known = "JPEG, PNG, TIFF, WebP, BMP and PPM"
        raise FileError(f"cannot be decoded: it is none of {known}") from error
    except MemoryError as error:
        raise FileError("cannot be decoded: memory ran out") from error
    except Exception as error:  # Pillow's decoders raise almost anything on broken files
        raise FileError(f"cannot be decoded: {first_line(error)}") from error
    if image.format in ("JPEG", _MULTI_PICTURE):
        _check_jpeg(data)
    return Raster(image, str(image.format), layout, deep)


def class_ids(picture: Raster) -> NDArray[np.uint8]:
    """Return a picture's pixels as class ids, which are as they are stored.

    Args:
        picture: grey (of up to 16 bits) or with a palette, whose indices count.

    Returns:
        (H, W) uint8.

    Raises:
        FileError: if it has more than one channel, ids above 255, or a format that changes ids.
    """
    ids = whole_ids(picture)
    low, high = int(ids.min()), int(ids.max())
    if low < 0 or high > 255:
        raise FileError(f"class ids must lie in 0 … 255, got {low} … {high}")
    return ids.astype(np.uint8)


def whole_ids(picture: Raster) -> NDArray[np.int64]:
    """Return a picture's pixels as ids of any size, as they are stored; see :func:`class_ids`.

    Returns:
        (H, W) int64.
    """
    require_lossless(picture)
    mode = picture.image.mode
    if mode not in _ID_MODES and not mode.startswith("I"):
        raise FileError(
            f"a mask must hold one 8-bit class id per pixel (mode L or P), got mode {mode!r}"
        )
    if _INVERTED.search(picture.layout):
        raise FileError("a mask must store its ids as they are, got a file where white is 0")
    ids = np.array(picture.image).astype(np.int64)
    return ids // _STRETCHED.get(picture.layout, 1)


def require_lossless(picture: Raster) -> None:
    """Refuse a mask in a format that does not keep values as they are.

    Raises:
        FileError: naming the format.
    """
    if picture.format not in _ID_FORMATS:
        raise FileError(
            f"a mask of class ids must be a PNG, BMP or TIFF, got {picture.format}, which does not "
            "keep ids as they are"
        )


def _raise_limit(max_pixels: int | None) -> None:
    # Pillow has one limit for the process, asked before the size is known to anybody else.
    if max_pixels is not None and (Image.MAX_IMAGE_PIXELS or max_pixels) < max_pixels:
        Image.MAX_IMAGE_PIXELS = max_pixels


def _check_size(image: Image.Image, max_pixels: int | None) -> None:
    limit = Image.MAX_IMAGE_PIXELS if max_pixels is None else max_pixels
    if limit is not None and image.width * image.height > limit:
        raise FileError(
            f"possible decompression bomb: {image.width}×{image.height} pixels are more than "
            f"{limit}. {_TRUSTED}"
        )


def _check_single(image: Image.Image) -> None:
    if image.format == _MULTI_PICTURE:
        return
    try:
        image.seek(1)
    except EOFError:
        return
    raise FileError("must hold one picture, got several (an animation, or pages)")


def _arguments(image: Image.Image) -> tuple[Any, ...]:
    """Return what Pillow tells its decoder, the layout first; known until it has decoded."""
    tiles = getattr(image, "tile", None)
    if not tiles:
        return ("",)
    arguments = tiles[0][3]
    return arguments if isinstance(arguments, tuple) and arguments else (arguments,)


def _is_deep(image: Image.Image, layout: str) -> bool:
    if image.mode.startswith(("I", "F")):
        return True
    if image.format == "BMP":  # its 16 bits are of three channels
        return False
    if image.format == "TIFF":
        bits = getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, (8,))
        return bool(max(bits if isinstance(bits, tuple) else (bits,)) > 8)
    if image.format == "PPM":
        most = _arguments(image)[-1]
        return isinstance(most, int) and most > 255
    return _DEEP.search(layout) is not None


def _check_jpeg(data: bytes) -> None:
    """Raise if the picture's last scan is not closed, as in a download whose tail is zero.

    libjpeg fills such a tail with grey and Pillow says nothing. Segments are followed by their
    lengths and scans by their markers, so what lies behind the picture's end (a film, a second
    picture, notes) is never looked at.
    """
    place = 2  # behind the marker that starts the picture
    while (found := _MARKER.search(data, place)) is not None:
        marker = found[1][0]
        if marker == _END:
            return
        if marker not in _SEGMENTS:
            break
        place = found.end() + int.from_bytes(data[found.end() : found.end() + 2], "big")
    raise FileError("cannot be decoded: truncated (the JPEG has no end marker)")
