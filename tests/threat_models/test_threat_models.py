"""Threat models: projection, ascent, size, 8-bit rounding, masks."""

import pytest
import torch

from project.images.eight_bit import to_8bit
from project.images.warping import warp
from project.threat_models import L2, Flow, Linf, Masked, norm_ball
from tests.models import eight_bit_images

BALLS = {"linf": Linf(8 / 255), "linf_narrow": Linf(0.03), "l2": L2(1.0), "l2_small": L2(0.02)}
every_ball = pytest.mark.parametrize("name", BALLS)


@pytest.fixture
def images():
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (3, 3, 6, 9), generator=generator).float() / 255


@pytest.fixture
def noise():
    return torch.randn(3, 3, 6, 9, generator=torch.Generator().manual_seed(1))


@every_ball
def test_projection_lies_in_the_ball_and_in_the_range(images, noise, name):
    ball = BALLS[name]
    projected = ball.project(images, noise)
    assert (ball.size(projected) <= ball.eps * (1 + 1e-5)).all()
    assert ((images + projected >= 0) & (images + projected <= 1)).all()
    torch.testing.assert_close(ball.project(images, projected), projected)


@every_ball
def test_rounded_image_stays_in_the_ball(images, noise, name):
    ball = BALLS[name]
    adversarial = ball.apply(images, ball.project(images, noise))
    rounded = ball.round(images, adversarial)
    assert torch.equal(rounded, to_8bit(rounded))
    assert (ball.size(rounded.double() - images.double()) <= ball.eps + 1e-6).all()


def test_rounding_keeps_what_is_on_the_lattice_and_in_the_ball(images):
    shifted = (images + 8 / 255).clamp(0, 1)
    assert torch.equal(Linf(8 / 255).round(images, shifted), to_8bit(shifted))


def test_ball_narrower_than_half_a_level_keeps_the_clean_image(images):
    ball = Linf(0.4 / 255)
    off_lattice = (images + 0.5 / 255).clamp(0, 1)
    assert torch.equal(ball.round(images, images + 0.4 / 255), images)
    assert ball.round(off_lattice, off_lattice).isfinite().all()


def test_l2_rounding_loses_little_where_there_is_room(images, noise):
    ball = L2(2.0)
    adversarial = ball.apply(images, ball.project(images, noise))
    kept = ball.size(ball.round(images, adversarial) - images)
    assert (kept > 0.98 * ball.size(adversarial - images)).all()


@every_ball
def test_ascent_is_the_best_direction_of_unit_size(noise, name):
    ball = BALLS[name]
    best = ball.ascent(noise)
    torch.testing.assert_close(ball.size(best), torch.ones(3))
    gain = (best * noise).flatten(1).sum(1)
    for seed in range(2, 22):
        other = torch.randn(noise.shape, generator=torch.Generator().manual_seed(seed))
        other = other / ball.size(other).view(-1, 1, 1, 1)
        assert (gain >= (other * noise).flatten(1).sum(1)).all()


@every_ball
def test_random_start_fills_the_ball_and_belongs_to_the_sample(name):
    ball, images = BALLS[name], eight_bit_images(3, 6, 9)
    index = torch.tensor([4, 9, 2])
    start = ball.random(images, index, 0, "test")
    assert (ball.size(start) <= ball.eps * (1 + 1e-5)).all()
    assert (ball.size(start) > 0.9 * ball.eps).all()
    again = ball.random(images[1:2], index[1:2], 0, "test")
    assert torch.equal(again, start[1:2])
    assert not torch.equal(ball.random(images, index, 1, "test"), start)


def test_size_is_per_image():
    noise = torch.zeros(2, 3, 2, 2)
    noise[0, 0, 0, 0], noise[0, 1, 0, 0] = 3, -4
    assert Linf(1).size(noise).tolist() == [4, 0]
    assert L2(1).size(noise).tolist() == [5, 0]


def test_flow_applies_the_warp_and_clips_every_displacement(images):
    flow = torch.linspace(-2, 2, 3 * 2 * 6 * 9).view(3, 2, 6, 9)
    threat = Flow(0.5)
    projected = threat.project(images, flow)
    assert projected.abs().max() == 0.5
    assert torch.equal(threat.apply(images, projected), warp(images, projected))
    assert threat.zeros(images).shape == (3, 2, 6, 9)


def test_flow_inside_a_mask_is_the_composite_bit_for_bit(images):
    flow = torch.randn(3, 2, 6, 9, generator=torch.Generator().manual_seed(2))
    mask = (torch.rand(3, 1, 6, 9, generator=torch.Generator().manual_seed(3)) > 0.5).float()
    masked = Masked(Flow(), mask).apply(images, flow)
    composite = mask * warp(images, flow) + (1 - mask) * images
    assert torch.equal(masked, composite)


@pytest.mark.parametrize("inner", [Linf(8 / 255), L2(1.0), Flow(2.0)], ids=["linf", "l2", "flow"])
def test_pixels_outside_a_mask_never_change(images, inner):
    mask = torch.zeros(3, 1, 6, 9)
    mask[:, :, 2:4, 3:7] = 1
    threat = Masked(inner, mask)
    perturbation = threat.project(images, threat.random(images, torch.arange(3), "key"))
    rounded = threat.round(images, threat.apply(images, perturbation))
    outside = (mask == 0).expand_as(images)
    assert torch.equal(rounded[outside], images[outside])
    assert not torch.equal(rounded, images)


def test_budget_in_grey_levels_is_refused():
    with pytest.raises(ValueError, match=r"part of the range \[0, 1\], got 8\. .* give 8/255"):
        Linf(8)


@pytest.mark.parametrize("eps", [0.0, -1.0, float("nan")])
def test_budget_that_is_not_positive_is_rejected(eps):
    with pytest.raises(ValueError, match=r"must be (greater than 0|a finite number)"):
        Linf(eps)


def test_unknown_norm_is_named():
    with pytest.raises(ValueError, match="norm must be one of linf, l2, got 'l1'"):
        norm_ball("l1", 1.0)  # type: ignore[arg-type]
