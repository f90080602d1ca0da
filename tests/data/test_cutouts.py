"""Windows cut from a segmentation set: found where they are, and nowhere else."""

import cv2
import numpy as np
import pytest

from project.data import CamVidData, CutoutData, Native
from project.data.cutouts import covered


def write_photo(root, split: str, name: str, mask: np.ndarray) -> np.ndarray:
    """Write a photo whose pixels say where they are, and its mask."""
    rows, columns = np.indices(mask.shape)
    image = np.stack([rows, columns, mask], -1).astype(np.uint8)
    for folder, content in ((split, image[..., ::-1]), (f"{split}annot", mask)):
        (root / folder).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(root / folder / f"{name}.png"), content)
    return image


def data(root, **arguments) -> CutoutData:
    inner = CamVidData(str(root), eval_split="val")
    return CutoutData(inner, ["road", "sky", "car"], **{"size": 8, "share": 0.75} | arguments)


@pytest.fixture
def photo(tmp_path):
    mask = np.full((24, 32), 11, np.uint8)
    mask[4:14, 5:16] = 3  # road, 10×11: more than a window
    mask[18:22, 20:30] = 8  # car, 4×10: half a window at most
    return tmp_path, write_photo(tmp_path, "val", "a", mask), mask


def test_a_share_is_that_of_the_window_counted_by_hand():
    mask = np.random.default_rng(0).random((9, 11)) < 0.4
    shares = covered(mask, 4)
    assert shares.shape == (6, 8)
    for top in range(6):
        for left in range(8):
            assert shares[top, left] == mask[top : top + 4, left : left + 4].mean()


def test_only_classes_that_cover_enough_are_cut(photo):
    root, image, mask = photo
    samples = data(root).build("val", Native(), None)
    assert samples.names == ("a_road",)
    pixels, label = samples.read(0)
    top, left = samples.windows[0].top, samples.windows[0].left
    assert label == 0
    assert (pixels == image[top : top + 8, left : left + 8]).all()
    assert (mask[top : top + 8, left : left + 8] == 3).all()


def test_a_smaller_share_lets_the_car_in_under_its_own_number(photo):
    samples = data(photo[0], share=0.5).samples
    assert [window.label for window in samples.windows] == [0, 2]
    assert samples.class_names == ("road", "sky", "car")


def test_batches_hold_windows_and_their_classes(photo):
    module = data(photo[0], share=0.5)
    module.setup("test")
    (batch,) = module.test_dataloader()[0]
    assert batch["image"].shape == (2, 3, 8, 8)
    assert batch["target"].tolist() == [0, 2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"share": 0.0}, "share in \\(0, 1\\], got 8 and 0.0"),
        ({"size": 20}, "no window of 20 pixels has 75% of one class"),
    ],
)
def test_what_cannot_be_cut_is_said(photo, arguments, message):
    with pytest.raises(ValueError, match=message):
        len(data(photo[0], **arguments).samples)


def test_an_unknown_class_is_named(photo):
    module = CutoutData(CamVidData(str(photo[0]), eval_split="val"), ["road", "moon"])
    with pytest.raises(ValueError, match="classes road, moon, got segmentation with sky"):
        len(module.samples)
