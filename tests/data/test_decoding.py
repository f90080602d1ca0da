import warnings

import numpy as np
import pytest
from PIL import Image, ImageFile

from project.data.decoding import SampleError, read_mask, read_rgb
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
