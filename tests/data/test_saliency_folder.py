"""Photos and object masks in two folders, and any data set's objects, as saliency training data."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from project.data import (
    DataError,
    ImageListData,
    PadToSquare,
    SaliencyFolderData,
    SalientObjectData,
    ShapesData,
    Stretch,
    TracerAugmentation,
    VOCData,
)
from project.data.saliency_folder import read_object_mask
from tests.data.files import labelled, photo, save, truncate

IMAGES, MASKS = "DUTS-TR/DUTS-TR-Image", "DUTS-TR/DUTS-TR-Mask"


def soft_mask(height: int = 24, width: int = 32, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(100 + seed).integers(0, 256, (height, width)).astype(np.uint8)


def duts(root: Path, count: int = 4) -> Path:
    for number in range(count):
        save(root / IMAGES / f"n{number:02d}.jpg", photo(seed=number))
        save(root / MASKS / f"n{number:02d}.png", soft_mask(seed=number))
    return root


def ready(root: Path, stage: str = "fit", **arguments: object) -> SaliencyFolderData:
    data = SaliencyFolderData(str(root), **arguments)
    data.setup(stage)
    return data


def test_duts_as_published_is_found_and_masks_are_cut_at_128(tmp_path):
    data = ready(duts(tmp_path), "validate", val_share=0.5)
    assert data.samples.names == ("n00", "n02")
    sample = data.samples[1]
    assert torch.equal(sample["target"], torch.from_numpy(soft_mask(seed=2) >= 128).long())
    assert (data.task, data.class_names) == ("segmentation", ("background", "object"))


@pytest.mark.parametrize(("count", "share", "kept"), [(2, 0.05, 1), (40, 0.05, 2), (5, 0.9, 4)])
def test_training_and_validation_share_no_photo_and_leave_none_out(tmp_path, count, share, kept):
    data = ready(duts(tmp_path, count), val_share=share)
    training, validation = set(data.train_samples.names), set(data.samples.names)
    assert len(validation) == kept
    assert not training & validation
    assert len(training | validation) == count


def test_the_test_split_has_folders_of_its_own(tmp_path):
    duts(tmp_path)
    save(tmp_path / "te" / "i" / "a.jpg", photo())
    save(tmp_path / "te" / "m" / "a.png", soft_mask())
    data = ready(tmp_path, "test", eval_split="test", test_images="te/i", test_masks="te/m")
    assert data.samples.names == ("a",)
    with pytest.raises(ValueError, match=r"needs two folders.*--data\.test_masks"):
        ready(tmp_path, "test", eval_split="test")


def test_the_datas_own_object_mask_is_the_target(tmp_path):
    samples = ready(duts(tmp_path), frame=Stretch(16, 16)).samples
    assert torch.equal(samples.salient_mask(0)[0], (samples[0]["target"] == 1).float())


def test_padding_of_the_frame_is_void(tmp_path):
    target = ready(duts(tmp_path), frame=PadToSquare(32)).samples[0]["target"]
    assert (target[24:] == 255).all()
    assert (target[:24] != 255).all()


def test_folders_below_and_masks_of_other_types_are_paired_by_name(tmp_path):
    for number, suffix in enumerate((".png", ".bmp", ".tif")):
        save(tmp_path / "i" / f"part{number}" / "a.b.jpg", photo())
        save(tmp_path / "m" / f"part{number}" / f"a.b{suffix}", soft_mask(seed=number))
    save(tmp_path / "m" / "extra.png", soft_mask())
    data = ready(tmp_path, images="i", masks="m", val_share=0.3)
    assert data.samples.names + data.train_samples.names == ("part0/a.b", "part1/a.b", "part2/a.b")
    assert data.train_samples[0]["target"].tolist() == (soft_mask(seed=1) >= 128).tolist()


def colours() -> np.ndarray:
    return np.kron(np.array([[[128, 0, 0], [0, 0, 0]]], np.uint8), np.ones((24, 16, 1), np.uint8))


def break_missing(mask: Path) -> None:
    mask.unlink()


def break_size(mask: Path) -> None:
    save(mask, soft_mask(24, 31))


def break_file(mask: Path) -> None:
    truncate(mask)


def break_colour(mask: Path) -> None:
    save(mask, colours())


def break_levels(mask: Path) -> None:
    save(mask, (soft_mask() > 128).astype(np.uint8))


def break_depth(mask: Path) -> None:
    save(mask, soft_mask().astype(np.uint16) * 257)


BROKEN = [
    (break_missing, r"mask DUTS-TR/DUTS-TR-Mask/n01.png: file is missing"),
    (break_size, r"same size, got 32×24 and 31×24"),
    (break_file, r"mask .*n01.png: cannot be decoded"),
    (break_colour, r"must be grey.*mask of classes"),
    (break_levels, r"got 0 and 1 \(multiply by 255\)"),
    (break_depth, r"8 bits a channel"),
]


@pytest.mark.parametrize(("breaking", "message"), BROKEN, ids=lambda part: str(part)[:24])
def test_a_bad_mask_is_named_before_anything_runs_or_left_out(tmp_path, breaking, message):
    breaking(duts(tmp_path) / MASKS / "n01.png")
    with pytest.raises(DataError, match=f"1 of 3 samples.*\n.*n01.jpg: .*{message}"):
        ready(tmp_path)
    with pytest.warns(UserWarning, match="skipped 1 of 3"):
        data = ready(tmp_path, on_error="skip")
    assert len(data.train_samples) == 2


def test_a_broken_photo_is_named(tmp_path):
    truncate(duts(tmp_path) / IMAGES / "n00.jpg")
    with pytest.raises(DataError, match=r"n00.jpg: cannot be decoded"):
        ready(tmp_path)


FOLDERS = [
    ({"images": MASKS}, r"must lie in two folders.*--data\.images"),
    ({"images": "empty"}, r"must hold photos, got none"),
    ({"masks": "empty"}, r"names of the photos, got photos such as 'n00' .* no mask at all"),
    ({"masks": "other"}, r"got photos such as 'n00' in .* and masks such as 'x' in .*other"),
    ({"images": "twice"}, r"every name must occur once.*a\.bmp and twice/a\.png"),
    ({"images": "one"}, r"at least two photos, got 1"),
    ({"images": "nowhere"}, r"must be a folder with the photos"),
    ({"masks": "nowhere"}, r"must be a folder with the masks"),
]


@pytest.mark.parametrize(("arguments", "message"), FOLDERS)
def test_wrong_folders_say_what_to_set(tmp_path, arguments, message):
    duts(tmp_path)
    (tmp_path / "empty").mkdir()
    save(tmp_path / "other" / "x.png", soft_mask())
    save(tmp_path / "twice" / "a.png", photo())
    save(tmp_path / "twice" / "a.bmp", photo())
    save(tmp_path / "one" / "n00.png", photo())
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        ready(tmp_path, **arguments)


@pytest.mark.parametrize("share", [0, 1, -0.1, 5])
def test_a_share_that_leaves_one_split_empty_is_refused(share):
    with pytest.raises(ValueError, match=r"val_share must be in \(0, 1\)"):
        SaliencyFolderData(".", val_share=share)


@pytest.mark.parametrize("mode", ["1", "RGB", "RGBA", "LA", "P"])
def test_grey_masks_of_every_mode_are_read_alike(tmp_path, mode):
    mask = Image.fromarray(np.where(soft_mask() > 99, 255, 0).astype(np.uint8))
    mask.convert(mode).save(tmp_path / "mask.png")
    assert np.array_equal(read_object_mask(tmp_path / "mask.png"), soft_mask() > 99)


def test_the_fingerprint_knows_the_masks(tmp_path):
    before = ready(duts(tmp_path)).samples.fingerprint()
    save(tmp_path / MASKS / "n00.png", np.zeros((24, 32), np.uint8))
    assert ready(tmp_path).samples.fingerprint() != before


def test_the_shapes_are_salient_with_their_rims_and_nothing_is_void():
    for task in ("classification", "segmentation"):
        shapes = ShapesData(task, size=32, num_train=4, num_val=4, batch_size=4)
        data = SalientObjectData(shapes)
        data.setup("fit")
        batch = next(iter(data.val_dataloader()))
        expected = [shapes.build("val", Stretch(32, 32), None).salient_mask(k)[0] for k in range(4)]
        assert torch.equal(batch["target"], torch.stack(expected).long())
        assert next(iter(data.train_dataloader()))["image"].shape == (4, 3, 32, 32)


def test_void_between_objects_stays_void(tmp_path):
    mask = np.array([[0, 15, 255, 0]] * 4, np.uint8)
    save(tmp_path / "JPEGImages" / "a.jpg", photo(4, 4))
    save(tmp_path / "SegmentationClass" / "a.png", mask)
    data = SalientObjectData(VOCData(str(tmp_path), lists=None))
    data.setup("test")
    assert data.samples[0]["target"].tolist() == [[0, 1, 255, 0]] * 4


def test_a_data_set_without_object_masks_is_refused(tmp_path):
    data = SalientObjectData(ImageListData(str(labelled(tmp_path, ["0"])), labels="labels.csv"))
    with pytest.raises(ValueError, match="ClassificationFiles, which has none"):
        data.setup("test")


def augmented(root: Path, **arguments: float) -> list[dict[str, torch.Tensor]]:
    data = SaliencyFolderData(
        str(root), frame=Stretch(16, 16), augment=TracerAugmentation(**arguments), batch_size=2
    )
    data.setup("fit")
    return list(data.train_dataloader())


def test_the_published_augmentation_keeps_size_and_is_drawn_from_the_seed(tmp_path):
    duts(tmp_path, 6)
    first, second = augmented(tmp_path), augmented(tmp_path)
    for one, other in zip(first, second, strict=True):
        assert one["image"].shape == (2, 3, 16, 16)
        assert set(one["target"].unique().tolist()) <= {0, 1}
        assert torch.equal(one["image"], other["image"])
        assert torch.equal(one["target"], other["target"])
    plain = augmented(tmp_path, flip=0.0, tone=0.0, blur=0.0)
    assert any(not torch.equal(a["image"], b["image"]) for a, b in zip(first, plain, strict=True))


def test_turns_move_image_and_mask_together(tmp_path):
    for number in range(8):
        mask = np.kron(soft_mask(4, 4, number) >= 128, np.ones((8, 8))).astype(np.uint8) * 255
        save(tmp_path / "i" / f"{number}.png", np.repeat(mask[..., None], 3, 2))
        save(tmp_path / "m" / f"{number}.png", mask)
    data = SaliencyFolderData(
        str(tmp_path),
        images="i",
        masks="m",
        frame=Stretch(32, 32),
        augment=TracerAugmentation(flip=1.0, tone=0.0, blur=0.0),
        batch_size=7,
    )
    data.setup("fit")
    batch = next(iter(data.train_dataloader()))
    assert torch.equal(batch["image"][:, 0].long(), batch["target"])
    still = torch.stack([data.train_samples[k]["target"] for k in range(7)])
    found = {tuple(mask.flatten().tolist()) for mask in batch["target"]}
    assert not found & {tuple(mask.flatten().tolist()) for mask in still}
