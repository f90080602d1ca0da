"""ImageNet and Tiny ImageNet in their published layouts, and as others arrange them."""

from pathlib import Path

import numpy as np
import pytest
import scipy.io

from project.core.errors import InputError
from project.data import DataError, ImageNetData, TinyImageNetData
from project.data.synsets import imagenet_synsets
from tests.data.files import photo, save, truncate

pytestmark = pytest.mark.filterwarnings("ignore:.*results are not those of the whole")
SYNSETS = list(imagenet_synsets())
TENCH, GOLDFISH, SPOON = "n01440764", "n01443537", "n04597913"  # classes 0, 1 and 910
VAL = {1: SPOON, 2: TENCH, 3: GOLDFISH}


def classes_of(data) -> dict[str, int]:
    data.setup()
    samples = data.samples
    return {samples.name(index): samples.label(index) for index in range(len(samples))}


def flat(root: Path, place: str = "val") -> Path:
    for number in VAL:
        save(root / place / f"ILSVRC2012_val_{number:08d}.JPEG", photo(seed=number))
    return root


EXPECTED = {f"ILSVRC2012_val_{k:08d}": SYNSETS.index(synset) for k, synset in VAL.items()}


def kit(root: Path, folder: str = "ILSVRC2012_devkit_t12/data") -> Path:
    """Write a development kit whose own numbers are not ours, and a parent in the tree."""
    order = [GOLDFISH, SPOON, TENCH, *(s for s in SYNSETS if s not in VAL.values())]
    fields = [("ILSVRC2012_ID", "O"), ("WNID", "O"), ("words", "O"), ("num_children", "O")]
    rows = [(k + 1, synset, "words", 0) for k, synset in enumerate(order)]
    rows.append((1001, "n00001740", "entity", 3))
    (root / folder).mkdir(parents=True)
    scipy.io.savemat(root / folder / "meta.mat", {"synsets": np.array(rows, fields)})
    truth = [order.index(synset) + 1 for synset in VAL.values()]
    path = root / folder / "ILSVRC2012_validation_ground_truth.txt"
    path.write_text("".join(f"{number}\n" for number in truth))
    return path


def kaggle(root: Path) -> None:
    rows = [f"ILSVRC2012_val_{k:08d},{synset} 85 1 499 272 \n" for k, synset in VAL.items()]
    (root / "LOC_val_solution.csv").write_text("ImageId,PredictionString\n" + "".join(rows))


def test_classes_are_numbered_by_their_sorted_ids():
    assert sorted(SYNSETS) == SYNSETS
    assert len(SYNSETS) == len(set(imagenet_synsets().values())) == 1000
    assert [SYNSETS.index(synset) for synset in (TENCH, GOLDFISH, SPOON)] == [0, 1, 910]
    assert imagenet_synsets()[TENCH].startswith("tench")


@pytest.mark.parametrize("place", ["val", "ILSVRC2012_img_val", "ILSVRC/Data/CLS-LOC/val"])
def test_the_flat_archive_takes_its_classes_from_the_development_kit(tmp_path, place):
    kit(flat(tmp_path, place))
    data = ImageNetData(str(tmp_path))
    assert classes_of(data) == EXPECTED
    assert (data.num_classes, data.class_names[910]) == (1000, "wooden spoon")


def test_the_flat_archive_takes_its_classes_from_kaggles_table(tmp_path):
    kaggle(flat(tmp_path, "ILSVRC/Data/CLS-LOC/val"))
    assert classes_of(ImageNetData(str(tmp_path))) == EXPECTED


@pytest.mark.parametrize(
    "line",
    [
        lambda k, synset: synset,
        lambda k, synset: f"ILSVRC2012_val_{k:08d}.JPEG {synset}",
        lambda k, synset: f"ILSVRC2012_val_{k:08d}.JPEG {SYNSETS.index(synset)}",
    ],
)
def test_other_tables_of_the_flat_archive_are_read(tmp_path, line):
    flat(tmp_path)
    text = "\n".join(line(k, synset) for k, synset in VAL.items())
    (tmp_path / "val.txt").write_text(text)
    assert classes_of(ImageNetData(str(tmp_path), labels="val.txt")) == EXPECTED


def test_a_part_of_the_flat_archive_keeps_its_classes(tmp_path):
    kit(flat(tmp_path))
    (tmp_path / "val" / "ILSVRC2012_val_00000001.JPEG").unlink()
    with pytest.warns(UserWarning, match="has 2 val photos, and 50000 as published"):
        found = classes_of(ImageNetData(str(tmp_path)))
    assert found == {name: number for name, number in EXPECTED.items() if "1" not in name[-1]}


def test_folders_of_some_classes_keep_the_numbers_of_all(tmp_path):
    for synset in (SPOON, TENCH):
        save(tmp_path / "val" / synset / f"{synset}_1.JPEG", photo())
        save(tmp_path / "train" / synset / f"{synset}_2.JPEG", photo())
    data = ImageNetData(str(tmp_path))
    assert classes_of(data) == {f"{TENCH}_1": 0, f"{SPOON}_1": 910}
    data.setup("fit")
    assert [data.train_samples.label(k) for k in range(2)] == [0, 910]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            "1\n2\n",
            r"truth.txt must have the class of each .* none of ILSVRC2012_val_00000003",
        ),
        ("1\n2\n1001\n", r"ground_truth.txt, line 3: must be the class of a photo, .*got '1001'"),
        ("1\n2\n0\n", r"line 3: .*got '0'"),
        ("1\n2\nx\n", r"line 3: .*got 'x'"),
    ],
)
def test_a_wrong_table_of_the_kit_is_told_by_line(tmp_path, table, message):
    kit(flat(tmp_path)).write_text(table)
    with pytest.raises(InputError, match=message):
        ImageNetData(str(tmp_path)).setup()


def test_a_wrong_or_missing_kit_is_told(tmp_path):
    flat(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"of the photos in val, .*set --data.labels"):
        ImageNetData(str(tmp_path)).setup()
    meta = kit(tmp_path).parent / "meta.mat"
    truncate(meta)
    with pytest.raises(InputError, match=r"meta.mat: is damaged or not the development kit's"):
        ImageNetData(str(tmp_path)).setup()
    meta.unlink()
    with pytest.raises(FileNotFoundError, match=r"meta.mat must stand beside"):
        ImageNetData(str(tmp_path)).setup()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("ILSVRC2012_val_00000001,n00000000 1 2 3 4", "line 5: must be a photo and the WordNet id"),
        ("ILSVRC2012_val_00000002,n04597913 1 2 3 4", r"has the class n04597913, and n01440764 in"),
        ("ILSVRC2012_val_00000002", "line 5: must be a photo and the WordNet id"),
    ],
)
def test_a_wrong_line_of_kaggles_table_is_told(tmp_path, row, message):
    kaggle(flat(tmp_path))
    path = tmp_path / "LOC_val_solution.csv"
    path.write_text(f"{path.read_text()}{row}\n")
    with pytest.raises(InputError, match=message):
        ImageNetData(str(tmp_path)).setup()


def test_folders_that_are_no_class_and_missing_splits_are_told(tmp_path):
    save(tmp_path / "val" / "cats" / "a.JPEG", photo())
    with pytest.raises(InputError, match=r"WordNet ids of its 1000 classes, got cats"):
        ImageNetData(str(tmp_path)).setup()
    with pytest.raises(FileNotFoundError, match=r"photos of train in train, ILSVRC2012_img_train"):
        ImageNetData(str(tmp_path), eval_split="train").setup()


TINY = ["n02124075", "n01443537", "n04597913"]  # as listed, which is not sorted


def tiny(root: Path) -> Path:
    (root / "val").mkdir(parents=True)
    (root / "wnids.txt").write_text("\n".join(TINY) + "\n")
    words = {"n02124075": "Egyptian cat", "n01443537": "goldfish, Carassius auratus"}
    (root / "words.txt").write_text("".join(f"{k}\t{v}\n" for k, v in words.items()))
    rows = []
    for number, synset in enumerate(TINY):
        save(root / "train" / synset / "images" / f"{synset}_0.JPEG", photo(64, 64, seed=number))
        (root / "train" / synset / f"{synset}_boxes.txt").write_text(
            f"{synset}_0.JPEG\t0\t0\t9\t9\n"
        )
        save(root / "val" / "images" / f"val_{number}.JPEG", photo(64, 64, seed=number + 9))
        rows.append(f"val_{number}.JPEG\t{synset}\t0\t32\t44\t62\n")
    (root / "val" / "val_annotations.txt").write_text("".join(rows))
    return root


def test_tiny_imagenet_as_published(tmp_path):
    data = TinyImageNetData(str(tiny(tmp_path)))
    assert classes_of(data) == {"val_0": 1, "val_1": 0, "val_2": 2}
    assert data.class_names == ("goldfish, Carassius auratus", "Egyptian cat", "n04597913")
    data.setup("fit")
    assert [data.train_samples.label(k) for k in range(3)] == [0, 1, 2]
    assert data.train_samples.names[0] == "n01443537_0"


def test_tiny_imagenet_in_the_order_of_its_list(tmp_path):
    data = TinyImageNetData(str(tiny(tmp_path)), order="wnids")
    assert classes_of(data) == {"val_0": 0, "val_1": 1, "val_2": 2}
    assert data.class_names[0] == "Egyptian cat"


def test_tiny_imagenet_with_its_validation_moved_into_folders(tmp_path):
    root = tiny(tmp_path)
    for number, synset in enumerate(TINY):
        (root / "val" / synset).mkdir()
        name = f"val_{number}.JPEG"
        (root / "val" / "images" / name).rename(root / "val" / synset / name)
    assert classes_of(TinyImageNetData(str(root))) == {"val_0": 1, "val_1": 0, "val_2": 2}


def test_what_is_wrong_in_tiny_imagenet_is_told_in_one_line(tmp_path):
    root = tiny(tmp_path)
    table = root / "val" / "val_annotations.txt"
    text = table.read_text()

    def told(error: type[Exception], message: str) -> None:
        with pytest.raises(error, match=message) as raised:
            TinyImageNetData(str(root)).setup()
        assert isinstance(raised.value, DataError) or "\n" not in str(raised.value)

    table.write_text(text.replace(TINY[1], "n00000000"))
    told(InputError, r"val_annotations.txt, line 2: must be a photo and the WordNet id .*one of 3")
    table.write_text(text.splitlines()[0])
    told(InputError, r"must have the class of each photo .*none of val_1.JPEG, val_2.JPEG")
    table.write_text(text)
    truncate(root / "val" / "images" / "val_1.JPEG")
    told(DataError, r"1 of 3 samples cannot be used:\n  val/images/val_1.JPEG: cannot be decoded")
    (root / "wnids.txt").write_text("n1\nn1\n")
    told(InputError, r"wnids.txt, line 2: n1 is there twice")
    (root / "wnids.txt").unlink()
    told(InputError, r"wnids.txt: file is missing")


def test_keys_know_the_order_and_the_table(tmp_path):
    root = tiny(tmp_path)
    kept = TinyImageNetData(str(root)).samples.fingerprint()
    other = TinyImageNetData(str(root), order="wnids").samples.fingerprint()
    table = root / "val" / "val_annotations.txt"
    table.write_text(table.read_text().replace(TINY[1], TINY[0]))
    assert len({kept, other, TinyImageNetData(str(root)).samples.fingerprint()}) == 3
