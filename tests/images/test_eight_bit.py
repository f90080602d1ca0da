"""Rounding as files do; clipping against its closed form, and what hangs on its gradient."""

import numpy as np
import pytest
import torch

from project.attacks import PGD
from project.images.eight_bit import (
    channels_first,
    channels_last,
    clip,
    from_levels,
    off_levels,
    to_8bit,
    to_levels,
)


def test_values_are_cut_and_gradient_passes_inside_and_on_the_bounds_only():
    values = torch.tensor([-0.5, 0.0, 0.25, 1.0, 1.5], requires_grad=True)
    cut = clip(values)
    (gradient,) = torch.autograd.grad(cut.sum(), values)
    assert cut.tolist() == [0.0, 0.0, 0.25, 1.0, 1.0]
    assert gradient.tolist() == [0.0, 1.0, 1.0, 1.0, 0.0]


def test_other_bounds_are_kept():
    assert clip(torch.tensor([-3.0, 300.0]), 0, 255).tolist() == [0.0, 255.0]


def test_pgd_moves_black_and_white_pixels_where_that_helps():
    class Sum(torch.nn.Module):
        """Says class 0 the more, the brighter the left half and the darker the right half is."""

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            left, right = images.chunk(2, 3)
            score = left.mean((1, 2, 3)) - right.mean((1, 2, 3))
            return torch.stack([score, -score], 1)

    white_and_black = torch.cat([torch.ones(1, 3, 4, 4), torch.zeros(1, 3, 4, 4)], 3)
    for norm, eps in (("linf", 8 / 255), ("l2", 1.0)):
        attack = PGD(eps, eps, steps=2, random_start=False, norm=norm)
        found = attack(Sum(), white_and_black, torch.zeros(1, dtype=torch.int64))
        assert (found != white_and_black).all()


def test_rounding_gives_what_a_file_gives_back():
    values = torch.linspace(0, 1, 1001)
    as_file = torch.from_numpy(np.rint(values.numpy() * 255).astype(np.uint8)).float().div(255)
    assert torch.equal(to_8bit(values), as_file)


def test_rounding_clips_to_the_range_of_an_image():
    assert to_8bit(torch.tensor([-0.1, 1.1])).tolist() == [0.0, 1.0]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_rounding_on_a_gpu_is_that_on_a_cpu_bit_for_bit():
    values = torch.linspace(0, 1, 10_001)
    assert torch.equal(to_8bit(values.cuda()).cpu(), to_8bit(values))


def test_levels_are_those_of_torch_for_all_values_about_each_tie():
    ties = (torch.arange(255) + 0.5) / 255
    near = [torch.nextafter(ties, torch.full_like(ties, end)) for end in (0.0, 1.0)]
    values = torch.cat([ties, *near, torch.arange(256) / 255, torch.linspace(0, 1, 100_001)])
    expected = values.mul(255).round().to(torch.uint8)
    assert torch.equal(to_levels(values), expected)
    assert torch.equal(to_levels(values.double()), values.double().mul(255).round().byte())
    assert torch.equal(to_levels(values[None, :, None]), expected[None, :, None])
    assert torch.equal(to_levels(values[::2]), expected[::2])
    assert to_levels(torch.zeros(0, 3)).shape == (0, 3)


def test_levels_become_the_values_of_files_bit_for_bit():
    levels = torch.arange(256).byte().view(2, 8, 16)
    assert torch.equal(from_levels(levels), levels.float().div(255))
    assert torch.equal(from_levels(levels.transpose(0, 2)), levels.transpose(0, 2).float().div(255))
    assert from_levels(levels).dtype == torch.float32
    assert from_levels(levels[:0]).shape == (0, 8, 16)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_farthest_value_from_a_level_is_found(dtype):
    values = to_8bit(torch.rand(2, 3, 5, 5, dtype=dtype))
    assert off_levels(values).item() < 1e-4
    values[1, 2, 3, 4] = 100.25 / 255
    assert off_levels(values).item() == pytest.approx(0.25, abs=1e-4)


def test_channels_are_moved_as_numpy_moves_them():
    for shape in ((5, 7, 3), (1, 1, 3), (4, 6, 1), (1, 9, 3)):
        picture = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        planes = channels_first([picture, picture // 2])
        np.testing.assert_array_equal(planes[0], picture.transpose(2, 0, 1))
        np.testing.assert_array_equal(planes[1], picture.transpose(2, 0, 1) // 2)
        np.testing.assert_array_equal(channels_last(planes[0]), picture)
        turned = picture[:, ::-1]
        np.testing.assert_array_equal(channels_first([turned])[0], turned.transpose(2, 0, 1))
