"""Decoding of photos and masks; damaged files are refused, never served in part."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile

from project.core.errors import InputError

Pixels = npt.NDArray[np.uint8]

_MASK_MODES = ("1", "L", "P")
_DEEP_MODES = ("I", "F", "I;16", "I;16B", "I;16L")


class SampleError(InputError):
    """A sample is unusable; the message is the reason, without the file's name."""


def read_rgb(path: Path) -> Pixels:
    """Decode a photo, grey, palette and CMYK files converted to RGB.

    The EXIF orientation is not applied, as in torchvision and in the published masks' frame.

    Args:
        path: file in any format that Pillow reads, 8 bits a channel.

    Returns:
        (H, W, 3) uint8.

    Raises:
        SampleError: if the file is missing, unreadable, truncated, too large or not 8-bit.
    """
    image = _decode(path)
    if image.mode in _DEEP_MODES:
        raise SampleError(f"an image must have 8 bits a channel, got mode {image.mode!r}")
    return np.array(image.convert("RGB"))


def read_mask(path: Path) -> Pixels:
    """Decode a mask of class ids (grey or palette file, the ids as stored).

    Returns:
        (H, W) uint8.

    Raises:
        SampleError: as :func:`read_rgb`, and if the file has more than one channel.
    """
    image = _decode(path)
    if image.mode not in _MASK_MODES:
        raise SampleError(
            f"a mask must hold one 8-bit class id per pixel (mode L or P), got mode {image.mode!r}"
        )
    return np.array(image).astype(np.uint8)


def require_same_size(image: Pixels, mask: Pixels, file: str) -> None:
    """Check that an image (H, W, 3) and its mask (H, W), read from a file, fit.

    Raises:
        SampleError: if they are of different sizes.
    """
    if image.shape[:2] != mask.shape:
        raise SampleError(
            "image and mask must have the same size, got "
            f"{image.shape[1]}×{image.shape[0]} and {mask.shape[1]}×{mask.shape[0]} ({file})"
        )


def _decode(path: Path) -> Image.Image:
    # Any library may have set this global switch, and Pillow then serves half images in silence.
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    data = _read_bytes(path)
    try:
        with Image.open(io.BytesIO(data)) as image:
            _check_size(image)
            image.load()
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise SampleError(f"possible decompression bomb: {error}") from error
    except SampleError:
        raise
    except Exception as error:  # Pillow's decoders raise almost anything on broken files
        raise SampleError(f"cannot be decoded: {str(error).splitlines()[0]}") from error
    if image.format == "JPEG" and _lacks_end(data):
        raise SampleError("cannot be decoded: truncated (the JPEG has no end marker)")
    return image


def _read_bytes(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise SampleError("file is missing") from error
    except OSError as error:
        raise SampleError(f"file cannot be read: {error.strerror}") from error
    if not data:
        raise SampleError("file is empty")
    return data


def _check_size(image: Image.Image) -> None:
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and image.width * image.height > limit:
        raise SampleError(
            f"possible decompression bomb: {image.width}×{image.height} pixels are more than "
            f"{limit}; raise PIL.Image.MAX_IMAGE_PIXELS if the file is to be trusted"
        )


def _lacks_end(jpeg: bytes) -> bool:
    """Return whether the last scan is not closed, as in a download that left its tail zero.

    libjpeg fills such a tail with grey and Pillow says nothing. Inside a scan the end marker
    cannot occur, since every 0xFF of the data is followed by a 0.
    """
    return jpeg.rfind(b"\xff\xd9") < jpeg.rfind(b"\xff\xda")
