"""The warp against a slow gather reference, on images that are not square."""

import math

import pytest
import torch

from project.images.warping import smoothness, warp

H, W = 5, 8


def slow_warp(image: list, flow: torch.Tensor, channel: int) -> list:
    """Warp one channel, pixel by pixel, from the definition."""
    result = []
    for y in range(H):
        row = []
        for x in range(W):
            u = min(max(x + float(flow[0, y, x]), 0.0), W - 1.0)
            v = min(max(y + float(flow[1, y, x]), 0.0), H - 1.0)
            x0, y0 = math.floor(u), math.floor(v)
            x1, y1 = min(x0 + 1, W - 1), min(y0 + 1, H - 1)
            a, b = u - x0, v - y0
            value = (1 - a) * (1 - b) * image[channel][y0][x0] + a * (1 - b) * image[channel][y0][
                x1
            ]
            value += (1 - a) * b * image[channel][y1][x0] + a * b * image[channel][y1][x1]
            row.append(value)
        result.append(row)
    return result


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(2, 3, H, W, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def random_flow(scale: float, seed: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return scale * (2 * torch.rand(2, 2, H, W, generator=generator, dtype=torch.float64) - 1)


@pytest.mark.parametrize("scale", [0.3, 1.0, 20.0])
def test_warp_agrees_with_the_definition(images, scale):
    flow = random_flow(scale)
    expected = torch.tensor(
        [[slow_warp(images[n].tolist(), flow[n], c) for c in range(3)] for n in range(2)],
        dtype=torch.float64,
    )
    torch.testing.assert_close(warp(images, flow), expected, atol=1e-14, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_zero_flow_is_the_identity_bit_for_bit(images, dtype):
    images = images.to(dtype)
    assert torch.equal(warp(images, images.new_zeros(2, 2, H, W)), images)


def test_first_channel_moves_along_columns_and_second_along_rows(images):
    flow = torch.zeros(2, 2, H, W, dtype=torch.float64)
    flow[:, 0] = 2
    right = warp(images, flow)
    assert torch.equal(right[..., : W - 2], images[..., 2:])
    assert torch.equal(right[..., W - 2 :], images[..., W - 1 :].expand(-1, -1, -1, 2))
    down = warp(images, flow.flip(1))
    assert torch.equal(down[..., : H - 2, :], images[..., 2:, :])


def test_half_a_pixel_averages_two_neighbours(images):
    flow = torch.zeros(2, 2, H, W, dtype=torch.float64)
    flow[:, 1] = 0.5
    expected = (images[..., :-1, :] + images[..., 1:, :]) / 2
    torch.testing.assert_close(warp(images, flow)[..., :-1, :], expected)


def test_gradients_are_those_of_finite_differences(images):
    flow = random_flow(1.5).requires_grad_()
    assert torch.autograd.gradcheck(lambda f: warp(images, f), flow)
    assert torch.autograd.gradcheck(smoothness, flow)


@pytest.mark.parametrize("scale", [1.5, 20.0])
def test_gradients_of_both_arguments_at_once_are_those_of_finite_differences(images, scale):
    both = images.requires_grad_(), random_flow(scale).requires_grad_()
    assert torch.autograd.gradcheck(warp, both)


def test_a_flow_that_leaves_the_image_has_no_gradient_and_one_on_its_border_has(images):
    flow = torch.zeros(2, 2, H, W, dtype=torch.float64)
    flow[:, 0, :, 0] = -1.0
    flow[:, 1, -1] = 0.5
    flow.requires_grad_()
    (gradient,) = torch.autograd.grad(warp(images, flow).sum(), flow)
    assert (gradient[:, 0, :, 0] == 0).all()
    assert (gradient[:, 1, -1] == 0).all()
    across = images[..., 0, 1] - images[..., 0, 0]
    still = torch.zeros(2, 2, H, W, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(warp(images, still).sum(), still)
    torch.testing.assert_close(gradient[:, 0, 0, 0], across.sum(1))


def test_tiny_displacements_survive_on_large_images():
    ramp = torch.arange(4096.0)[None, None, None].expand(1, 1, 2, -1)
    flow = torch.zeros(1, 2, 2, 4096)
    flow[:, 0] = 1e-5
    moved = warp(ramp - 4000, flow)[0, 0, 0, 4000]
    assert moved.item() == pytest.approx(1e-5, rel=1e-3)


def test_flow_of_another_size_is_rejected(images):
    with pytest.raises(ValueError, match=r"\(2, 2, 5, 8\).*got \(2, 2, 8, 5\)"):
        warp(images, torch.zeros(2, 2, W, H))


def test_smoothness_counts_every_pair_twice():
    flow = torch.zeros(1, 2, 2, 3, dtype=torch.float64)
    flow[0, 0, 0, 0], flow[0, 1, 0, 0] = 3.0, 4.0
    # 7 pairs of neighbours; the first pixel differs from 2 of them by a vector of length 5.
    expected = 2 * (2 * math.sqrt(25 + 1e-8) + 5 * math.sqrt(1e-8))
    assert smoothness(flow).item() == pytest.approx(expected, rel=1e-12)


def test_smoothness_has_gradient_0_at_constant_flow():
    flow = torch.ones(1, 2, 3, 4, requires_grad=True)
    (gradient,) = torch.autograd.grad(smoothness(flow).sum(), flow)
    assert torch.equal(gradient, torch.zeros_like(gradient))
