"""PNGs without compression: ordinary ones to everybody else, and what others write is read."""

import io
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from project.storage.png import decode_png, encode_png

TEXTS = {"mirage": '{"success": 1.0}', "mirage_about": '{"origin": "café"}'}


def noise(height: int, width: int, channels: int = 3):
    shape = (height, width, channels) if channels > 1 else (height, width)
    return np.random.default_rng(height).integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize("size", [(1, 1), (6, 9), (224, 224), (3, 70_000)])
def test_others_read_what_is_written(size):
    pixels = noise(*size)
    content = encode_png(pixels, TEXTS)
    with Image.open(io.BytesIO(content), formats=["PNG"]) as file:
        file.verify()  # the checksum of every chunk
    with Image.open(io.BytesIO(content), formats=["PNG"]) as file:
        assert file.mode == "RGB"
        np.testing.assert_array_equal(np.asarray(file), pixels)
        assert file.text == TEXTS
    seen = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(seen[..., ::-1], pixels)


@pytest.mark.parametrize("size", [(1, 1), (6, 9), (3, 70_000)])
def test_what_is_written_comes_back(size):
    pixels = noise(*size)
    found, texts = decode_png(encode_png(pixels, TEXTS))
    np.testing.assert_array_equal(found, pixels)
    assert texts == TEXTS
    found[0, 0] = 0  # may be written to


def test_how_pixels_lie_in_memory_makes_no_difference():
    planes = noise(3, 5, 4).transpose(2, 0, 1)
    spread = planes[:3].transpose(1, 2, 0)
    assert encode_png(spread, {}) == encode_png(np.ascontiguousarray(spread), {})


@pytest.mark.parametrize("level", [0, 1, 9])
def test_what_pillow_writes_is_read(level):
    """As older stores have it; level 0 is stored, too, but with filters."""
    smooth = cv2.GaussianBlur(noise(40, 50), (0, 0), 5)
    told = PngImagePlugin.PngInfo()
    for name, text in TEXTS.items():
        told.add_text(name, text)
    packed = io.BytesIO()
    Image.fromarray(smooth).save(packed, "PNG", pnginfo=told, compress_level=level)
    found, texts = decode_png(packed.getvalue())
    np.testing.assert_array_equal(found, smooth)
    assert texts == TEXTS


@pytest.mark.parametrize("level", [0, 1, 9])
@pytest.mark.parametrize("channels", [1, 3])
def test_what_opencv_writes_is_read(level, channels):
    pixels = noise(7, 11, channels)
    given = pixels[..., ::-1] if channels == 3 else pixels
    packed = cv2.imencode(".png", given, [cv2.IMWRITE_PNG_COMPRESSION, level])[1].tobytes()
    np.testing.assert_array_equal(decode_png(packed)[0], pixels)


def test_a_file_that_is_cut_off_is_refused():
    content = encode_png(noise(6, 9), TEXTS)
    for end in range(len(content) - 16):  # up to the pixels' checksum, which seals do better
        with pytest.raises((OSError, ValueError, SyntaxError, zlib.error)):
            decode_png(content[:end])
