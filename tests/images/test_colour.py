"""Brightness and colour apart, against scikit-image and by hand."""

import math

import torch
from skimage.color import rgb2lab, rgb2yuv

from project.images.colour import chroma, chroma_to_rgb, colourfulness, luma, rgb_to_lab
from project.threat_models import ChromaFlow
from tests.models import eight_bit_images


def test_luma_and_chroma_are_those_of_scikit_image():
    images = eight_bit_images(2).double()
    expected = torch.from_numpy(rgb2yuv(images.permute(0, 2, 3, 1).numpy())).permute(0, 3, 1, 2)
    torch.testing.assert_close(luma(images), expected[:, :1], atol=1e-6, rtol=0)
    # Their matrix is rounded to eight digits from slightly other scales (0.49211, 0.877283).
    torch.testing.assert_close(chroma(images), expected[:, 1:], atol=5e-4, rtol=0)


def test_rgb_comes_back_from_luma_and_chroma():
    images = eight_bit_images(2).double()
    back = luma(images) + chroma_to_rgb(chroma(images))
    torch.testing.assert_close(back, images, atol=1e-14, rtol=0)


def test_colour_added_by_chroma_has_no_luma():
    uv = torch.randn(1, 2, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    assert luma(chroma_to_rgb(uv)).abs().max() < 1e-15


def test_grey_has_no_chroma_and_no_colourfulness():
    grey = torch.rand(2, 1, 4, 5, generator=torch.Generator().manual_seed(2)).expand(-1, 3, -1, -1)
    assert chroma(grey).abs().max() < 1e-7
    assert colourfulness(grey).max() < 1e-4


def test_colourfulness_of_half_red_half_black_is_as_by_hand():
    images = torch.zeros(1, 3, 2, 2)
    images[:, 0, 0] = 1
    # rg is 255 or 0, yb 127.5 or 0: σ 127.5 and 63.75, μ the same.
    expected = 1.3 * math.hypot(127.5, 63.75)
    torch.testing.assert_close(colourfulness(images), torch.tensor([expected]))


def test_no_chroma_flow_is_the_identity_bit_for_bit():
    images = eight_bit_images(2)
    assert torch.equal(ChromaFlow().apply(images, torch.zeros(2, 2, 12, 16)), images)


def test_whole_pixels_of_chroma_flow_shift_the_colours_and_nothing_else():
    images = eight_bit_images(1).double() / 4 + 0.4  # far from 0 and 1, so nothing is cut
    flow = torch.zeros(1, 2, 12, 16, dtype=torch.float64)
    flow[:, 0], flow[:, 1] = 2, 1
    moved = ChromaFlow().apply(images, flow)
    torch.testing.assert_close(luma(moved), luma(images), atol=1e-14, rtol=0)
    still = chroma(images)
    torch.testing.assert_close(chroma(moved)[..., :-1, :-2], still[..., 1:, 2:], atol=1e-14, rtol=0)


def test_colours_that_leave_the_range_are_cut():
    images = torch.zeros(1, 3, 2, 4)
    images[:, 0, :, 2:] = 1  # black beside red
    flow = torch.zeros(1, 2, 2, 4)
    flow[:, 0] = 1
    moved = ChromaFlow().apply(images, flow)
    assert moved.min() == 0
    assert moved.max() == 1
    # Black takes the chroma of red, of luma 0: 1 - 0.299, -0.299, -0.299.
    torch.testing.assert_close(moved[0, :, 0, 1], torch.tensor([0.701, 0.0, 0.0]))


def test_chroma_flow_has_the_budget_of_a_flow():
    images = eight_bit_images(2)
    flow = torch.full((2, 2, 12, 16), 3.0)
    assert ChromaFlow(0.5).project(images, flow).max() == 0.5
    assert ChromaFlow(0.5).zeros(images).shape == (2, 2, 12, 16)


def test_lab_is_that_of_scikit_image():
    images = eight_bit_images(2).double()
    expected = torch.from_numpy(rgb2lab(images.permute(0, 2, 3, 1).numpy())).permute(0, 3, 1, 2)
    torch.testing.assert_close(rgb_to_lab(images), expected, atol=1e-3, rtol=0)
    torch.testing.assert_close(rgb_to_lab(images.float()).double(), expected, atol=1e-3, rtol=0)
