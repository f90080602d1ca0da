"""What a flow attack tells of its result."""

import pytest
import torch
from torch import nn

from project.attacks import PGD, SSTA, StAdv
from project.attacks.flow.masks import lifted
from project.attacks.flow.ssta import PROFILES
from project.images.warping import smoothness
from tests.models import CurvedClassifier, eight_bit_images, predicted


class Unmoved(nn.Module):
    """Right by a wide margin, and yet with a gradient: no attack succeeds."""

    num_classes = 2

    def forward(self, images):
        lead = 100 + (images.flatten(1) ** 2).sum(1)
        return torch.stack([lead, -lead], 1)


def corner(images):
    maps = torch.zeros(len(images), 1, *images.shape[2:])
    maps[:, :, :6, :8] = 1
    return maps


def test_failing_image_spends_exactly_its_steps():
    images, target = eight_bit_images(2), torch.zeros(2, dtype=torch.int64)
    for attack in (SSTA(corner, steps=7), StAdv(steps=7)):
        result = attack.run(Unmoved(), images, target)
        assert result.steps.tolist() == [7, 7]
        assert not result.success.any()
    # Adam's first step moves each pixel by the rate: 7 steps cannot be 8.
    result = SSTA(corner, "repaired", steps=1, step_size=0.05).run(Unmoved(), images, target)
    expected = torch.full((2,), 0.05, dtype=torch.float64)
    torch.testing.assert_close(result.facts["flow_max"], expected, rtol=1e-3, atol=0)


def test_facts_are_measured_on_the_flow_inside_the_mask():
    victim, images = CurvedClassifier().eval(), eight_bit_images(3)
    result = SSTA(corner, steps=30, step_size=0.05).run(victim, images, predicted(victim, images))
    flow = result.perturbation
    assert (flow.masked_select(result.mask == 0) == 0).all()
    length = (flow[:, 0] ** 2 + flow[:, 1] ** 2).sqrt()
    torch.testing.assert_close(result.facts["flow_mean"].float(), length.mean((1, 2)))
    assert torch.equal(result.facts["flow_max"], flow.abs().amax((1, 2, 3)))
    assert result.facts["mask_area"].tolist() == [0.25] * 3


def test_pixel_whose_saliency_equals_the_threshold_is_in_the_mask():
    attack = SSTA(profile="repaired")
    maps = (torch.arange(256.0) / 255).view(1, 1, 16, 16)
    for step, level in ((0, 170), (20, 160), (249, 50)):
        assert int(attack.region(step, maps).sum()) == 256 - level


def test_min_area_reaches_the_mask():
    victim, images = CurvedClassifier().eval(), eight_bit_images(2)
    ramp = lambda x: torch.linspace(0, 0.3, 192).view(1, 1, 12, 16).expand(len(x), -1, -1, -1)  # noqa: E731
    for share, pixels in ((0.25, 48), (0.5, 96)):
        attack = SSTA(ramp, steps=1, min_area=share)
        result = attack.run(victim, images, predicted(victim, images))
        assert result.facts["mask_area"].tolist() == [pixels / 192] * 2
        assert result.facts["salient_area"].tolist() == [0.0] * 2


def test_result_holds_no_flow_where_nothing_may_change():
    assert PROFILES["paper"].threshold(10_000) == 0
    assert torch.equal(lifted(torch.zeros(1, 1, 4, 5), 0.1), torch.ones(1, 1, 4, 5))


def test_victim_is_given_back_after_an_error():
    victim, images = CurvedClassifier().train(), eight_bit_images(2)
    flags = [module.training for module in victim.modules()]
    with pytest.raises(ValueError, match="must return logits"):
        PGD()(victim, images, torch.zeros(2, 12, 16, dtype=torch.int64))
    assert [module.training for module in victim.modules()] == flags
    assert all(parameter.requires_grad for parameter in victim.parameters())


def test_default_weight_of_stadv_is_the_papers_at_32_pixels_a_side_and_falls_with_the_area():
    flow = lambda height, width: torch.zeros(1, 2, height, width)  # noqa: E731
    search = StAdv().search
    assert search.weight(flow(32, 32)) == StAdv(preset="paper").search.weight(flow(32, 32)) == 0.05
    assert search.weight(flow(224, 224)) == pytest.approx(0.05 / 49)
    assert search.weight(flow(64, 128)) == pytest.approx(0.05 / 8)
    for fixed in (StAdv(preset="paper"), StAdv(preset="fast"), StAdv(0.05)):
        assert fixed.search.weight(flow(224, 224)) == 0.05


def test_weight_by_area_trades_alike_on_an_enlarged_flow():
    x, y = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="xy")

    def of(side: int) -> float:
        grid = torch.nn.functional.interpolate(torch.stack([x, y])[None], side, mode="bilinear")
        flow = side / 64 * torch.sin(grid / 9)  # as long, in parts of the image, at every size
        return StAdv().search.weight(flow) * float(smoothness(flow))

    assert of(64) == pytest.approx(of(256), rel=0.02)
    assert of(64) == pytest.approx(of(128), rel=0.02)


def test_default_stadv_is_the_papers_loss_with_the_weight_of_its_size():
    victim, images = CurvedClassifier().eval(), eight_bit_images(2)
    target = predicted(victim, images)
    found = StAdv(steps=20).run(victim, images, target)
    same = StAdv(0.05 * 32**2 / (12 * 16), "paper", steps=20).run(victim, images, target)
    assert torch.equal(found.float_images, same.float_images)
