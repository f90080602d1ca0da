import numpy as np
import pytest
import torch

from project.data.augmentation import Augmentation, Augmented, ResizedCrop, ScaledCrop
from project.data.camvid import CAMVID_CLASSES
from project.data.eval_transform import CentreCrop, Native, PadToSquare, Stretch
from project.data.files import ClassificationFiles, LabelledFile, MaskedFile, SegmentationFiles
from tests.data.files import PALETTE, blocks, save

FRAMES = {
    "native": Native(),
    "centre crop": CentreCrop(resize=40, crop=32),
    "crop without resize": CentreCrop(resize=None, crop=32),
    "stretch down": Stretch(30, 50),
    "stretch up": Stretch(90, 130),
    "pad down": PadToSquare(40),
    "pad up": PadToSquare(130),
}
IDS = list(range(11))


def coded_set(tmp_path, frame, height=48, width=80):
    """Photos whose colour is their class: a mask that is moved against its photo shows."""
    files = []
    for number in range(3):
        mask = blocks(height, width, [*IDS, 255], cell=16, seed=number)
        save(tmp_path / f"{number}.png", PALETTE[mask])
        save(tmp_path / "masks" / f"{number}.png", mask)
        files.append(MaskedFile(f"{number}.png", f"masks/{number}.png", str(number)))
    return SegmentationFiles(tmp_path, files, CAMVID_CLASSES, things=("car",), frame=frame)


def agreement(sample, rows=0, columns=0):
    """Share of pixels whose nearest colour is that of their class, the mask moved by a bit."""
    image = (sample["image"] * 255).permute(1, 2, 0).numpy()
    codes = np.array([*IDS, 255])
    shown = codes[np.abs(image[:, :, None] - PALETTE[codes].astype(float)).sum(-1).argmin(-1)]
    target = np.roll(sample["target"].numpy(), (rows, columns), (0, 1))
    photo_only = image.any(-1)
    return (shown == target)[photo_only].mean()


def is_aligned(sample):
    """Tell whether moving the mask by one pixel, wherever to, makes the agreement worse."""
    moved = [agreement(sample, *step) for step in ((1, 0), (-1, 0), (0, 1), (0, -1))]
    return agreement(sample) > max(moved) and agreement(sample) > 0.8


@pytest.mark.parametrize("name", FRAMES)
def test_image_and_mask_stay_aligned_in_every_frame(tmp_path, name):
    samples = coded_set(tmp_path, FRAMES[name])
    assert all(is_aligned(samples[position]) for position in range(len(samples)))


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_a_mask_grows_without_moving_by_a_part_of_a_pixel(tmp_path, scale):
    # A nearest neighbour that rounds down would move every edge to one side; edges that are mixed
    # in the image lie symmetrically about the mask's edge only if the centres agree.
    mask = np.zeros((8, 8), np.uint8)
    mask[:, 4:] = 1
    save(tmp_path / "a.png", np.stack([mask * 255] * 3, -1))
    save(tmp_path / "m.png", mask)
    files = [MaskedFile("a.png", "m.png", "a")]
    frame = Stretch(8 * scale, 8 * scale)
    sample = SegmentationFiles(tmp_path, files, ("a", "b"), things=(), frame=frame)[0]
    assert torch.equal((sample["image"][0] > 0.5).long(), sample["target"])


@pytest.mark.parametrize(
    "augmentation",
    [
        Augmentation(flip=1.0),
        ScaledCrop(40, 64, scale=(0.7, 1.8)),
        ScaledCrop(120, 120, scale=(0.5, 1.0)),
        ResizedCrop(48, scale=(0.3, 1.0)),
    ],
    ids=["flip", "scaled crop", "scaled crop with padding", "resized crop"],
)
def test_image_and_mask_stay_aligned_under_every_augmentation(tmp_path, augmentation):
    samples = Augmented(coded_set(tmp_path, Native()), augmentation, seed=0)
    keys = [(epoch, position) for epoch in range(5) for position in range(3)]
    assert all(is_aligned(samples[key]) for key in keys)


def test_flipping_mirrors_image_and_mask(tmp_path):
    samples = coded_set(tmp_path, Native())
    flipped = Augmented(samples, Augmentation(flip=1.0), seed=0)[0, 1]
    assert torch.equal(flipped["image"], samples[1]["image"].flip(-1))
    assert torch.equal(flipped["target"], samples[1]["target"].flip(-1))


def test_colour_jitter_changes_the_image_and_leaves_the_mask(tmp_path):
    samples = coded_set(tmp_path, Native())
    jittered = Augmented(samples, Augmentation(flip=0.0, colour_jitter=0.5), seed=0)[0, 0]
    assert not torch.equal(jittered["image"], samples[0]["image"])
    assert torch.equal(jittered["target"], samples[0]["target"])


@pytest.mark.parametrize("augmentation", [None, ScaledCrop(32, 32, colour_jitter=0.3)])
@pytest.mark.parametrize("name", FRAMES)
def test_every_pixel_is_a_multiple_of_one_in_255(tmp_path, name, augmentation):
    samples = Augmented(coded_set(tmp_path, FRAMES[name]), augmentation, seed=0)
    image = samples[0, 0]["image"]
    levels = (image * 255).round()
    assert image.dtype == torch.float32
    assert torch.equal(image, levels.div(255))
    assert 0 <= image.min() < image.max() <= 1


def test_padding_is_black_void_and_no_object(tmp_path):
    samples = coded_set(tmp_path, PadToSquare(96))
    sample = samples[0]
    height = round(48 / 80 * 96)
    assert sample["image"].shape == (3, 96, 96)
    assert (sample["image"][:, height:] == 0).all()
    assert (sample["target"][height:] == 255).all()
    salient = samples.salient_mask(0)
    assert salient is not None
    assert (salient[:, height:] == 0).all()


@pytest.mark.parametrize("name", FRAMES)
def test_the_salient_mask_is_where_the_target_shows_a_thing(tmp_path, name):
    samples = coded_set(tmp_path, FRAMES[name])
    car = CAMVID_CLASSES.index("car")
    for index in range(3):
        expected = (samples[index]["target"] == car).float()[None]
        assert torch.equal(samples.salient_mask(index), expected)


@pytest.mark.parametrize("name", FRAMES)
def test_a_map_is_aligned_exactly_as_the_photo_is(tmp_path, name):
    samples = coded_set(tmp_path, FRAMES[name])
    red = np.ascontiguousarray(samples.read(1)[0][..., 0])
    assert torch.equal(samples.align(red, 1), samples[1]["image"][:1])


@pytest.mark.parametrize("name", FRAMES)
def test_a_map_of_classes_is_aligned_exactly_as_the_labels_are(tmp_path, name):
    samples = coded_set(tmp_path, FRAMES[name])
    assert torch.equal(samples.align_labels(samples.read(1)[1], 1), samples[1]["target"])


def test_a_map_of_another_size_than_the_photo_is_refused(tmp_path):
    samples = coded_set(tmp_path, Stretch(20, 20))
    with pytest.raises(ValueError, match=r"photo's size 80×48, got uint8 of shape \(20, 20\)"):
        samples.align(np.zeros((20, 20), np.uint8), 0)
    with pytest.raises(ValueError, match=r"photo's size 80×48, got uint8 of shape \(20, 20\)"):
        samples.align_labels(np.zeros((20, 20), np.uint8), 0)


def test_a_centre_crop_is_central(tmp_path):
    pixels = np.zeros((30, 50, 3), np.uint8)
    pixels[10:20, 20:30] = 255
    save(tmp_path / "a.png", pixels)
    frame = CentreCrop(resize=None, crop=10)
    samples = ClassificationFiles(tmp_path, [LabelledFile("a.png", "0")], ["a"], frame=frame)
    assert torch.equal(samples[0]["image"], torch.ones(3, 10, 10))


def test_a_crop_larger_than_the_resized_image_is_refused():
    with pytest.raises(ValueError, match="resize must be at least crop, got resize 200"):
        CentreCrop(resize=200, crop=224)
