import numpy as np
import pytest
import torch

from project.data import CamVidData, CentreCrop, DataError, ImageListData, ShapesData
from project.data.decoding import SampleError
from tests.data.files import blocks, camvid, labelled, photo, save, truncate


def message(data):
    with pytest.raises(DataError) as caught:
        data.setup("test")
    return str(caught.value)


def test_all_problems_come_in_one_message_with_count_files_and_remedy(tmp_path):
    root = labelled(tmp_path, ["0", "1000", "2", "3", "cat"])
    truncate(root / "images" / "02.png")
    (root / "images" / "03.png").unlink()
    text = message(ImageListData(str(root), labels="labels.csv"))
    assert text.startswith("4 of 5 samples cannot be used:")
    assert "images/01.png: class index must be in 0 … 999, got 1000" in text
    assert "images/02.png: cannot be decoded" in text
    assert "images/03.png: file is missing" in text
    assert "images/04.png: a class must be an integer, got 'cat'" in text
    assert "--data.on_error skip" in text


def test_only_the_first_files_are_named(tmp_path):
    root = labelled(tmp_path, ["-1"] * 8 + ["0"])
    text = message(ImageListData(str(root), labels="labels.csv"))
    assert text.count("images/") == 5
    assert "and 3 more" in text


def test_masks_that_do_not_fit_are_named(tmp_path):
    root = camvid(tmp_path, count=6)
    save(root / "testannot" / "test_0.png", blocks(24, 31, [0]))
    save(root / "testannot" / "test_1.png", blocks(24, 32, [12, 37]))
    save(root / "testannot" / "test_2.png", photo())
    (root / "testannot" / "test_3.png").unlink()
    truncate(root / "testannot" / "test_4.png")
    text = message(CamVidData(str(root)))
    assert text.startswith("5 of 6")
    assert "image and mask must have the same size, got 32×24 and 31×24" in text
    assert "mask ids must be among 0–11, 255, got 12, 37" in text
    assert "got mode 'RGB'" in text
    assert "mask testannot/test_3.png: file is missing" in text
    assert "mask testannot/test_4.png: cannot be decoded" in text


def test_skipping_warns_once_and_leaves_the_others_as_they_were(tmp_path):
    root = camvid(tmp_path, count=5)
    whole = CamVidData(str(root))
    whole.setup("test")
    before = {int(sample["index"]): sample for sample in list_of(whole.samples)}
    fingerprint_before = whole.samples.names
    save(root / "testannot" / "test_1.png", np.full((24, 32), 99, np.uint8))
    truncate(root / "test" / "test_3.png")
    data = CamVidData(str(root), on_error="skip")
    with pytest.warns(UserWarning, match=r"skipped 2 of 5 .*test/test_1.png, test/test_3.png"):
        data.setup("test")
    after = {int(sample["index"]): sample for sample in list_of(data.samples)}
    assert sorted(after) == [0, 2, 4]
    assert data.samples.names == fingerprint_before
    for index, sample in after.items():
        assert torch.equal(sample["image"], before[index]["image"])
        assert torch.equal(sample["target"], before[index]["target"])
    batches = [batch["index"].tolist() for batch in data.test_dataloader()[0]]
    assert batches == [[0, 2, 4]]


def list_of(samples):
    return [samples[position] for position in range(len(samples))]


def test_skipping_everything_is_an_error(tmp_path):
    root = labelled(tmp_path, ["-1", "-2"])
    text = message(ImageListData(str(root), labels="labels.csv", on_error="skip"))
    assert "No sample is left" in text


def test_skipping_without_verifying_is_refused():
    with pytest.raises(ValueError, match="'skip' needs verify true"):
        ShapesData(on_error="skip", verify=False)


def test_without_verifying_a_bad_file_is_named_when_it_is_read(tmp_path):
    root = labelled(tmp_path, ["0", "1"])
    truncate(root / "images" / "01.png")
    data = ImageListData(str(root), labels="labels.csv", verify=False)
    data.setup("test")
    assert data.samples[0]["image"].shape == (3, 24, 32)
    with pytest.raises(SampleError, match=r"images/01.png: cannot be decoded"):
        data.samples[1]


def test_training_verifies_the_training_split_too(tmp_path):
    root = camvid(tmp_path, ("train", "val"))
    truncate(root / "train" / "train_1.png")
    with pytest.raises(DataError, match=r"train/train_1\.png"):
        CamVidData(str(root)).setup("fit")
    CamVidData(str(root)).setup("validate")


def test_an_empty_folder_is_an_error(tmp_path):
    root = camvid(tmp_path, count=0)
    (root / "test").mkdir()
    (root / "testannot").mkdir()
    assert "at least one sample, got none" in message(CamVidData(str(root)))


def test_only_the_samples_of_the_limit_are_verified(tmp_path):
    root = labelled(tmp_path, ["0", "-1", "2", "-1"])
    data = ImageListData(str(root), labels="labels.csv", limit=2, frame=CentreCrop(24, 16))
    data.setup("test")
    assert data.samples.indices == [0, 2]
