"""Lists of a split as VOC has them, and as others write them."""

import codecs

import numpy as np
import pytest

from project.core.errors import InputError
from project.data import DataError, VOCData
from tests.data.files import photo, save

NAMES = ("2007_1", "2007_2", "my photo 1")


@pytest.fixture
def listed(tmp_path):
    for name in NAMES:
        save(tmp_path / "JPEGImages" / f"{name}.jpg", photo())
        save(tmp_path / "SegmentationClass" / f"{name}.png", np.full((24, 32), 3, np.uint8))
    lists = tmp_path / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)

    def read(text: str | bytes) -> list[tuple[str, str, str]]:
        (lists / "val.txt").write_bytes(text if isinstance(text, bytes) else text.encode())
        data = VOCData(str(tmp_path))
        data.setup("test")
        return [(entry.name, entry.file, entry.mask) for entry in data.samples.files]

    read.root = tmp_path
    return read


def expected(*names: str, suffix: str = ".jpg") -> list[tuple[str, str, str]]:
    return [(name, f"JPEGImages/{name}{suffix}", f"SegmentationClass/{name}.png") for name in names]


@pytest.mark.parametrize(
    "text",
    [
        "2007_1\n2007_2\n",
        codecs.BOM_UTF8 + b"2007_1\n2007_2\n",
        codecs.BOM_UTF16_LE + "2007_1\r\n2007_2\r\n".encode("utf-16-le"),
        "2007_1.jpg\n2007_2.JPG\n",
        "  2007_1  \n\n2007_2\t\n",
        "2007_1 1\n2007_2 -1\n",
        "2007_1\t 0\n2007_2  1\n",
        "JPEGImages/2007_1.jpg\nJPEGImages\\2007_2.jpg\n",
        "/JPEGImages/2007_1.jpg /SegmentationClass/2007_1.png\n2007_2\n",
    ],
)
def test_lists_of_all_kinds_are_read(listed, text):
    assert listed(text) == expected("2007_1", "2007_2")


def test_names_with_blanks_are_names(listed):
    assert listed("my photo 1\n2007_1\n") == expected("2007_1", "my photo 1")


def test_photos_with_a_suffix_in_capitals_are_found(listed):
    for path in (listed.root / "JPEGImages").iterdir():
        path.rename(path.with_suffix(".JPG"))
    assert listed("2007_1\n2007_2\n") == expected("2007_1", "2007_2", suffix=".JPG")


def test_a_second_column_that_is_a_mask_is_the_mask(listed):
    save(listed.root / "Other" / "x.png", np.full((24, 32), 5, np.uint8))
    assert listed("JPEGImages/2007_1.jpg Other/x.png\n") == [
        ("2007_1", "JPEGImages/2007_1.jpg", "Other/x.png")
    ]


def test_a_photo_listed_twice_counts_once(listed):
    with pytest.warns(UserWarning, match=r"val.txt lists 1 photos twice"):
        assert listed("2007_1\n2007_2\n2007_1.jpg\n") == expected("2007_1", "2007_2")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("2007_1\n../../x\n", r"val.txt, line 2: files must lie inside of the root"),
        ("2007_1 ../x.png\n", r"val.txt, line 1: files must lie inside of the root"),
        ("2007_1\n2007\0_2\n", r"val.txt, line 2: holds a NUL byte"),
        (b"2007_1\nM\xfcll\n", r"val.txt, line 2: accents are not written in UTF-8"),
    ],
)
def test_what_is_not_clear_is_refused_by_line(listed, text, message):
    with pytest.raises(InputError, match=message):
        listed(text)


def test_a_line_that_may_mean_two_photos_is_refused(listed):
    save(listed.root / "JPEGImages" / "2007_1 1.jpg", photo())
    with pytest.raises(InputError, match=r"line 1: '2007_1 1' may mean .*2007_1 1.jpg and .*7_1"):
        listed("2007_1 1\n")
    save(listed.root / "JPEGImages" / "2007_2.png", photo())
    with pytest.raises(InputError, match=r"'2007_2' may mean .*2007_2.jpg and .*2007_2.png"):
        listed("2007_2\n")


def test_a_photo_with_two_masks_in_the_list_is_refused(listed):
    text = "JPEGImages/2007_1.jpg SegmentationClass/2007_1.png\n"
    with pytest.raises(InputError, match=r"line 2: .*2007_1.jpg has the mask .*2007_2.png, and"):
        listed(text + text.replace("ss/2007_1", "ss/2007_2"))


def test_a_missing_photo_is_missing_under_its_published_name(listed):
    with pytest.raises(DataError, match=r"JPEGImages/2008_7.jpg: file is missing"):
        listed("2007_1\n2008_7\n")
