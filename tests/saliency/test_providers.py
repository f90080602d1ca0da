"""Saliency providers."""

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.color import rgb2lab
from skimage.filters import gaussian
from torch import nn

from project.attacks import SSTA
from project.images.blur import gaussian_blur
from project.saliency import DataMasks, FrequencyTuned, MaskFiles, VictimGradient
from project.saliency.provider import Scene, normalised, saliency_maps
from tests.models import CurvedClassifier, CurvedSegmenter, eight_bit_images, predicted


def test_blur_agrees_with_scikit_image():
    image = torch.rand(1, 1, 20, 24, generator=torch.Generator().manual_seed(0))
    expected = gaussian(image[0, 0].numpy(), sigma=1.5, mode="nearest", truncate=8 / 3)
    found = gaussian_blur(image, 4 / 3)[0, 0].numpy()
    assert not np.allclose(found, expected, atol=1e-3)
    expected = gaussian(image[0, 0].numpy(), sigma=4 / 3, mode="nearest", truncate=3)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_frequency_tuned_map_is_the_distance_to_the_mean_colour():
    image = eight_bit_images(1)
    lab = rgb2lab(image[0].permute(1, 2, 0).numpy())
    smooth = gaussian(lab, sigma=1.1, mode="nearest", truncate=3 / 1.1, channel_axis=2)
    distance = np.linalg.norm(lab.mean((0, 1)) - smooth, axis=2)
    expected = (distance - distance.min()) / (distance.max() - distance.min())
    found = FrequencyTuned()(image)[0, 0].numpy()
    np.testing.assert_allclose(found, expected, atol=2e-3)


@pytest.mark.parametrize("size", [(37, 41), (40, 52)])
def test_frequency_tuned_map_does_not_depend_on_batch_mates(size):
    images = eight_bit_images(5, *size)
    maps = FrequencyTuned()(images)
    for place in range(5):
        assert torch.equal(FrequencyTuned()(images[[place]]), maps[[place]])


def test_object_of_another_colour_is_salient():
    image = torch.full((1, 3, 24, 30), 0.4)
    image[0, 0, 8:14, 10:18] = 0.9
    maps = FrequencyTuned()(image)
    assert maps.shape == (1, 1, 24, 30)
    assert maps[0, 0, 10:12, 12:16].min() > 0.9
    assert maps[0, 0, :5].max() < 0.1


def test_constant_map_becomes_0():
    assert torch.equal(normalised(torch.full((1, 1, 3, 3), 0.7)), torch.zeros(1, 1, 3, 3))


@pytest.mark.parametrize("task", ["classification", "segmentation"])
def test_gradient_map_is_the_smoothed_size_of_the_gradient(task):
    victim = CurvedClassifier() if task == "classification" else CurvedSegmenter()
    images = eight_bit_images(2)
    target = predicted(victim, images)
    maps = VictimGradient(sigma=0.01).maps(images, Scene(victim, target, torch.arange(2)))
    pixels = images.clone().requires_grad_()
    loss = torch.nn.functional.cross_entropy(victim(pixels), target)
    (gradient,) = torch.autograd.grad(loss, pixels)
    size = gradient.abs().amax(1, keepdim=True)
    low, high = size.amin((2, 3), keepdim=True), size.amax((2, 3), keepdim=True)
    torch.testing.assert_close(maps, (size - low) / (high - low), rtol=1e-4, atol=1e-6)


def test_gradient_map_works_in_inference_mode_inside_an_attack():
    victim, images = CurvedClassifier(), eight_bit_images(2)
    target = predicted(victim, images)
    with torch.inference_mode():
        result = SSTA(VictimGradient(), steps=3).run(victim, images, target)
    assert result.mask is not None
    assert 0 < result.mask.mean() < 1


class FakeSamples:
    """Two samples of 4 × 6 pixels with an object in the second."""

    def name(self, index: int) -> str:
        return f"photo_{index}"

    def salient_mask(self, index: int):
        return None if index == 0 else torch.ones(1, 4, 6)

    def align(self, saliency, index: int, /):
        return torch.from_numpy(saliency[None, :4, :6].copy()).float() / 255


def scene(index: list[int]) -> Scene:
    return Scene(torch.nn.Identity(), torch.zeros(len(index)).long(), torch.tensor(index))


def test_mask_files_are_found_by_name_and_aligned(tmp_path):
    level = np.full((8, 8), 51, dtype=np.uint8)
    Image.fromarray(level).save(tmp_path / "photo_1.png")
    provider = MaskFiles(str(tmp_path))
    provider.attach(FakeSamples())
    maps = saliency_maps(provider, torch.zeros(1, 3, 4, 6), scene([1]))
    torch.testing.assert_close(maps, torch.full((1, 1, 4, 6), 0.2))


def test_missing_mask_file_is_named(tmp_path):
    provider = MaskFiles(str(tmp_path))
    provider.attach(FakeSamples())
    with pytest.raises(FileNotFoundError, match=r"photo_1\.png for sample 1"):
        provider.maps(torch.zeros(1, 3, 4, 6), scene([1]))


def test_missing_mask_folder_is_named_before_an_experiment_starts(tmp_path):
    with pytest.raises(FileNotFoundError, match="no_such_folder"):
        MaskFiles(str(tmp_path / "no_such_folder")).attach(FakeSamples())


def test_mask_folder_may_be_named_by_an_environment_variable(tmp_path, monkeypatch):
    monkeypatch.setenv("MIRAGE_SALIENCY", str(tmp_path))
    provider = MaskFiles("${MIRAGE_SALIENCY}")
    provider.attach(FakeSamples())
    assert provider.root == "${MIRAGE_SALIENCY}"
    monkeypatch.delenv("MIRAGE_SALIENCY")
    with pytest.raises(FileNotFoundError, match=r"MIRAGE_SALIENCY.*set the environment variable"):
        MaskFiles("${MIRAGE_SALIENCY}").attach(FakeSamples())


def test_data_masks_come_from_the_data_set():
    provider = DataMasks()
    provider.attach(FakeSamples())
    assert torch.equal(provider.maps(torch.zeros(1, 3, 4, 6), scene([1])), torch.ones(1, 1, 4, 6))
    with pytest.raises(ValueError, match="Choose another saliency provider"):
        provider.maps(torch.zeros(1, 3, 4, 6), scene([0]))


def test_provider_without_data_set_says_what_it_needs(tmp_path):
    with pytest.raises(ValueError, match="attach a data set first"):
        SSTA(MaskFiles(str(tmp_path)))(
            CurvedClassifier(), eight_bit_images(1), torch.zeros(1).long()
        )
    with pytest.raises(TypeError, match="needs to know more than the images"):
        DataMasks()(eight_bit_images(1))


def test_changed_mask_files_of_equal_size_have_another_fingerprint(tmp_path):
    found = []
    for level in (51, 52):
        Image.fromarray(np.full((8, 8), level, dtype=np.uint8)).save(tmp_path / "a.bmp")
        (tmp_path / "a.bmp").replace(tmp_path / "a.png")  # uncompressed: the size is the same
        found.append(MaskFiles(str(tmp_path)).fingerprint())
    assert found[0] != found[1]


def test_gradient_map_spans_0_to_1_however_sure_the_victim_is():
    inner, images = CurvedClassifier().eval(), eight_bit_images(4)
    target = predicted(inner, images)

    class Sure(nn.Module):
        def forward(self, batch):
            return 10 * inner(batch)

    maps = VictimGradient().maps(images, Scene(Sure(), target, torch.arange(4)))
    assert maps.amax((1, 2, 3)).tolist() == [1.0] * 4


def test_maps_that_are_no_numbers_are_told_as_what_they_are():
    images = torch.rand(3, 3, 8, 8)

    def broken(images):
        return images[:, :1] * torch.tensor([1.0, torch.nan, 1.0]).view(-1, 1, 1, 1)

    scene = Scene(torch.nn.Identity(), torch.zeros(3, dtype=torch.int64), torch.arange(3))
    with pytest.raises(ValueError, match="must be numbers, got NaN in 1 of 3"):
        saliency_maps(broken, images, scene)
