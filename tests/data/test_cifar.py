"""CIFAR in the published format: pickles of Python 2, which are read and never run."""

import pickle
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
import torchvision.datasets as tv

import project.data.cifar
from project.core.errors import InputError
from project.data import CIFARData, PaddedCrop

pytestmark = pytest.mark.filterwarnings("ignore:.*results are not those of the whole")
FILES = {
    "cifar10": ("cifar-10-batches-py", [*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"]),
    "cifar100": ("cifar-100-python", ["train", "test"]),
}
KEYS = {
    "cifar10": ("labels", "label_names", 10),
    "cifar100": ("fine_labels", "fine_label_names", 100),
}


def write(path: Path, entry: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(entry, protocol=2))


def batch(variant: str, seed: int, count: int = 4) -> dict:
    """Return what a file holds: rows of 1024 red, 1024 green and 1024 blue values."""
    draw = np.random.default_rng(seed)
    labels, _, classes = KEYS[variant]
    return {
        "data": draw.integers(0, 256, (count, 3072)).astype(np.uint8),
        labels: draw.integers(0, classes, count).tolist(),
        "filenames": [f"{k}.png" for k in range(count)],
    } | ({"coarse_labels": [0] * count} if variant == "cifar100" else {})


def published(root: Path, variant: str = "cifar10") -> Path:
    folder, files = FILES[variant]
    for seed, name in enumerate(files):
        write(root / folder / name, batch(variant, seed))
    _, names, classes = KEYS[variant]
    meta = "batches.meta" if variant == "cifar10" else "meta"
    write(root / folder / meta, {names: [f"class {k}" for k in range(classes)]})
    return root / folder


@pytest.mark.parametrize("variant", ["cifar10", "cifar100"])
@pytest.mark.parametrize("split", ["train", "test"])
def test_photos_and_classes_are_those_that_torchvision_reads(tmp_path, variant, split, monkeypatch):
    published(tmp_path, variant)
    data = CIFARData(str(tmp_path), variant=variant, eval_split=split)
    data.setup()
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda *_: True)
    other = {"cifar10": tv.CIFAR10, "cifar100": tv.CIFAR100}[variant](tmp_path, split == "train")
    assert len(data.samples) == len(other)
    assert list(data.class_names) == other.classes
    for index in range(len(other)):
        image, label = other[index]
        sample = data.samples[index]
        assert torch.equal(
            sample["image"], torch.from_numpy(np.array(image)).permute(2, 0, 1) / 255
        )
        assert int(sample["target"]) == label


def test_the_folder_itself_may_be_the_root(tmp_path):
    data = CIFARData(str(published(tmp_path)))
    data.setup()
    assert data.samples.names == ("test_00000", "test_00001", "test_00002", "test_00003")


def test_a_part_of_the_photos_is_told(tmp_path):
    published(tmp_path)
    data = CIFARData(str(tmp_path))
    with pytest.warns(UserWarning, match="has 4 test photos, and 10000 as published"):
        data.setup()


def test_held_out_photos_are_the_last_and_not_trained_on(tmp_path):
    published(tmp_path)
    data = CIFARData(str(tmp_path), held_out=5)
    data.setup("fit")
    whole = CIFARData(str(tmp_path), eval_split="train")
    assert (len(data.train_samples), len(data.samples)) == (15, 5)
    assert np.array_equal(data.samples.pixels, whole.samples.pixels[15:])
    assert np.array_equal(data.train_samples.pixels, whole.samples.pixels[:15])
    with pytest.raises(InputError, match="got 20 of 20"):
        CIFARData(str(tmp_path), held_out=20).setup("fit")
    with pytest.raises(InputError, match="made of held_out training photos"):
        CIFARData(str(tmp_path), eval_split="val")


class Program:
    def __reduce__(self):
        return Path.touch, (Path("started"),)


def test_a_program_in_a_file_is_refused_and_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = published(tmp_path)
    write(folder / "test_batch", batch("cifar10", 0) | {"more": Program()})
    with pytest.raises(InputError, match=r"test_batch: holds .*, which is no plain data"):
        CIFARData(str(tmp_path)).setup()
    assert not Path("started").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": [0, 1, 2, 10]}, r"classes must be in 0 … 9, got 10 for photo 3\. Unpack"),
        ({"labels": [0, -1, 2, 3]}, "got -1 for photo 1"),
        ({"labels": [0, 1, 2]}, "each of its 4 photos must have a class in 'labels', got 3"),
        ({"labels": None}, "in 'labels', got none"),
        ({"data": np.zeros((4, 3071), np.uint8)}, r"uint8 \(N, 3072\), got uint8 \(4, 3071\)"),
        ({"data": np.zeros((4, 3072))}, r"got float64 \(4, 3072\)"),
        ({"data": None}, "got NoneType"),
    ],
)
def test_a_file_of_wrong_content_is_told_in_one_line(tmp_path, change, message):
    folder = published(tmp_path)
    write(folder / "test_batch", batch("cifar10", 0) | change)
    with pytest.raises(InputError, match=rf"test_batch: .*{message}") as error:
        CIFARData(str(tmp_path)).setup()
    assert "\n" not in str(error.value)


def test_damaged_and_missing_files_are_told_in_one_line(tmp_path):
    folder = published(tmp_path)
    path = folder / "test_batch"
    path.write_bytes(path.read_bytes()[:-900])
    with pytest.raises(InputError, match=r"test_batch: is damaged or no file of CIFAR"):
        CIFARData(str(tmp_path)).setup()
    path.unlink()
    with pytest.raises(InputError, match=r"test_batch: file is missing\. Unpack the published"):
        CIFARData(str(tmp_path)).setup()
    write(path, [1, 2])
    with pytest.raises(InputError, match=r"test_batch: must hold a dictionary, got list"):
        CIFARData(str(tmp_path)).setup()
    write(folder / "batches.meta", {"label_names": ["a"]})
    with pytest.raises(InputError, match=r"batches.meta: must name 10 classes"):
        CIFARData(str(tmp_path)).setup()


def test_without_its_folder_nothing_is_fetched_unless_asked_for(tmp_path, monkeypatch):
    def offline(*_, **__):
        raise URLError("no route")

    monkeypatch.setattr(project.data.cifar, "download_and_extract_archive", offline)
    with pytest.raises(FileNotFoundError, match=r"cifar-10-batches-py .*--data.download true"):
        CIFARData(str(tmp_path)).setup()
    with pytest.raises(InputError, match=r"cifar-10-python.tar.gz cannot be fetched .*no route"):
        CIFARData(str(tmp_path), download=True).setup()


def test_what_is_fetched_is_read(tmp_path, monkeypatch):
    def fetched(url, root, filename, md5):
        assert (filename, md5) == (tv.CIFAR10.filename, tv.CIFAR10.tgz_md5)
        published(Path(root))

    monkeypatch.setattr(project.data.cifar, "download_and_extract_archive", fetched)
    data = CIFARData(str(tmp_path), download=True)
    data.setup()
    assert len(data.samples) == 4


def test_the_key_knows_pixels_and_labels(tmp_path):
    def key(change: dict) -> str:
        folder = published(tmp_path)
        write(folder / "test_batch", batch("cifar10", 0) | change)
        return CIFARData(str(tmp_path)).samples.fingerprint()

    pixels = batch("cifar10", 0)["data"]
    pixels[0, 0] ^= 1
    keys = [key({}), key({"data": pixels}), key({"labels": [1, 2, 3, 4]})]
    assert len(set(keys)) == 3
    assert key({}) == keys[0]


def test_padded_crops_are_windows_of_the_padded_photo(tmp_path):
    published(tmp_path)
    data = CIFARData(str(tmp_path), augment=PaddedCrop(flip=0.0), batch_size=2)
    data.setup("fit")
    seen = set()
    for epoch in range(6):
        batch_of = next(iter(data.train_dataloader()))
        for index, image in zip(batch_of["index"], batch_of["image"], strict=True):
            padded = torch.nn.functional.pad(data.train_samples.image(int(index)), (4, 4, 4, 4))
            windows = padded.unfold(1, 32, 1).unfold(2, 32, 1)  # (3, 9, 9, 32, 32)
            hit = (windows == image[:, None, None]).all(dim=(0, 3, 4)).nonzero().tolist()
            assert len(hit) == 1
            seen.add(tuple(hit[0]))
        data.seed = epoch + 1
    assert len(seen) > 4
