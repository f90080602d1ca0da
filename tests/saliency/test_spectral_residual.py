"""Spectral residual against the formula in numpy and scipy."""

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter, uniform_filter

from project.saliency import SpectralResidual
from tests.models import eight_bit_images


def reference(grey, sigma):
    spectrum = np.fft.fft2(grey)
    log_amplitude = np.log(np.abs(spectrum))
    residual = log_amplitude - uniform_filter(log_amplitude, 3, mode="nearest")
    unexpected = np.abs(np.fft.ifft2(np.exp(residual + 1j * np.angle(spectrum)))) ** 2
    smooth = gaussian_filter(unexpected, sigma, mode="constant", truncate=3)
    return (smooth - smooth.min()) / (smooth.max() - smooth.min())


@pytest.mark.parametrize("sigma", [2.5, 1.0])
def test_map_is_the_formula(sigma):
    images = eight_bit_images(2, 48, 64).double()
    found = SpectralResidual(sigma=sigma)(images)
    for image, map_ in zip(images.numpy(), found.numpy(), strict=True):
        grey = np.tensordot([0.299, 0.587, 0.114], image, 1)
        np.testing.assert_allclose(map_[0], reference(grey, sigma), atol=1e-8)


def test_large_images_are_shrunk_to_64_pixels_first():
    grey = torch.rand(1, 1, 96, 192, generator=torch.Generator().manual_seed(0))
    found = SpectralResidual()(grey.expand(1, 3, 96, 192))
    small = Image.fromarray(grey[0, 0].numpy()).resize((64, 32), Image.Resampling.BICUBIC)
    expected = torch.from_numpy(reference(np.asarray(small, dtype=np.float64), 2.5))[None, None]
    expected = torch.nn.functional.interpolate(expected, (96, 192), mode="bilinear")
    expected = (expected - expected.min()) / (expected.max() - expected.min())
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=2e-3)


def test_odd_one_out_is_salient():
    generator = torch.Generator().manual_seed(0)
    image = 0.3 + 0.05 * torch.rand(1, 1, 64, 64, generator=generator).expand(1, 3, 64, 64)
    image[..., 30:34, 40:44] += 0.5
    map_ = SpectralResidual()(image)[0, 0]
    row, column = divmod(int(map_.argmax()), 64)
    assert abs(row - 32) <= 4
    assert abs(column - 42) <= 4


def test_map_does_not_depend_on_batch_mates():
    images = eight_bit_images(3, 40, 100)
    maps = SpectralResidual()(images)
    for place in range(3):
        assert torch.equal(SpectralResidual()(images[[place]]), maps[[place]])


@pytest.mark.parametrize("level", [0.0, 0.3, 1.0])
def test_image_of_one_colour_has_no_salient_place(level):
    images = torch.full((1, 3, 30, 40), level)
    assert not SpectralResidual()(images).any()


@pytest.mark.parametrize("size", [(1, 7), (5, 5), (3, 200)])
def test_map_of_small_and_thin_images_lies_between_0_and_1(size):
    images = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))
    maps = SpectralResidual()(images)
    assert maps.shape == (1, 1, *size)
    assert maps.min() >= 0
    assert maps.max() <= 1


@pytest.mark.parametrize(("size", "sigma"), [(2, 1.0), (64, 0.0)])
def test_impossible_scale_is_refused(size, sigma):
    with pytest.raises(ValueError, match="at least 3 and sigma above 0"):
        SpectralResidual(size, sigma)
