import io
import os
import struct
import subprocess
import warnings
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageFile, ImageOps

from project.data.decoding import Reading, SampleError, read_mask, read_photo, read_rgb
from tests.data.files import photo, save, truncate


def test_lossless_photos_come_back_bit_for_bit(tmp_path):
    pixels = photo()
    assert np.array_equal(read_rgb(save(tmp_path / "a.png", pixels)), pixels)


def test_grey_photos_get_three_equal_channels(tmp_path):
    pixels = photo()[..., 0]
    read = read_rgb(save(tmp_path / "a.png", pixels))
    assert np.array_equal(read, np.stack([pixels] * 3, -1))


@pytest.mark.parametrize("mode", ["CMYK", "RGBA", "P", "LA"])
def test_other_modes_are_converted_to_rgb(tmp_path, mode):
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    Image.fromarray(photo()).convert(mode).save(path)
    assert read_rgb(path).shape == (24, 32, 3)


def test_a_palette_mask_gives_ids_and_not_colours(tmp_path):
    ids = np.array([[0, 1], [20, 255]], np.uint8)
    image = Image.fromarray(ids)
    image.putpalette(list(range(256)) * 3)
    image.save(tmp_path / "mask.png")
    assert np.array_equal(read_mask(tmp_path / "mask.png"), ids)


@pytest.mark.parametrize("suffix", ["jpg", "png", "bmp", "webp"])
@pytest.mark.parametrize("share", [0.01, 0.5, 0.9])
def test_a_truncated_photo_is_never_served(tmp_path, suffix, share):
    path = save(tmp_path / f"a.{suffix}", photo(200, 300))
    truncate(path, share)
    with pytest.raises(SampleError):
        read_rgb(path)


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_a_truncated_photo_is_refused_even_if_another_library_told_pillow_to_serve_it(
    tmp_path, monkeypatch, suffix
):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    path = save(tmp_path / f"a.{suffix}", photo(200, 300))
    truncate(path)
    with pytest.raises(SampleError, match="truncated"):
        read_rgb(path)


def test_a_jpeg_whose_tail_is_zero_is_refused(tmp_path):
    path = save(tmp_path / "a.jpg", photo(200, 300))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2] + bytes(len(data) // 2))
    with pytest.raises(SampleError, match="no end marker"):
        read_rgb(path)


def test_a_jpeg_with_bytes_after_its_end_is_served(tmp_path):
    path = save(tmp_path / "a.jpg", photo())
    before = read_rgb(path)
    path.write_bytes(path.read_bytes() + bytes(100))
    assert np.array_equal(read_rgb(path), before)


def test_a_png_with_a_flipped_byte_is_refused(tmp_path):
    path = save(tmp_path / "a.png", photo(200, 300))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(bytes(data))
    with pytest.raises(SampleError, match="cannot be decoded"):
        read_rgb(path)


@pytest.mark.parametrize(
    ("content", "reason"), [(b"", "empty"), (b"no image", "cannot be decoded")]
)
def test_files_that_are_no_image_are_refused(tmp_path, content, reason):
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(SampleError, match=reason):
        read_rgb(path)


def test_a_missing_file_is_said_to_be_missing(tmp_path):
    with pytest.raises(SampleError, match="missing"):
        read_rgb(tmp_path / "a.jpg")


@pytest.mark.parametrize("limit", [100, 500])
def test_a_decompression_bomb_is_refused(tmp_path, monkeypatch, limit):
    # 768 pixels: above twice the limit Pillow raises, above the limit it only warns.
    path = save(tmp_path / "a.png", photo(24, 32))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        with pytest.raises(SampleError, match="decompression bomb"):
            read_rgb(path)


def test_sixteen_bit_photos_are_refused(tmp_path):
    path = save(tmp_path / "a.png", np.full((4, 4), 40000, np.uint16))
    with pytest.raises(SampleError, match="8 bits"):
        read_rgb(path)


def test_a_coloured_mask_is_refused(tmp_path):
    path = save(tmp_path / "mask.png", photo())
    with pytest.raises(SampleError, match="one 8-bit class id per pixel"):
        read_mask(path)


def jpeg(**more: object) -> bytes:
    packed = io.BytesIO()
    Image.fromarray(photo(64, 80)).save(packed, "JPEG", **more)
    return packed.getvalue()


SCAN, END = b"\xff\xda", b"\xff\xd9"
BEHIND = {
    "zeros": bytes(100),
    "film": b"\0\0\0\x18ftypmp42" + SCAN * 3 + bytes(20),
    "second photo": jpeg(),
    "second photo cut off": jpeg()[:-50],
    "end marker": END,
}


@pytest.mark.parametrize("behind", BEHIND.values(), ids=BEHIND.keys())
@pytest.mark.parametrize(
    "kind", [{}, {"progressive": True}, {"restart_marker_blocks": 2}, {"comment": b"x" + END}]
)
def test_a_jpeg_is_whole_where_its_picture_ends_whatever_follows(tmp_path, behind, kind):
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg(**kind))
    whole = read_rgb(path)
    path.write_bytes(jpeg(**kind) + behind)
    assert np.array_equal(read_rgb(path), whole)


@pytest.mark.parametrize("behind", [bytes(2000), b"\0\0\0\x18ftypmp42" + bytes(2000)])
@pytest.mark.parametrize("kind", [{}, {"progressive": True}, {"comment": b"x" + END}])
def test_a_jpeg_cut_off_is_refused_whatever_follows(tmp_path, behind, kind):
    path = tmp_path / "a.jpg"
    data = jpeg(**kind)
    path.write_bytes(data[: len(data) * 2 // 3] + behind)
    with pytest.raises(SampleError, match="cannot be decoded"):
        read_rgb(path)


def test_the_photo_of_a_multi_picture_file_is_its_first(tmp_path):
    first, second = Image.fromarray(photo()), Image.fromarray(photo(seed=1))
    first.save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[second])
    first.save(tmp_path / "b.jpg")
    assert np.array_equal(read_rgb(tmp_path / "a.jpg"), read_rgb(tmp_path / "b.jpg"))


@pytest.mark.parametrize("suffix", ["png", "webp", "tif"])
def test_an_animation_is_refused(tmp_path, suffix):
    frames = [Image.fromarray(photo(seed=number)) for number in range(3)]
    path = tmp_path / f"a.{suffix}"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    with pytest.raises(SampleError, match="must hold one picture, got several"):
        read_rgb(path)


@pytest.mark.parametrize("suffix", ["png", "tif", "ppm"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_colours_of_sixteen_bits_are_refused_and_not_cut_to_eight(tmp_path, suffix, channels):
    if suffix == "ppm" and channels != 3:
        pytest.skip("the format has three channels")
    pixels = np.random.default_rng(0).integers(0, 65536, (5, 6, channels)).astype(np.uint16)
    path = tmp_path / f"a.{suffix}"
    assert cv2.imwrite(str(path), pixels)
    with pytest.raises(SampleError, match="8 bits a channel, got more"):
        read_rgb(path)


@pytest.mark.parametrize("pixels", [np.full((4, 4), 0.5, np.float32), np.ones((4, 4), np.int32)])
def test_float_and_long_files_are_refused(tmp_path, pixels):
    Image.fromarray(pixels).save(tmp_path / "a.tif")
    with pytest.raises(SampleError, match="8 bits a channel, got more"):
        read_rgb(tmp_path / "a.tif")


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n%%EOF\n"


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif"])
def test_a_program_in_postscript_is_not_started(tmp_path, name, monkeypatch):
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("a program starts"))
    (tmp_path / name).write_bytes(EPS)
    for read in (read_rgb, read_mask):
        with pytest.raises(SampleError, match="it is none of JPEG, PNG, TIFF, WebP, BMP and PPM"):
            read(tmp_path / name)


@pytest.mark.parametrize("kind", ["GIF", "ICO", "TGA", "PCX", "SGI"])
def test_other_formats_are_refused_under_any_name(tmp_path, kind):
    Image.fromarray(photo()).save(tmp_path / "a.png", kind)
    with pytest.raises(SampleError, match="it is none of"):
        read_rgb(tmp_path / "a.png")


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(SampleError, match="regular file, got a pipe"):
        read_rgb(tmp_path / "a.png")


def chunk(kind: bytes, content: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + check


def grey_png(ids: list[int], bits: int) -> bytes:
    """Write one row of grey levels of few bits, as PNG's specification says."""
    packed = 0
    for number in ids:
        packed = packed << bits | number
    row = b"\0" + packed.to_bytes(len(ids) * bits // 8, "big")
    header = struct.pack(">IIBBBBB", len(ids), 1, bits, 0, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(row)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_ids_in_grey_of_few_bits_are_those_stored(tmp_path, bits):
    ids = [number % 2**bits for number in (0, 1, 2, 3, 7, 11, 15, 5)]
    (tmp_path / "a.png").write_bytes(grey_png(ids, bits))
    assert read_mask(tmp_path / "a.png").tolist() == [ids]


def test_ids_of_sixteen_bits_are_read_if_they_are_ids(tmp_path):
    ids = np.array([[0, 7, 255]], np.uint16)
    assert read_mask(save(tmp_path / "a.png", ids)).tolist() == ids.tolist()
    assert read_mask(save(tmp_path / "a.tif", ids)).tolist() == ids.tolist()
    with pytest.raises(SampleError, match=r"ids must lie in 0 … 255, got 0 … 510"):
        read_mask(save(tmp_path / "a.png", ids * 2))


def test_ids_in_formats_that_change_them_are_refused(tmp_path):
    Image.fromarray(np.array([[0, 7, 255]], np.uint8)).save(tmp_path / "a.png", "JPEG")
    with pytest.raises(SampleError, match="PNG, BMP or TIFF, got JPEG"):
        read_mask(tmp_path / "a.png")
    (tmp_path / "b.tif").write_bytes(b"P5 2 1 15\n\1\2")
    with pytest.raises(SampleError, match="PNG, BMP or TIFF, got PPM"):
        read_mask(tmp_path / "b.tif")


def test_ids_in_a_file_where_white_is_0_are_refused(tmp_path):
    white_is_0 = {262: 0}
    Image.fromarray(np.zeros((2, 2), np.uint8)).save(tmp_path / "a.tif", tiffinfo=white_is_0)
    with Image.open(tmp_path / "a.tif") as image:
        assert image.tile[0].args[0] == "L;I"
    with pytest.raises(SampleError, match="white is 0"):
        read_mask(tmp_path / "a.tif")


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "F"])
def test_masks_of_several_channels_or_fractions_are_refused(tmp_path, mode):
    Image.new(mode, (4, 4)).save(tmp_path / "a.tif")
    with pytest.raises(SampleError, match=f"one 8-bit class id per pixel.*got mode '{mode}'"):
        read_mask(tmp_path / "a.tif")


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_displayed_photos_and_masks_are_turned_as_pillow_turns_them(tmp_path, suffix, orientation):
    pixels = np.kron(photo(3, 4), np.ones((8, 8, 1), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(pixels).save(path, exif=exif)
    with Image.open(path) as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
        stored = np.asarray(image)
    displayed = Reading(orientation="displayed")
    assert np.array_equal(read_rgb(path, displayed), expected)
    told = read_photo(path)
    assert np.array_equal(told.pixels, stored)
    # Pillow follows the orientation of a TIFF itself, which is part of that format.
    assert told.remark == (None if orientation == 1 or suffix == "tif" else "turned")
    assert read_photo(path, displayed).remark is None
    if suffix == "png":
        ids = np.arange(6, dtype=np.uint8).reshape(2, 3)
        Image.fromarray(ids).save(path, exif=exif)
        with Image.open(path) as image:
            expected = np.asarray(ImageOps.exif_transpose(image))
        assert np.array_equal(read_mask(path, displayed), expected)
        assert np.array_equal(read_mask(path), ids)


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_an_orientation_that_is_none_is_not_followed(tmp_path, value):
    exif = Image.Exif()
    exif[0x0112] = value
    Image.fromarray(photo()).save(tmp_path / "a.png", exif=exif)
    told = read_photo(tmp_path / "a.png", Reading(orientation="displayed"))
    assert np.array_equal(told.pixels, photo())


def test_the_limit_of_pixels_is_that_of_the_reading(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    path = save(tmp_path / "a.png", photo(24, 32))
    with pytest.raises(SampleError, match=r"bomb.*--data\.reading\.max_pixels"):
        read_rgb(path)
    assert read_rgb(path, Reading(max_pixels=768)).shape == (24, 32, 3)
    with pytest.raises(SampleError, match="32×24 pixels are more than 767"):
        read_rgb(path, Reading(max_pixels=767))
    with pytest.raises(ValueError, match="max_pixels must be at least 1 or null, got 0"):
        Reading(max_pixels=0)
