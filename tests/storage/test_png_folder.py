import os

import numpy as np
import pytest
from PIL import Image

from project.core.errors import InputError
from project.storage.png_folder import PngFolder

LEVELS = np.array([[0, 51, 255]], np.uint8)


def folder(tmp_path) -> PngFolder:
    return PngFolder(str(tmp_path), "saliency map")


@pytest.mark.parametrize("mode", ["L", "RGB", "P", "LA", "RGBA"])
def test_grey_maps_of_every_mode_are_read_alike(tmp_path, mode):
    Image.fromarray(LEVELS).convert(mode).save(tmp_path / "a.png")
    assert folder(tmp_path).grey("a", 0).tolist() == LEVELS.tolist()


def colours() -> np.ndarray:
    return np.array([[[255, 0, 0], [0, 0, 0]]], np.uint8)


@pytest.mark.parametrize(
    ("pixels", "reason"),
    [
        (LEVELS.astype(np.uint16) * 257, r"8 bits a channel, got more \(mode 'I;16'\)"),
        (colours(), "must be grey, got colours"),
        ((LEVELS > 0).astype(np.uint8), "got 0 and 1. Multiply it by 255"),
    ],
)
def test_maps_that_would_be_misread_are_refused_by_name(tmp_path, pixels, reason):
    Image.fromarray(pixels).save(tmp_path / "a.png")
    with pytest.raises(InputError, match=rf"saliency map .*a\.png.*{reason}"):
        folder(tmp_path).grey("a", 0)


@pytest.mark.parametrize("content", [b"", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"\x89PNG\r\n\x1a\n"])
def test_damaged_maps_are_named(tmp_path, content):
    (tmp_path / "a.png").write_bytes(content)
    for read in (folder(tmp_path).grey, folder(tmp_path).ids):
        with pytest.raises(InputError, match=r"saliency map .*a\.png: (file is empty|cannot be)"):
            read("a", 0)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"a\.png: must be a regular file"):
        folder(tmp_path).grey("a", 0)
    assert folder(tmp_path).fingerprint() == folder(tmp_path).fingerprint()


def test_ids_are_those_stored(tmp_path):
    image = Image.fromarray(LEVELS)
    image.putpalette(list(range(255, -1, -1)) * 3)
    image.save(tmp_path / "a.png")
    assert folder(tmp_path).ids("a", 0).tolist() == LEVELS.tolist()


def test_names_are_found_in_folders_in_capitals_and_with_accents_of_macos(tmp_path):
    (tmp_path / "part").mkdir()
    Image.fromarray(LEVELS).save(tmp_path / "part" / "e\N{COMBINING ACUTE ACCENT}.PNG")
    assert folder(tmp_path).grey("part/é", 0).tolist() == LEVELS.tolist()


def test_the_fingerprint_knows_maps_in_folders_below_and_no_clutter(tmp_path):
    (tmp_path / "part").mkdir()
    Image.fromarray(LEVELS).save(tmp_path / "part" / "a.png")
    before = folder(tmp_path).fingerprint()
    (tmp_path / "._a.png").write_bytes(b"macOS")
    (tmp_path / ".cache").mkdir()
    Image.fromarray(LEVELS).save(tmp_path / ".cache" / "a.png")
    assert folder(tmp_path).fingerprint() == before
    Image.fromarray(255 - LEVELS).save(tmp_path / "part" / "a.png")
    assert folder(tmp_path).fingerprint() != before
