"""Decoding of photos and masks; damaged files are refused, never served in part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from project.core.errors import InputError
from project.core.folders import FileError
from project.core.raster import Encoded, Raster, class_ids, decode

Pixels = npt.NDArray[np.uint8]

_ALPHA_MODES = ("RGBA", "LA", "PA", "RGBa", "La")

_ORIENTATION = 0x0112  # the tag of EXIF, and what undoes each of its values
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

Remark = Literal["turned", "transparent"]
"""What is read otherwise than it is shown: an EXIF rotation, or transparent pixels."""


class SampleError(InputError):
    """A sample is unusable; the message is the reason, without the file's name."""


@dataclass(frozen=True)
class Reading:
    """How the files of a data set are read."""

    orientation: Literal["stored", "displayed"] = "stored"
    """``stored`` reads pixels as they lie in the file, as torchvision does; ``displayed`` turns
    photos and masks by their EXIF orientation, as viewers and annotation tools do."""

    max_pixels: int | None = None
    """The most pixels of one file, a guard against files that fill the memory; None is Pillow's
    limit, 89,478,485."""

    outside_root: bool = False
    """Whether lists and CSVs may name files outside of ``root``."""

    def __post_init__(self) -> None:
        if self.max_pixels is not None and self.max_pixels < 1:
            raise InputError(f"max_pixels must be at least 1 or null, got {self.max_pixels}.")


AS_STORED = Reading()


class Photo(NamedTuple):
    """A decoded photo, (H, W, 3) uint8, and what of it is read otherwise than it is shown."""

    pixels: Pixels
    remark: Remark | None


def read_photo(picture: Encoded, reading: Reading = AS_STORED) -> Photo:
    """Decode a photo; grey, palette and CMYK files are converted to RGB.

    Args:
        picture: a file, or what it holds: JPEG, PNG, TIFF, WebP, BMP or PPM of 8 bits a channel.
        reading: how files are read. The orientation tag of a TIFF is part of its pixels' order and
            always followed.

    Raises:
        SampleError: if the file is missing, damaged, cut off, too large, or not 8-bit.
    """
    raster = _decode(picture, reading)
    if raster.deep:
        raise SampleError(
            f"an image must have 8 bits a channel, got more (mode {raster.image.mode!r}, stored "
            f"as {raster.layout or raster.image.format}); save it with 8 bits"
        )
    try:
        image = _oriented(raster.image, reading)
        pixels = np.array(image if image.mode == "RGB" else image.convert("RGB"))
    except ValueError as error:  # a colour space such as Lab, of which older Pillows know no way
        raise SampleError(f"an image must be grey, RGB or CMYK: {error}") from error
    return Photo(pixels, _remark(raster.image, reading))


def read_rgb(picture: Encoded, reading: Reading = AS_STORED) -> Pixels:
    """Decode a photo as :func:`read_photo` does, to (H, W, 3) uint8."""
    return read_photo(picture, reading).pixels


def read_mask(picture: Encoded, reading: Reading = AS_STORED) -> Pixels:
    """Decode a mask of class ids (grey or palette file, the ids as stored).

    Returns:
        (H, W) uint8.

    Raises:
        SampleError: as :func:`read_photo`; also if the file has more than one channel, ids above
            255, or a format that changes ids.
    """
    try:
        return class_ids(read_raster(picture, reading))
    except FileError as error:
        raise SampleError(str(error)) from error


def read_raster(picture: Encoded, reading: Reading = AS_STORED) -> Raster:
    """Decode a picture as it is stored, turned as ``reading`` says.

    Raises:
        SampleError: if the file is missing, damaged, cut off, or too large.
    """
    raster = _decode(picture, reading)
    return raster._replace(image=_oriented(raster.image, reading))


def require_same_size(image: Pixels, mask: Pixels, file: str, remark: Remark | None = None) -> None:
    """Check that an image (H, W, 3) and its mask (H, W), read from a file, fit.

    Raises:
        SampleError: if they are of different sizes.
    """
    if image.shape[:2] != mask.shape:
        turned = "; the photo has an EXIF rotation: set --data.reading.orientation displayed"
        raise SampleError(
            "image and mask must have the same size, got "
            f"{image.shape[1]}×{image.shape[0]} and {mask.shape[1]}×{mask.shape[0]} ({file})"
            + (turned if remark == "turned" else "")
        )


def _decode(picture: Encoded, reading: Reading) -> Raster:
    try:
        return decode(picture, reading.max_pixels)
    except FileError as error:
        raise SampleError(str(error)) from error


def _remark(image: Image.Image, reading: Reading) -> Remark | None:
    if reading.orientation == "stored" and _orientation(image) != 1:
        return "turned"
    if image.mode in _ALPHA_MODES or "transparency" in image.info:
        low, _ = image.convert("RGBA").getchannel("A").getextrema()
        return "transparent" if low != 255 else None
    return None


def _oriented(image: Image.Image, reading: Reading) -> Image.Image:
    if reading.orientation == "stored" or _orientation(image) == 1:
        return image
    return image.transpose(_TURNS[_orientation(image)])


def _orientation(image: Image.Image) -> int:
    try:
        orientation = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # notes in a file may be broken in any way, and are no pixels
        return 1
    return orientation if orientation in _TURNS else 1
