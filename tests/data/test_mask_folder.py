"""Any folders of photos and masks: what masks hold, which mask is whose, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from project.core.errors import InputError
from project.data import DataError, MaskFolderData
from tests.data.files import PALETTE, blocks, photo, save
from tests.data.test_data_configs import build

COLOURS = {"128, 64, 128": "road", "#e8232d": "car", "(0 0 0)": None}


def folder(root: Path, mask: np.ndarray, name: str = "a") -> Path:
    """Write a photo of one row and its mask."""
    save(root / "images" / f"{name}.png", photo(1, mask.shape[1]))
    save(root / "masks" / f"{name}.png", mask)
    return root


def ids(*values: int, kind: type = np.uint8) -> np.ndarray:
    return np.array([values], kind)


def mode_of(root: Path) -> str:
    with Image.open(root / "masks" / "a.png") as image:
        return image.mode


def target(root: Path, **arguments) -> list[int]:
    """Return the classes of the pixels in the only mask's only row."""
    data = MaskFolderData(str(root), **arguments)
    data.setup()
    return data.samples[0]["target"][0].tolist()


def test_names_in_a_list_are_those_of_ids_from_0_on(tmp_path):
    data = MaskFolderData(str(folder(tmp_path, ids(0, 1, 2, 255))), classes=["sky", "sea", "ship"])
    data.setup()
    assert data.samples[0]["target"][0].tolist() == [0, 1, 2, 255]
    assert data.class_names == ("sky", "sea", "ship")


def test_a_map_joins_ids_and_numbers_names_by_their_first_mention(tmp_path):
    root = folder(tmp_path, ids(4, 26, 27, 255, 9))
    data = MaskFolderData(str(root), classes={9: "sky", 26: "car", 4: None, 27: "car"})
    data.setup()
    assert data.samples[0]["target"][0].tolist() == [255, 1, 1, 255, 0]
    assert data.class_names == ("sky", "car")


def test_a_map_may_give_numbers(tmp_path):
    data = MaskFolderData(str(folder(tmp_path, ids(5, 6))), classes={5: 2, 6: 0})
    data.setup()
    assert data.samples[0]["target"][0].tolist() == [2, 0]
    assert data.class_names == ("0", "1", "2")


def test_colours_mean_classes_however_they_are_written(tmp_path):
    colours = [[(128, 64, 128), (0xE8, 0x23, 0x2D), (0, 0, 0), (128, 64, 128)]]
    root = folder(tmp_path, np.array(colours, np.uint8))
    assert target(root, classes=COLOURS) == [0, 1, 255, 0]


def test_a_palette_is_read_as_indices_or_as_colours(tmp_path):
    root = folder(tmp_path, ids(0, 3, 1))
    path = root / "masks" / "a.png"
    image = Image.open(path)
    image.putpalette(PALETTE.ravel().tolist())
    image.save(path)
    assert target(root, classes={0: "a", 1: "b", 3: "c"}) == [0, 2, 1]
    colours = {", ".join(map(str, PALETTE[k])): name for k, name in ((1, "b"), (0, "a"), (3, "c"))}
    assert target(root, classes=colours) == [1, 2, 0]


def test_ids_of_16_bits_are_read_whole(tmp_path):
    root = folder(tmp_path, ids(300, 65535, 44, kind=np.uint16))
    assert mode_of(root) == "I;16"
    assert target(root, classes={44: "low", 300: "middle", 65535: "high"}) == [1, 2, 0]


def test_white_objects_on_black_are_a_class_where_the_map_says_so(tmp_path):
    root = folder(tmp_path, ids(0, 255, 0))
    assert target(root, classes={0: "background", 255: "object"}) == [0, 1, 0]


def test_masks_of_one_bit_hold_0_and_1(tmp_path):
    root = folder(tmp_path, np.array([[False, True]]))
    assert mode_of(root) == "1"
    assert target(root, classes=["background", "object"]) == [0, 1]


def test_zero_is_reduced_to_void_and_all_else_by_one(tmp_path):
    root = folder(tmp_path, ids(0, 1, 3, 255))
    names = ["wall", "building", "sky"]
    assert target(root, classes=names, reduce_zero_label=True) == [255, 0, 2, 255]
    with pytest.raises(DataError, match=r"all ids must be in the map of classes, got 4 at 1 pixel"):
        target(folder(tmp_path, ids(4, 1)), classes=names, reduce_zero_label=True)


def test_what_is_to_be_ignored_is_void(tmp_path):
    root = folder(tmp_path, ids(0, 1, 7))
    assert target(root, classes=["a", "b"], ignore=[7, 255]) == [0, 1, 255]
    root = folder(tmp_path, np.array([[(1, 2, 3), (9, 9, 9), (4, 4, 4)]], np.uint8))
    assert target(root, classes={"1,2,3": "a", "4 4 4": "b"}, ignore=["9,9,9"]) == [0, 255, 1]
    with pytest.raises(InputError, match="got 1 in both ignore and classes"):
        target(root, classes=["a", "b"], ignore=[1])
    with pytest.raises(InputError, match="ignore must name colours"):
        target(root, classes={"1,2,3": "a"}, ignore=[9])


def test_the_map_may_stand_in_a_file(tmp_path):
    root = folder(tmp_path, np.array([[(128, 64, 128), (0xE8, 0x23, 0x2D)]], np.uint8))
    (root / "classes.yaml").write_text('"128, 64, 128": road\n"#e8232d": car\n')
    assert target(root, classes="classes.yaml") == [0, 1]
    with pytest.raises(FileNotFoundError, match=r"none.yaml must be a YAML file of classes"):
        target(root, classes="none.yaml")
    (root / "classes.yaml").write_text("[1, 2, 3]: road\n")
    with pytest.raises(InputError, match=r"classes.yaml must be YAML"):
        target(root, classes="classes.yaml")


def test_colours_without_a_class_are_told_by_file_and_number_of_pixels(tmp_path):
    folder(tmp_path, np.array([[(128, 64, 128)] * 4], np.uint8))
    strange = [(128, 64, 128), (1, 2, 3), (1, 2, 3), (255, 0, 170)]
    folder(tmp_path, np.array([strange], np.uint8), "b")
    expected = (
        r"1 of 2 samples cannot be used:\n  images/b.png: mask masks/b.png: all colours must be in "
        r"the map of classes, got #010203 at 2 pixels, #ff00aa at 1 pixels \(75.00% of the mask\)\n"
    )
    with pytest.raises(DataError, match=expected):
        target(tmp_path, classes=COLOURS)


def test_of_many_colours_without_a_class_the_most_frequent_are_told(tmp_path):
    strange = [(k, k, k) for k in range(1, 7)] + [(6, 6, 6)]
    folder(tmp_path, np.array([strange], np.uint8))
    expected = r"got #060606 at 2 pixels, #010101 at 1 pixels, #020202 at 1 pixels and 3 more \("
    with pytest.raises(DataError, match=expected):
        target(tmp_path, classes=COLOURS)


@pytest.mark.parametrize(
    ("mask", "classes", "message"),
    [
        (photo(1, 4), ["a", "b"], "one channel, got colours; map them to classes"),
        (ids(1, 300, kind=np.uint16), ["a", "b"], "got 300 at 1 pixels"),
        (ids(1, 300, kind=np.uint16), COLOURS, "colours must have 8 bits a channel"),
        (ids(0, 255), ["a"], None),
    ],
)
def test_masks_of_another_kind_are_told(tmp_path, mask, classes, message):
    root = folder(tmp_path, mask)
    if message is None:  # void where nothing else is said, which the house's own notice tells
        with pytest.warns(UserWarning, match="is 255 the object"):
            target(root, classes=classes)
        return
    with pytest.raises(DataError, match=message):
        target(root, classes=classes)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"classes": {}}, "must give names of classes, or numbers, got none"),
        ({"classes": ["a", "a"]}, "must name each class once, got 'a' twice"),
        ({"classes": {0: "a", 1: 1}}, "must give names of classes, or numbers, got both"),
        ({"classes": {0: 1.5}}, "names of classes, or numbers, got 1.5"),
        ({"classes": {0: "a", "1,2,3": "b"}}, "must map ids, or colours, and got both"),
        ({"classes": {"red": "a"}}, "ids 0 … 65535 or colours, got 'red'"),
        ({"classes": {"1, 2, 256": "a"}}, "ids 0 … 65535 or colours, got '1, 2, 256'"),
        ({"classes": {70000: "a"}}, "ids 0 … 65535 or colours, got '70000'"),
        ({"classes": {0: "a", "0": "b"}}, "must name each value once, got 0 and 0"),
        ({"classes": {"#010203": "a", "1 2 3": "b"}}, "each value once, got #010203 and 1 2 3"),
        ({"classes": [f"{k}" for k in range(256)]}, "at most 255 classes"),
        ({"classes": {0: 999}}, "at most 255 classes"),
        ({"classes": {0: -1}}, "numbered from 0, got -1"),
        ({"classes": {"1,2,3": "a"}, "reduce_zero_label": True}, "is for masks of ids"),
        ({"classes": ["a"], "things": ["b"]}, "things must be among the classes a, got 'b'"),
        ({"classes": ["a"], "masks": "images"}, "two folders or have two suffixes"),
        ({"classes": ["a"], "mask_suffix": "_m.png"}, "Leave the type out"),
        ({"classes": ["a"], "eval_split": "val"}, "chosen by its name in the place of {split}"),
        ({"classes": ["a"], "images": "i/{split}"}, "chosen by its name in the place of {split}"),
    ],
)
def test_a_map_that_means_nothing_or_two_things_is_refused(tmp_path, arguments, message):
    folder(tmp_path, ids(0, 1))
    with pytest.raises(InputError) as error:
        target(tmp_path, **arguments)
    assert message in str(error.value)


def test_suffixes_are_no_part_of_the_common_name(tmp_path):
    for city in ("aachen", "bonn"):
        for number in range(2):
            mask = ids(number, 1, number)
            stem = f"{city}_{number}"
            save(tmp_path / f"photos/val/{city}/{stem}_leftImg8bit.png", photo(1, 3))
            save(tmp_path / f"gt/val/{city}/{stem}_gtFine_labelIds.png", mask)
            save(tmp_path / f"gt/val/{city}/{stem}_gtFine_color.png", photo(1, 3))
    data = MaskFolderData(
        str(tmp_path),
        classes=["a", "b"],
        images="photos/{split}",
        masks="gt/{split}",
        image_suffix="_leftImg8bit",
        mask_suffix="_gtFine_labelIds",
        eval_split="val",
    )
    data.setup()
    assert data.samples.names == ("aachen_0", "aachen_1", "bonn_0", "bonn_1")
    assert data.samples[3]["target"][0].tolist() == [1, 1, 1]
    assert data.notices == []


def test_photos_and_masks_of_one_folder_are_told_apart_by_a_suffix(tmp_path):
    for number in range(2):
        save(tmp_path / "all" / f"{number}.jpg", photo(1, 2))
        save(tmp_path / "all" / f"{number}_mask.png", ids(0, number))
    data = MaskFolderData(
        str(tmp_path), classes=["a", "b"], images="all", masks="all", mask_suffix="_mask"
    )
    data.setup()
    assert data.samples.names == ("0", "1")
    assert data.samples[1]["target"][0].tolist() == [0, 1]
    assert data.notices == []


def test_splits_are_folders_or_lists(tmp_path):
    for number in range(3):
        save(tmp_path / "images" / f"{number}.jpg", photo(1, 2))
        save(tmp_path / "masks" / f"{number}_m.png", ids(0, 1))
    (tmp_path / "val.txt").write_text("2\n0\n")
    (tmp_path / "train.txt").write_text("1\n")
    data = MaskFolderData(
        str(tmp_path),
        classes=["a", "b"],
        mask_suffix="_m",
        lists="{split}.txt",
        train_split="train",
        eval_split="val",
    )
    data.setup("fit")
    assert (data.samples.names, data.train_samples.names) == (("0", "2"), ("1",))
    with pytest.raises(FileNotFoundError, match=r"test.txt must list.*\['train', 'val'\]"):
        MaskFolderData(str(tmp_path), classes=["a"], lists="{split}.txt", eval_split="test").setup()


def test_masks_of_other_names_are_told_by_an_example(tmp_path):
    save(tmp_path / "images" / "a.jpg", photo(1, 2))
    save(tmp_path / "masks" / "a_label.png", ids(0, 1))
    with pytest.raises(InputError) as error:
        target(tmp_path, classes=["a", "b"])
    assert (
        "photo images/a.jpg, whose mask would be masks/a.png, and masks such as masks/a_label"
        in (str(error.value))
    )
    assert target(tmp_path, classes=["a", "b"], mask_suffix="_label") == [0, 1]


def test_a_missing_mask_and_one_of_no_photo_are_told(tmp_path):
    for name in ("a", "b"):
        folder(tmp_path, ids(0, 1), name)
    (tmp_path / "masks" / "b.png").rename(tmp_path / "masks" / "c.png")
    data = MaskFolderData(str(tmp_path), classes=["a", "b"])
    with (
        pytest.warns(UserWarning, match="1 masks belong to no photo: masks/c.png"),
        pytest.raises(DataError, match=r"images/b.png: mask masks/b.png: file is missing"),
    ):
        data.setup()


def test_a_mask_of_another_size_or_cut_off_is_told(tmp_path):
    for name in ("a", "b", "c"):
        folder(tmp_path, ids(0, 1), name)
    save(tmp_path / "masks" / "a.png", ids(0, 1, 1))
    path = tmp_path / "masks" / "b.png"
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(DataError) as error:
        MaskFolderData(str(tmp_path), classes=["a", "b"]).setup()
    assert "images/a.png: image and mask must have the same size, got 2×1 and 3×1" in str(
        error.value
    )
    assert "images/b.png: mask masks/b.png: cannot be decoded" in str(error.value)


def test_things_are_the_objects_and_without_them_there_are_none(tmp_path):
    root = folder(tmp_path, ids(0, 1, 2))
    data = MaskFolderData(str(root), classes=["a", "b", "c"], things=["b"])
    data.setup()
    assert data.samples.salient_mask(0)[0, 0].tolist() == [0, 1, 0]
    data = MaskFolderData(str(root), classes=["a", "b", "c"])
    data.setup()
    assert data.samples.salient_mask(0) is None


def test_the_key_knows_the_map_and_the_files(tmp_path):
    root = folder(tmp_path, ids(0, 1, 1))

    def key(**arguments) -> str:
        data = MaskFolderData(str(root), **({"classes": ["a", "b"]} | arguments))
        return data.samples.fingerprint()

    kept = key()
    assert key() == kept
    assert key(classes={0: "a", 1: "b"}) == kept
    others = [
        key(classes={1: "a", 0: "b"}),
        key(classes={0: "a", 1: "b", 2: None}),
        key(classes=["a", "c"]),
        key(ignore=[7, 255]),
        key(reduce_zero_label=True),
        key(things=["b"]),
    ]
    save(root / "masks" / "a.png", blocks(1, 40, [0, 1], cell=1))
    assert len({kept, *others, key()}) == len(others) + 2


def named(name: str, root: Path) -> MaskFolderData:
    """Return the data of a config in another place."""
    path = Path(__file__).parents[2] / "configs" / "data" / f"{name}.yaml"
    return build(path, f"--data.root={root}", "--data.frame=null", "--data.batch_size=1")


def test_ade20k_as_published_has_150_classes_and_void_for_other_objects(tmp_path):
    save(tmp_path / "images/validation/ADE_val_00000001.jpg", photo(1, 4))
    save(tmp_path / "annotations/validation/ADE_val_00000001.png", ids(0, 1, 13, 150))
    data = named("ade20k", tmp_path)
    data.setup()
    assert data.samples[0]["target"][0].tolist() == [255, 0, 12, 149]
    names = data.class_names
    assert (len(names), names[0], names[12], names[149]) == (150, "wall", "person", "flag")


def test_coco_stuff_as_published_has_171_classes_without_gaps(tmp_path):
    stored = {0: "person", 10: "fire hydrant", 12: "stop sign", 91: "banner", 181: "wood"}
    save(tmp_path / "images/val2017/000000000139.jpg", photo(1, 6))
    save(tmp_path / "annotations/val2017/000000000139.png", ids(*stored, 255))
    data = named("coco_stuff", tmp_path)
    data.setup()
    found = data.samples[0]["target"][0].tolist()
    assert found == [0, 10, 11, 80, 170, 255]
    assert [data.class_names[k] for k in found[:-1]] == list(stored.values())
    assert len(data.class_names) == 171
    save(tmp_path / "annotations/val2017/000000000139.png", ids(0, 0, 0, 0, 0, 11))
    with pytest.raises(DataError, match="got 11 at 1 pixels"):
        named("coco_stuff", tmp_path).setup()


def test_pascal_context_as_published_has_59_classes_of_listed_photos(tmp_path):
    for stem in ("2008_000002", "2008_000003"):
        save(tmp_path / f"JPEGImages/{stem}.jpg", photo(1, 4))
        save(tmp_path / f"SegmentationClassContext/{stem}.png", ids(0, 1, 15, 59))
    lists = tmp_path / "ImageSets" / "SegmentationContext"
    lists.mkdir(parents=True)
    (lists / "val.txt").write_text("2008_000003\n")
    data = named("pascal_context", tmp_path)
    data.setup()
    assert data.samples.names == ("2008_000003",)
    found = data.samples[0]["target"][0].tolist()
    assert found == [255, 0, 14, 58]
    assert [data.class_names[k] for k in found[1:]] == ["aeroplane", "person", "wood"]
    assert len(data.class_names) == 59


def test_the_config_of_any_folder_has_white_objects(tmp_path):
    root = folder(tmp_path, ids(0, 255))
    data = named("mask_folder", root)
    data.setup()
    assert data.samples[0]["target"][0].tolist() == [0, 1]
    assert data.samples.salient_mask(0)[0, 0].tolist() == [0, 1]
