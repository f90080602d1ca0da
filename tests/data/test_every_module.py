"""What every data set of files must stand: whatever else lies in its folders, and broken photos."""

import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from project.data import (
    CamVidData,
    CentreCrop,
    CityscapesData,
    CutoutData,
    DataError,
    ImageListData,
    MaskFolderData,
    Native,
    Reading,
    SaliencyFolderData,
    SalientObjectData,
    Stretch,
    VOCData,
)
from tests.data.files import photo, save

SIZE = (24, 32)


def mask(number: int = 0) -> np.ndarray:
    """Ids 7 and 11 side by side: classes of each data set, or void."""
    pixels = np.full(SIZE, 7, np.uint8)
    pixels[:, 10 + number :] = 8
    return pixels


def folders(root: Path) -> ImageListData:
    for name in ("ant", "bee"):
        for number in range(2):
            save(root / name / f"{name}{number}.png", photo(seed=number))
    return ImageListData(str(root))


def table(root: Path) -> ImageListData:
    for number in range(2):
        save(root / "images" / f"{number}.png", photo(seed=number))
    (root / "labels.csv").write_text("file,class_index\nimages/0.png,0\nimages/1.png,1\n")
    return ImageListData(str(root), labels="labels.csv")


def voc(root: Path, lists: bool = False) -> VOCData:
    for number in range(2):
        save(root / "JPEGImages" / f"{number}.png", photo(seed=number))
        save(root / "SegmentationClass" / f"{number}.png", mask(number))
    if not lists:
        return VOCData(str(root), lists=None)
    (root / "ImageSets" / "Segmentation").mkdir(parents=True, exist_ok=True)
    (root / "ImageSets" / "Segmentation" / "val.txt").write_text("0\n1\n")
    return VOCData(str(root))


def listed_voc(root: Path) -> VOCData:
    return voc(root, lists=True)


def cityscapes(root: Path) -> CityscapesData:
    for number in range(2):
        stem = f"bonn_{number}"
        save(root / "leftImg8bit" / "val" / "bonn" / f"{stem}_leftImg8bit.png", photo(seed=number))
        save(root / "gtFine" / "val" / "bonn" / f"{stem}_gtFine_labelIds.png", mask(number))
    return CityscapesData(str(root))


def flat_cityscapes(root: Path) -> CityscapesData:
    for number in range(2):
        save(root / f"bonn_{number}_leftImg8bit.png", photo(seed=number))
        save(root / f"bonn_{number}_labelIds.png", mask(number))
    return CityscapesData(str(root))


def camvid(root: Path) -> CamVidData:
    for number in range(2):
        save(root / "test" / f"{number}.png", photo(seed=number))
        save(root / "testannot" / f"{number}.png", mask(number))
    return CamVidData(str(root))


def salient(root: Path) -> SaliencyFolderData:
    for number in range(2):
        save(root / "i" / f"{number}.png", photo(seed=number))
        save(root / "m" / f"{number}.png", np.where(mask(number) == 7, 255, 0).astype(np.uint8))
    return SaliencyFolderData(
        str(root), test_images="i", test_masks="m", eval_split="test", images="i", masks="m"
    )


def mask_folder(root: Path) -> MaskFolderData:
    for number in range(2):
        save(root / "images" / f"{number}.png", photo(seed=number))
        save(root / "masks" / f"{number}.png", mask(number))
    return MaskFolderData(str(root), classes={7: "low", 8: "high"})


def salient_objects(root: Path) -> SalientObjectData:
    return SalientObjectData(camvid(root))


def cutouts(root: Path) -> CutoutData:
    return CutoutData(camvid(root), ["fence", "car"], size=8, share=0.7)


LISTING = [folders, voc, cityscapes, flat_cityscapes, camvid, salient, mask_folder]
LISTING += [salient_objects, cutouts]
ALL = [*LISTING, table, listed_voc]
SUFFIXED = [voc, listed_voc, camvid, salient, mask_folder, cityscapes, flat_cityscapes]


def found(data) -> list[str]:
    data.setup("test")
    samples = data.samples
    return [samples.where(index) for index in samples.indices]


def inner(data):
    return data.data if isinstance(data, CutoutData | SalientObjectData) else data


@pytest.mark.parametrize("make", ALL)
def test_what_systems_leave_in_folders_is_neither_class_nor_photo(tmp_path, make):
    data = make(tmp_path)
    clean = found(data)
    fingerprint = data.samples.fingerprint()
    for folder in [tmp_path, *(path for path in tmp_path.rglob("*") if path.is_dir())]:
        for name in (".ipynb_checkpoints", "__MACOSX", "@eaDir", "lost+found", ".git"):
            save(folder / name / "z.png", photo())
            save(folder / name / "z_leftImg8bit.png", photo())
        (folder / "Thumbs.db").write_bytes(b"thumbs")
        for path in [path for path in folder.iterdir() if path.suffix == ".png"]:
            (folder / f"._{path.name}").write_bytes(b"\0\5\26\7 Mac OS X")
    again = make(tmp_path)
    assert found(again) == clean
    assert again.samples.fingerprint() == fingerprint
    assert again.class_names == data.class_names


@pytest.mark.parametrize("make", LISTING)
def test_folders_pipes_and_sockets_that_are_called_as_photos_are_none(tmp_path, make):
    clean = found(make(tmp_path))
    for folder in {path.parent for path in tmp_path.rglob("*.png")}:
        (folder / "folder_leftImg8bit.png").mkdir()
        os.mkfifo(folder / "pipe_leftImg8bit.png")
    assert found(make(tmp_path)) == clean


@pytest.mark.parametrize("make", LISTING)
def test_links_to_folders_are_followed_and_those_to_themselves_end(tmp_path, make):
    root, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    clean = found(make(root))
    elsewhere.mkdir()
    for number, path in enumerate([path for path in root.iterdir() if path.is_dir()]):
        target = elsewhere / str(number)
        shutil.move(path, target)
        path.symlink_to(target, target_is_directory=True)
        if make is not folders:
            (target / "again").symlink_to(target, target_is_directory=True)
    (root / "loop").symlink_to("loop")
    assert found(make(root)) == clean


@pytest.mark.parametrize("make", [folders, voc, camvid, salient, mask_folder, flat_cityscapes])
def test_a_part_of_a_set_that_is_a_link_is_read(tmp_path, make):
    root, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    count = len(found(make(root)))
    for number, folder in enumerate(sorted({path.parent for path in root.rglob("*.png")})):
        (elsewhere / f"{number}").mkdir(parents=True)
        for path in folder.glob("*.png"):
            shutil.move(path, elsewhere / f"{number}" / path.name)
        (folder / "part").symlink_to(elsewhere / f"{number}")
    data = make(tmp_path / "unused")
    inner(data).root = str(root)
    assert len(found(data)) == count


def test_classes_that_are_links_to_folders_are_classes(tmp_path):
    folders(tmp_path / "data")
    shutil.move(tmp_path / "data" / "ant", tmp_path / "ant")
    (tmp_path / "data" / "ant").symlink_to(tmp_path / "ant")
    (tmp_path / "ant" / "loop").symlink_to(tmp_path / "ant")
    data = ImageListData(str(tmp_path / "data"))
    assert len(found(data)) == 4
    assert data.class_names == ("ant", "bee")


@pytest.mark.parametrize("make", ALL)
def test_a_photo_that_the_crop_does_not_fit_is_listed_like_any_bad_one(tmp_path, make):
    data = make(tmp_path)
    data.frame = CentreCrop(None, 7 if make is cutouts else 16)
    for path in tmp_path.rglob("*[01]*.png"):
        if path.stem.removesuffix("_leftImg8bit").removesuffix("_labelIds").endswith("0"):
            pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
            save(path, pixels[: 9 if make is cutouts else 12])
        elif path.stem.endswith("_0_gtFine_labelIds"):
            save(path, mask()[:12])
    if make is cutouts:
        data.frame = CentreCrop(None, 16)
    with pytest.raises(DataError, match=r"(?s)samples cannot be used.*0.*png.*frame does not fit"):
        data.setup("test")


@pytest.mark.parametrize("make", ALL)
def test_a_photo_changed_after_it_was_verified_is_named(tmp_path, make):
    data = make(tmp_path)
    data.setup("test")
    where = data.samples.where(0)
    path = tmp_path / where.partition(" at ")[0]
    save(path, photo(seed=99))
    os.utime(path, ns=(1, 1))
    with pytest.raises(ValueError, match=r"0.*png.*has changed since it was verified"):
        data.samples[0]


def turned(path: Path, orientation: int = 6) -> np.ndarray:
    """Store a photo turned, with the EXIF tag that turns it back; return it as it is displayed."""
    shown = np.zeros((*SIZE, 3), np.uint8)
    shown[:, :8] = 200
    stored = Image.fromarray(np.ascontiguousarray(np.rot90(shown, 1 if orientation == 6 else 2)))
    exif = Image.Exif()
    exif[0x0112] = orientation
    path.parent.mkdir(parents=True, exist_ok=True)
    stored.save(path, exif=exif)
    return shown


@pytest.mark.parametrize("make", ALL)
def test_a_rotation_in_exif_is_told_and_can_be_followed(tmp_path, make):
    data = make(tmp_path)
    paths = [path for path in tmp_path.rglob("*.png") if image_of(path)]
    shown = {path: turned(path, 3) for path in paths}
    data.frame = None
    with pytest.warns(UserWarning, match="have an EXIF rotation.*orientation displayed"):
        data.setup("test")
    assert any("EXIF rotation" in notice for notice in data.notices)
    other = make(tmp_path / "unused")
    inner(other).root = str(tmp_path)
    inner(other).reading = Reading(orientation="displayed")
    for path in paths:
        turned(path, 3)
    other.setup("test")
    assert not any("EXIF" in notice for notice in other.notices)
    image, _ = other.samples.read(0)
    assert other.samples.fingerprint() != data.samples.fingerprint()
    if make is not cutouts:
        assert np.array_equal(image, next(iter(shown.values())))
        assert not np.array_equal(data.samples.read(0)[0], image)


def image_of(path: Path) -> bool:
    """Return whether a file is a photo, and no mask."""
    return "labelIds" not in path.name and path.parent.name not in (
        "SegmentationClass",
        "testannot",
        "masks",
        "m",
    )


def test_a_mask_of_the_displayed_photo_does_not_fit_the_stored_one(tmp_path):
    data = camvid(tmp_path)
    turned(tmp_path / "test" / "0.png")
    with pytest.raises(DataError, match=r"24×32 and 32×24 .* set --data.reading.orientation disp"):
        data.setup("test")
    right = CamVidData(str(tmp_path), reading=Reading(orientation="displayed"))
    right.setup("test")
    assert right.samples[0]["image"].shape[1:] == SIZE


@pytest.mark.parametrize("make", ALL)
def test_the_largest_size_is_set_in_the_config(tmp_path, make, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    data = make(tmp_path)
    if make is not cutouts:
        with pytest.raises(DataError, match=r"decompression bomb.*reading.max_pixels"):
            data.setup("test")
    inner(data).reading = Reading(max_pixels=24 * 32)
    again = type(data)(**arguments(data))
    again.setup("test")
    assert len(again.samples) >= 2


def arguments(data) -> dict:
    """Return constructor arguments that make a datamodule anew."""
    if isinstance(data, SalientObjectData):
        return {"data": CamVidData(data.data.root, reading=data.data.reading)}
    if isinstance(data, CutoutData):
        known = ("data", "classes", "size", "share")
        return {name: getattr(data, name) for name in known}
    names = {
        ImageListData: ("labels",),
        VOCData: ("lists",),
        MaskFolderData: ("classes",),
        SaliencyFolderData: ("test_images", "test_masks", "eval_split", "images", "masks"),
    }.get(type(data), ())
    return {name: getattr(data, name) for name in ("root", "reading", *names)}


@pytest.mark.parametrize("make", [voc, listed_voc, camvid, salient, mask_folder, cityscapes])
def test_names_with_accents_of_macos_find_those_of_linux(tmp_path, make):
    data = make(tmp_path)
    for path in list(tmp_path.rglob("*0*.png")):
        accent = "é" if image_of(path) else "e\N{COMBINING ACUTE ACCENT}"
        path.rename(path.with_name(path.name.replace("0", accent)))
    for path in tmp_path.rglob("val.txt"):
        path.write_text("e\N{COMBINING ACUTE ACCENT}\n1\n")
    assert len(found(data)) == 2


@pytest.mark.parametrize("make", SUFFIXED)
def test_suffixes_of_masks_and_photos_in_capitals_are_found(tmp_path, make):
    data = make(tmp_path)
    count = len(found(data))
    for path in list(tmp_path.rglob("*.png")):
        path.rename(path.with_suffix(".PNG"))
    assert len(found(type(data)(**arguments(data)))) == count


@pytest.mark.parametrize("make", [voc, camvid, salient, mask_folder])
def test_masks_belong_to_photos_by_their_paths(tmp_path, make):
    data = make(tmp_path)
    ours = list(tmp_path.rglob("*.png"))
    for path in ours:
        for name in ("a", "b"):
            pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
            save(path.parent / name / "same.png", pixels if name == "a" else pixels[:, ::-1])
        path.unlink()
    data.setup("test")
    assert sorted(data.samples.names) == ["a/same", "b/same"] or len(set(data.samples.names)) == 2
    first, second = (data.samples[place]["target"] for place in range(2))
    assert torch.equal(first, second.flip(1))


@pytest.mark.parametrize("make", [voc, camvid, salient, mask_folder])
def test_a_mask_that_two_photos_could_mean_is_refused_by_name(tmp_path, make):
    data = make(tmp_path)
    ours = list(tmp_path.rglob("*.png"))
    for path in ours:
        if image_of(path):
            for name in ("a", "b"):
                save(path.parent / name / path.name, photo())
            path.unlink()
    with pytest.raises(ValueError, match=r"belong to one photo, got .*a/0.png and .*b/0.png"):
        data.setup("test")


@pytest.mark.parametrize("make", [voc, camvid, salient, mask_folder, cityscapes, flat_cityscapes])
def test_two_photos_of_one_name_are_refused(tmp_path, make):
    data = make(tmp_path)
    for path in list(tmp_path.rglob("*0*.png")):
        if image_of(path):
            save(path.with_suffix(".jpg"), photo())
    with pytest.raises(ValueError, match=r"name must occur once.*0.*\.jpg and .*0.*\.png"):
        data.setup("test")


@pytest.mark.parametrize("make", SUFFIXED)
def test_two_masks_of_one_photo_are_refused(tmp_path, make):
    data = make(tmp_path)
    for path in list(tmp_path.rglob("*0*.png")):
        if not image_of(path):
            save(path.with_suffix(".bmp"), mask())
    with pytest.raises(ValueError, match=r"must have one mask, got .*\.bmp and .*\.png"):
        data.setup("test")


def test_published_and_short_masks_of_cityscapes_side_by_side_are_refused(tmp_path):
    data = cityscapes(tmp_path)
    save(tmp_path / "gtFine" / "val" / "bonn" / "bonn_0_labelIds.png", mask())
    with pytest.raises(ValueError, match=r"one mask, got .*_gtFine_labelIds.png and .*_0_labelIds"):
        data.setup("test")


def test_a_city_that_is_a_link_is_read_with_its_masks(tmp_path):
    cityscapes(tmp_path)
    for folder in ("leftImg8bit", "gtFine"):
        shutil.copytree(tmp_path / folder / "val" / "bonn", tmp_path / "kept" / folder)
        for path in list((tmp_path / "kept" / folder).iterdir()):
            path.rename(path.with_name(path.name.replace("bonn", "ulm")))
        (tmp_path / folder / "val" / "ulm").symlink_to(tmp_path / "kept" / folder)
    assert len(found(CityscapesData(str(tmp_path)))) == 4


@pytest.mark.parametrize("make", [voc, camvid, cityscapes, flat_cityscapes])
def test_masks_without_any_class_are_refused_with_the_likely_cause(tmp_path, make):
    data = make(tmp_path)
    for path in tmp_path.rglob("*.png"):
        if not image_of(path):
            save(path, np.where(mask() == 7, 255, 0 if "label" in path.name else 255).astype("u1"))
    expected = "0 and 255 only" if "cityscapes" in make.__name__ else "void everywhere"
    with pytest.raises(DataError, match=f"2 masks that are void everywhere.*{expected[:5]}"):
        data.setup("test")


def test_white_objects_on_black_in_a_set_where_white_is_void_are_told(tmp_path):
    data = voc(tmp_path)
    for path in (tmp_path / "SegmentationClass").iterdir():
        save(path, np.where(mask() == 7, 255, 0).astype(np.uint8))
    with pytest.warns(UserWarning, match="one class, background, and void .*is 255 the object"):
        data.setup("test")


def test_some_masks_without_any_class_are_no_fault(tmp_path):
    data = camvid(tmp_path)
    save(tmp_path / "testannot" / "0.png", np.full(SIZE, 255, np.uint8))
    data.setup("test")
    assert data.notices == []


def test_transparent_pixels_are_told(tmp_path):
    data = camvid(tmp_path)
    pixels = np.dstack([photo(), np.full(SIZE, 255, np.uint8)])
    save(tmp_path / "test" / "0.png", pixels)
    data.setup("test")
    assert data.notices == []
    pixels[0, 0, 3] = 0
    save(tmp_path / "test" / "0.png", pixels)
    with pytest.warns(UserWarning, match="1 of 2 photos have transparent pixels.*test/0.png"):
        CamVidData(str(tmp_path)).setup("test")


def test_bad_masks_of_cutouts_are_named_or_left_out(tmp_path):
    data = cutouts(tmp_path)
    save(tmp_path / "testannot" / "0.png", photo())
    with pytest.raises(DataError, match=r"1 of 2 samples .*\n  test/0.png: mask testannot/0.png"):
        data.setup("test")
    data = CutoutData(camvid_as_is(tmp_path), ["fence", "car"], 8, 0.7, on_error="skip")
    with pytest.warns(UserWarning, match="skipped 1 of 2"):
        data.setup("test")
    assert len(data.samples) == 2


def camvid_as_is(root: Path) -> CamVidData:
    return CamVidData(str(root))


def test_a_small_photo_is_no_fault_where_training_does_not_crop_it(tmp_path):
    from project.data import ScaledCrop

    camvid(tmp_path)
    for folder in ("train", "val"):
        shutil.copytree(tmp_path / "test", tmp_path / folder)
        shutil.copytree(tmp_path / "testannot", tmp_path / f"{folder}annot")
    save(tmp_path / "train" / "0.png", photo(8, 8))
    save(tmp_path / "trainannot" / "0.png", mask()[:8, :8])
    small = {"frame": CentreCrop(None, 16)}
    CamVidData(str(tmp_path), augment=ScaledCrop(16, 16), **small).setup("fit")
    with pytest.raises(DataError, match=r"train/0.png: the frame does not fit a photo of 8×8"):
        CamVidData(str(tmp_path), **small).setup("fit")


def test_frames_are_those_of_each_thread(tmp_path):
    for number in range(40):
        save(tmp_path / "test" / f"{number:02d}.png", photo(20 + number, 32))
        save(tmp_path / "testannot" / f"{number:02d}.png", np.full((20 + number, 32), 3, np.uint8))
    data = CamVidData(str(tmp_path), frame=Stretch(8, 12))
    data.setup("test")
    assert set(data.samples.sizes.values()) == {(8, 12)}
    native = CamVidData(str(tmp_path), frame=Native())
    native.setup("test")
    assert [native.samples.sizes[k] for k in range(40)] == [(20 + k, 32) for k in range(40)]
    with pytest.raises(ValueError, match="one size, got 32×20, 32×21, 32×22, 32×23, 32×24 and 3"):
        native.test_dataloader()
