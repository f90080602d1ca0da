import numpy as np
import pytest
import torch
from PIL import Image

from project.data import CamVidData, CityscapesData, ImageListData, VOCData
from tests.data.files import PALETTE, blocks, camvid, labelled, photo, save


def test_camvid_11_is_void_and_all_other_ids_stay(tmp_path):
    mask = np.tile(np.arange(12, dtype=np.uint8), (12, 1))
    save(tmp_path / "val" / "a.png", photo(12, 12))
    save(tmp_path / "valannot" / "a.png", mask)
    data = CamVidData(str(tmp_path), eval_split="val")
    data.setup()
    assert data.samples[0]["target"][0].tolist() == [*range(11), 255]
    assert data.num_classes == 11


def test_camvid_objects_are_pole_sign_car_pedestrian_and_bicyclist(tmp_path):
    save(tmp_path / "val" / "a.png", photo(1, 12))
    save(tmp_path / "valannot" / "a.png", np.arange(12, dtype=np.uint8)[None])
    samples = CamVidData(str(tmp_path), eval_split="val").samples
    things = [samples.class_names[index] for index in samples.salient_mask(0)[0, 0].nonzero()]
    assert things == ["pole", "sign", "car", "pedestrian", "bicyclist"]


def test_every_split_has_its_own_samples(tmp_path):
    data = CamVidData(str(camvid(tmp_path, ("train", "val", "test"))))
    data.setup("fit")
    assert (data.train_samples.name(0), data.samples.name(0)) == ("train_0", "val_0")
    data.setup("test")
    assert data.samples.name(0) == "test_0"


def voc(root, names=("2007_000002", "2007_000001", "2007_000003")):
    for number, name in enumerate(names):
        mask = blocks(20 + number, 30, [0, 15, 20, 255], seed=number)
        save(root / "JPEGImages" / f"{name}.jpg", PALETTE[mask])
        image = Image.fromarray(mask)
        image.putpalette(PALETTE.ravel().tolist())
        (root / "SegmentationClass").mkdir(exist_ok=True)
        image.save(root / "SegmentationClass" / f"{name}.png")
    lists = root / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text(f"{names[0]}\n")
    (lists / "val.txt").write_text("\n".join(names[1:]) + "\n\n")
    return root


def test_voc_reads_palette_ids_and_keeps_255(tmp_path):
    data = VOCData(str(voc(tmp_path)))
    data.setup("fit")
    assert [data.samples.name(index) for index in range(2)] == ["2007_000001", "2007_000003"]
    assert data.train_samples.names == ("2007_000002",)
    ids = set(data.samples[1]["target"].unique().tolist())
    assert ids == {0, 15, 20, 255}
    salient = data.samples.salient_mask(1)[0]
    target = data.samples[1]["target"]
    assert torch.equal(salient == 1, (target == 15) | (target == 20))


def test_a_missing_list_names_the_lists_that_exist(tmp_path):
    data = VOCData(str(voc(tmp_path)), eval_split="trainval")
    with pytest.raises(FileNotFoundError, match=r"trainval.txt .*\['train', 'val'\]"):
        data.setup()


def test_voc_without_lists_takes_every_photo_and_cannot_train(tmp_path):
    root = voc(tmp_path)
    data = VOCData(str(root), lists=None)
    data.setup()
    assert len(data.samples) == 3
    with pytest.raises(ValueError, match="training needs a split"):
        data.setup("fit")


LABEL_IDS = {7: 0, 8: 1, 11: 2, 26: 13, 33: 18, 0: 255, 6: 255, 29: 255, 255: 255}


@pytest.mark.parametrize("city", ["aachen", "bonn"])
def test_published_cityscapes_label_ids_become_train_ids(tmp_path, city):
    mask = np.array([list(LABEL_IDS)] * 2, np.uint8)
    stem = f"{city}_000000_000019"
    save(tmp_path / "leftImg8bit" / "val" / city / f"{stem}_leftImg8bit.png", photo(2, 9))
    save(tmp_path / "gtFine" / "val" / city / f"{stem}_gtFine_labelIds.png", mask)
    data = CityscapesData(str(tmp_path))
    data.setup()
    assert data.samples[0]["target"][0].tolist() == list(LABEL_IDS.values())
    assert data.samples.name(0) == stem


def test_flat_cityscapes_with_train_ids_is_read_as_it_is(tmp_path):
    mask = np.array([[0, 18, 255]], np.uint8)
    save(tmp_path / "f_1_leftImg8bit.jpg", photo(1, 3))
    save(tmp_path / "f_1_labelTrainIds.png", mask)
    data = CityscapesData(str(tmp_path), masks="labelTrainIds")
    data.setup()
    assert data.samples[0]["target"].tolist() == mask.tolist()


def test_a_csv_is_sorted_by_file_and_gives_names(tmp_path):
    for number in range(3):
        save(tmp_path / f"{number}.png", photo(seed=number))
    rows = ["file,class_index,class_name", "2.png,7,hen", "0.png,1,goldfish", "1.png,7,hen"]
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    data = ImageListData(str(tmp_path), labels="labels.csv")
    data.setup()
    assert data.samples.names == ("0", "1", "2")
    assert [int(data.samples[index]["target"]) for index in range(3)] == [1, 7, 7]
    assert data.num_classes == 1000
    assert (data.class_names[1], data.class_names[7]) == ("goldfish", "hen")


def test_one_based_labels_need_and_get_an_offset(tmp_path):
    save(tmp_path / "images" / "a.png", photo())
    save(tmp_path / "images" / "b.png", photo())
    (tmp_path / "images.csv").write_text("ImageId,TrueLabel\na,1\nb,1000\n")
    data = ImageListData(
        str(tmp_path),
        labels="images.csv",
        file_column="ImageId",
        label_column="TrueLabel",
        file_pattern="images/{}.png",
        label_offset=1,
    )
    data.setup()
    assert [int(data.samples[index]["target"]) for index in range(2)] == [0, 999]


def test_a_csv_without_the_column_names_what_it_has(tmp_path):
    root = labelled(tmp_path, ["0"], header="file,label")
    data = ImageListData(str(root), labels="labels.csv")
    with pytest.raises(ValueError, match=r"columns \['file', 'class_index'\], got \['file', 'lab"):
        data.setup()


def test_a_csv_can_hold_splits(tmp_path):
    root = labelled(tmp_path, ["0,train", "1,val", "2,train"], header="file,class_index,split")
    data = ImageListData(str(root), labels="labels.csv", train_split="train", eval_split="val")
    data.setup("fit")
    assert (len(data.train_samples), data.samples.names) == (2, ("01",))


def test_class_folders_are_numbered_in_sorted_order(tmp_path):
    for name in ("n02", "n01"):
        for number in range(2):
            save(tmp_path / "val" / name / f"{number}.png", photo())
    data = ImageListData(str(tmp_path), eval_split="val")
    data.setup()
    assert data.class_names == ("n01", "n02")
    assert [int(data.samples[index]["target"]) for index in range(4)] == [0, 0, 1, 1]
    # The stems 0 and 1 occur twice, so they would not tell the samples apart.
    assert data.samples.names[0] == "val/n01/0"


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (ImageListData("nowhere"), FileNotFoundError),
        (ImageListData(".", labels="none.csv"), FileNotFoundError),
        (CamVidData("nowhere"), FileNotFoundError),
        (VOCData("nowhere"), FileNotFoundError),
        (CityscapesData("nowhere"), FileNotFoundError),
    ],
)
def test_a_wrong_root_says_what_to_set(data, error):
    with pytest.raises(error, match=r"--data\.root"):
        data.setup()
