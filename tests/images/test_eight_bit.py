"""Rounding as files do; clipping against its closed form, and what hangs on its gradient."""

import numpy as np
import pytest
import torch

from project.attacks import PGD
from project.images.eight_bit import clip, to_8bit


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
