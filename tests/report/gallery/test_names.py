"""Folders of the gallery for any name, on disks that confuse some of them."""

import unicodedata

import numpy as np
import pytest

from project.report.gallery import Attacked, GalleryKeeper, samples
from project.report.gallery.names import folder_name

NAMES = [
    *("pgd", "PGD", "Pgd", "pgd@4", "pgd 4", "pgd.", "pgd ", "a/b", "a%2Fb", "a\\b", "..", "."),
    *("originals", "x" * 250, "x" * 251, "é" * 250, "nul\0", "tab\t", "a:b", "a?b", "a*b", 'a"b'),
    *("😀", "\u202eevil", "é", "e\u0301", "ß", "ss", "ſ", "s", "K", "k", "con~1", "<b>", "{index}"),
]


def seen_by_a_disk(folder):
    """What a disk goes by that tells neither upper from lower case nor ways of writing apart."""
    return unicodedata.normalize("NFKC", folder).casefold()


def test_no_two_names_share_a_folder_on_any_disk():
    folders = [folder_name(name) for name in NAMES]
    assert len(set(map(seen_by_a_disk, folders))) == len(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_folders_name_is_one_that_every_disk_takes(name):
    folder = folder_name(name)
    assert 0 < len(folder.encode()) <= 140
    assert not set(folder) & set('/\\<>:"|?*\0\t')
    assert folder.strip(". ") == folder
    assert folder != "originals"


def test_plain_names_are_folders_as_they_are():
    for name in ("pgd", "mi_fgsm", "pgd@0.5", "vit_s-16", "a b"):
        assert folder_name(name) == name


def test_every_name_comes_back_with_its_own_pictures(tmp_path):
    keeper = GalleryKeeper(tmp_path)
    for number, name in enumerate(NAMES):
        image = np.full((2, 2, 3), number, np.uint8)
        keeper.keep(name, name, number, Attacked(image, prediction=image[..., 0]))
        keeper.keep_clean(number, image, image[..., 0], {name: image[..., 0]})
    assert {path.name for path in tmp_path.iterdir()} == {"gallery"}
    found = samples(tmp_path, NAMES)
    assert {(one.attack, one.source, one.index) for one in found} == {
        (name, name, number) for number, name in enumerate(NAMES)
    }
    for one in found:
        for kind in ("adversarial", "clean", "target", "prediction_clean"):
            assert one.read(kind, "L")[0, 0] == one.index


def test_folders_of_older_runs_are_read_as_they_were_written(tmp_path):
    keeper = GalleryKeeper(tmp_path)
    keeper.keep("pgd", "b", 0, Attacked(np.zeros((2, 2, 3), np.uint8)))
    (tmp_path / "gallery" / "pgd").rename(tmp_path / "gallery" / "PGD%2F2")
    assert [one.attack for one in samples(tmp_path, ["PGD/2"])] == ["PGD/2"]
