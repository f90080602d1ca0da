"""FlowPGD climbs inside its budget of pixels, as the formula says, and inside a growing mask."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from project.attacks import SSTA, BlockShuffle, FlowPGD, Momentum
from project.attacks.flow.growing import Growing
from project.attacks.flow.ssta import PAPER_AREA, PROFILES
from project.core.errors import InputError
from project.core.randomness import Draws
from project.images.warping import smoothness
from project.threat_models import Flow
from tests.models import CurvedClassifier, eight_bit_images, predicted


def sampled(images: Tensor, flow: Tensor) -> Tensor:
    """Sample bilinearly with torch's own routine, another one than the package's."""
    height, width = images.shape[2:]
    rows, columns = torch.meshgrid(
        torch.arange(height, dtype=flow.dtype), torch.arange(width, dtype=flow.dtype), indexing="ij"
    )
    across = (columns + flow[:, 0]) * 2 / (width - 1) - 1
    down = (rows + flow[:, 1]) * 2 / (height - 1) - 1
    grid = torch.stack([across, down], -1)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=True)


def climbed(victim, images: Tensor, target: Tensor, start: Tensor, budget: float) -> Tensor:
    """Return the flows of six steps of momentum's sign ascent, from the formula."""
    flow, memory = start, torch.zeros_like(start)
    for _ in range(6):
        point = flow.clone().requires_grad_()
        loss = F.cross_entropy(victim(sampled(images, point)), target, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, point)
        memory = memory + gradient / gradient.abs().mean((1, 2, 3), keepdim=True)
        flow = (flow + 0.15 * memory.sign()).clamp(-budget, budget)
    return flow


def test_flow_follows_the_formula():
    """From a random start: on whole pixels, slopes are one-sided, and routines differ in which."""
    victim = CurvedClassifier().eval().double()
    images, index = eight_bit_images(3).double(), torch.arange(3)
    target = predicted(victim, images)
    attack = FlowPGD(0.4, step_size=0.15, steps=6, random_start=True)
    start = Flow(0.4).noise(images, index, *Draws(index, 0, "FlowPGD").key, "start")
    found = attack.run(victim, images, target).perturbation
    expected = climbed(victim, images, target, start, 0.4)
    assert not torch.allclose(found, start, atol=0.1)
    inner = (..., slice(1, -1), slice(1, -1))  # on the border, clamping has two slopes as well
    torch.testing.assert_close(found[inner], expected[inner], atol=1e-9, rtol=0)


def test_default_step_is_two_and_a_half_budgets_over_the_run():
    images = eight_bit_images(2)
    victim = CurvedClassifier().eval()
    target = predicted(victim, images)
    same = FlowPGD(0.6, step_size=0.15, steps=10)
    assert torch.equal(FlowPGD(0.6)(victim, images, target), same(victim, images, target))


def test_ascent_raises_the_loss_as_its_slope_says():
    """The loss's slope along the direction is the gradient's L1 norm, by finite differences."""
    victim = CurvedClassifier().eval().double()
    images, space = eight_bit_images(4).double(), Flow(1.0)
    target = predicted(victim, images)

    def losses(flow: Tensor) -> Tensor:
        return F.cross_entropy(victim(space.apply(images, flow)), target, reduction="none")

    flow = space.noise(images, torch.arange(4), 0).requires_grad_()
    (gradient,) = torch.autograd.grad(losses(flow).sum(), flow)
    direction, flow = space.ascent(gradient), flow.detach()
    slope = (losses(flow + 1e-7 * direction) - losses(flow - 1e-7 * direction)) / 2e-7
    torch.testing.assert_close(slope, gradient.abs().sum((1, 2, 3)), rtol=1e-4, atol=1e-9)


def test_smoothed_steps_keep_the_budget_and_move_neighbours_alike():
    victim, images = CurvedClassifier().eval(), eight_bit_images(3)
    target = predicted(victim, images)
    rough, smooth = (
        FlowPGD(1.0, steps=8, smooth=sigma).run(victim, images, target).perturbation
        for sigma in (0.0, 2.0)
    )
    assert smooth.abs().amax() <= 1.0
    assert (smooth.abs().amax((1, 2, 3)) > 0.5).all()  # the budget is used
    ratio = smoothness(smooth) / smooth.abs().mean((1, 2, 3))
    assert (ratio < 0.5 * smoothness(rough) / rough.abs().mean((1, 2, 3))).all()


def test_random_start_of_a_smooth_flow_is_smooth_and_of_the_budget():
    start = Flow(0.5, smooth=2.0).noise(eight_bit_images(2), torch.tensor([3, 8]), "start")
    torch.testing.assert_close(start.abs().amax((1, 2, 3)), torch.tensor([0.5, 0.5]))
    alone = Flow(0.5, smooth=2.0).noise(eight_bit_images(1), torch.tensor([8]), "start")
    assert torch.equal(start[1:], alone)
    assert (smoothness(start) < 0.5 * smoothness(Flow(0.5).noise(start, torch.arange(2)))).all()


def stripes(images: Tensor) -> Tensor:
    """Saliency rising from left to right in eight stripes, from 0 to 1."""
    place = torch.arange(images.shape[3]) * 8 // images.shape[3] / 7
    return place.expand(len(images), 1, *images.shape[2:]).to(images)


def test_flow_stays_inside_a_mask_that_grows():
    victim, images = CurvedClassifier().eval(), eight_bit_images(3)
    target = predicted(victim, images)
    attack = FlowPGD(1.0, steps=10, saliency=stripes, min_area=0.0)
    found = attack.run(victim, images, target)
    inside = stripes(images) >= 130 / 255
    outside = ~inside.expand_as(images)
    assert torch.equal(found.images[outside], images[outside])
    assert torch.equal(found.mask, inside.to(images))
    moved = found.perturbation.abs().amax((0, 1, 2))
    places = stripes(images)[0, 0, 0]
    assert (moved[places < 130 / 255] == 0).all()
    first, last = moved[places >= 250 / 255].amax(), moved[places < 150 / 255].amax()
    assert first == 1.0
    assert last < first  # who joins late has had fewer steps


def test_mask_and_budget_rise_as_in_the_paper_over_any_number_of_steps():
    maps = torch.linspace(0, 1, 256)[None, None, None]
    for steps in (13, 50, 250):
        space = FlowPGD(2.0, steps=steps)._inside(maps)
        assert isinstance(space, Growing)
        for step in range(steps):
            near = [round(250 * (step + slack) / steps) for slack in (-1.0, 0, 1.0)]
            paper = [PROFILES["paper"].threshold(min(249, max(0, place))) for place in near]
            assert paper[2] <= 255 * space.threshold(step) + 1e-6
            assert 255 * space.threshold(step) <= paper[0] + 1e-6
            bounds = [PROFILES["paper"].bound(min(249, max(0, place))) for place in near]
            assert bounds[0] <= space.bound(step) + 1e-6
            assert space.bound(step) <= bounds[2] + 1e-6
        assert space.threshold(steps - 1) == 130 / 255
        assert space.bound(steps - 1) == 2.0


def test_early_stop_gives_each_image_its_own_mask():
    victim, images = CurvedClassifier().eval(), eight_bit_images(6)
    target = predicted(victim, images)
    attack = FlowPGD(1.0, steps=8, saliency=stripes, early_stop=True)
    together = attack.run(victim, images, target)
    for place in range(6):
        index = torch.tensor([place])
        alone = attack.run(victim, images[index], target[index], index)
        assert torch.equal(alone.images, together.images[index])
        assert alone.steps == together.steps[place]
    assert together.steps.unique().numel() > 1


def test_bad_settings_are_refused():
    with pytest.raises(InputError, match="max_shift must be a finite number"):
        FlowPGD(float("inf"))
    with pytest.raises(InputError, match="min_area must lie in"):
        FlowPGD(min_area=2.0)
    with pytest.raises(InputError, match="smooth must"):
        FlowPGD(smooth=-1.0)
    with pytest.raises(InputError, match="budget must be greater than 0"):
        FlowPGD(0.0)


def test_scaled_attack_has_the_smaller_budget():
    shorter = FlowPGD(0.5, step_size=0.1, rules=[Momentum(0.5)]).scaled(0.5)
    assert (shorter.max_shift, shorter.step_size) == (0.25, 0.05)


def test_ssta_that_transfers_is_flow_pgd_with_views_in_its_mask():
    victim, images = CurvedClassifier().eval(), eight_bit_images(3)
    target = predicted(victim, images)
    found = SSTA(stripes, profile="transfer", max_shift=0.5).run(victim, images, target)
    views = [BlockShuffle(rotation=24.0)]
    same = FlowPGD(0.5, saliency=stripes, min_area=PAPER_AREA, transforms=views)
    assert torch.equal(found.images, same(victim, images, target))
    assert found.facts["flow_max"].amax() == 0.5
    assert set(found.steps.tolist()) == {10}
    assert "salient_area_180" in found.facts  # by which the paper's success rate is told
    assert SSTA(profile="transfer", steps=20).traits()["steps"] == 20


@pytest.mark.parametrize("more", [{"edge": 1.0}, {"smoothness": 0.1}])
def test_ssta_that_transfers_has_a_hard_mask_and_no_smoothness(more):
    with pytest.raises(InputError, match="hard mask, without edge or smoothness"):
        SSTA(profile="transfer", **more)


def test_a_given_budget_scales_the_whole_schedule_of_ssta():
    schedule, paper = SSTA(max_shift=0.5).schedule, PROFILES["paper"]
    for step in (0, 20, 100, 249):
        assert schedule.bound(step) == pytest.approx(paper.bound(step) / 4)
        assert schedule.threshold(step) == paper.threshold(step)
    with pytest.raises(InputError, match="max_shift must be greater than 0"):
        SSTA(max_shift=0.0)
