"""SSTA and stAdv on hand-computed cases, and what their loop promises."""

from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from project.attacks import (
    SSTA,
    AdversarialSplit,
    ChromaShift,
    CrossEntropy,
    StAdv,
    TwoStage,
)
from project.attacks.flow.active_set import ActiveSet
from project.attacks.flow.masks import lifted, softened
from project.attacks.flow.solvers.lbfgs import LBFGS
from project.attacks.flow.ssta import PROFILES
from project.attacks.gradient.objectives.objective import Step
from project.images.warping import smoothness, warp
from project.metrics.flows import flow_facts
from project.saliency.provider import Saliency
from tests.models import CurvedClassifier, CurvedSegmenter, eight_bit_images, predicted


class RampVictim(nn.Module):
    """Class 0 while the mean over columns 2 to 5 of a horizontal ramp is below a threshold."""

    num_classes = 2

    def __init__(self, threshold: float) -> None:
        super().__init__()
        self.threshold = threshold

    def forward(self, images: Tensor) -> Tensor:
        lead = self.threshold - images[..., 2:6].mean((1, 2, 3))
        return torch.stack([lead, -lead], 1)


STEEPNESS = 20 / 255


def ramp(count: int = 1) -> Tensor:
    """Return images whose columns are 0, 20, 40 … 180 of 255: a flow of 1 px right adds 20."""
    return (torch.arange(10) * 20).float().div(255).expand(count, 3, 6, 10).clone()


def everywhere(images: Tensor) -> Tensor:
    return torch.ones(len(images), 1, *images.shape[2:])


def test_flow_goes_to_its_bound_where_that_is_the_optimum():
    images, target = ramp(), torch.zeros(1, dtype=torch.int64)
    attack = SSTA(everywhere, steps=80, step_size=0.05)
    result = attack.run(RampVictim(threshold=1.0), images, target)
    # 80 steps reach the fourth stage at the end of which ξ is 0.5 + 3 · 0.125; all moves right.
    bound = PROFILES["paper"].bound(79)
    flow = result.perturbation[0]
    torch.testing.assert_close(flow[0, :, 2:6], torch.full((6, 4), bound))
    assert torch.equal(flow[1], torch.zeros(6, 10))
    moved = result.float_images[0, 0, 0, 2:6] - images[0, 0, 0, 2:6]
    torch.testing.assert_close(moved, torch.full((4,), bound * STEEPNESS))


def test_image_stops_at_its_first_success():
    # Mean of columns 2–5 is 3.5 slopes; being fooled takes a shift of 0.2 px.
    victim = RampVictim(threshold=3.7 * STEEPNESS)
    images, target = ramp(), torch.zeros(1, dtype=torch.int64)
    result = SSTA(everywhere, step_size=0.01).run(victim, images, target)
    assert bool(result.success)
    # Adam moves by its rate while the gradient keeps its sign; rounding may ask for a little more.
    assert 20 <= int(result.steps) <= 24
    assert float(result.facts["flow_max"]) == pytest.approx(0.01 * int(result.steps), rel=0.01)


def test_success_is_judged_after_rounding():
    # A shift of 0.01 px fools in float; in 8 bits nothing has changed until 0.025 px.
    victim = RampVictim(threshold=3.501 * STEEPNESS)
    images, target = ramp(), torch.zeros(1, dtype=torch.int64)
    result = SSTA(everywhere, step_size=0.005).run(victim, images, target)
    assert bool(result.success)
    assert bool(predicted(victim, result.images) != target)
    assert float(result.facts["flow_max"]) >= 0.024


def test_image_already_wrong_is_returned_unchanged_after_0_steps():
    victim = RampVictim(threshold=0.0)
    images = ramp()
    for attack in (SSTA(everywhere), StAdv(steps=3)):
        result = attack.run(victim, images, torch.zeros(1, dtype=torch.int64))
        assert torch.equal(result.images, images)
        assert int(result.steps) == 0
        assert bool(result.success)


def scene(count: int = 5) -> tuple[nn.Module, Tensor, Tensor]:
    victim, images = CurvedClassifier(), eight_bit_images(count)
    return victim.eval(), images, predicted(victim, images)


def blob(images: Tensor) -> Tensor:
    """Return a smooth map that falls from 1 in the middle to 0 at the border."""
    rows = 1 - torch.linspace(-1, 1, images.shape[2]).abs()
    columns = 1 - torch.linspace(-1, 1, images.shape[3]).abs()
    return (rows[:, None] * columns).expand(len(images), 1, -1, -1).clone()


@pytest.mark.parametrize("profile", ["paper", "repaired"])
def test_pixels_outside_the_mask_are_identical(profile):
    victim, images, target = scene()
    result = SSTA(blob, profile, steps=60).run(victim, images, target)
    outside = (result.mask == 0).expand_as(images)
    assert outside.any()
    assert torch.equal(result.images[outside], images[outside])
    composite = result.mask * warp(images, result.perturbation) + (1 - result.mask) * images
    assert torch.equal(result.float_images, composite)


@pytest.mark.parametrize("profile", ["paper", "repaired"])
def test_mask_grows_and_budget_never_falls(profile):
    attack = SSTA(blob, profile)
    maps = lifted(blob(eight_bit_images(1)), 0.05)
    masks = [attack.region(step, maps) for step in range(250)]
    bounds = [attack.bound(step) for step in range(250)]
    assert all((later >= earlier).all() for earlier, later in pairwise(masks))
    assert masks[-1].sum() > masks[0].sum()
    assert bounds == sorted(bounds)


def test_profiles_follow_their_tables():
    paper, released, repaired = (PROFILES[name] for name in ("paper", "released", "repaired"))
    assert [paper.threshold(step) for step in (0, 19, 20, 249)] == [250, 250, 240, 130]
    assert [paper.bound(step) for step in (0, 19, 20, 240, 1000)] == [0.5, 0.5, 0.625, 2.0, 2.0]
    assert [released.threshold(step) for step in (0, 20, 249)] == [180, 180, 180]
    assert [repaired.threshold(step) for step in (0, 20, 249)] == [170, 160, 50]
    assert [repaired.bound(step) for step in (0, 249)] == [1.0, 1.0]
    assert (paper.decoupled, released.decoupled, repaired.decoupled) == (True, False, False)


def test_flow_is_within_its_budget_at_every_step(monkeypatch):
    seen = []
    descend = SSTA._descend

    def watched(self: SSTA, active: ActiveSet, step: Step, *found: object) -> None:
        descend(self, active, step, *found)
        largest = float(active.solver.point.detach().abs().max())
        seen.append((largest, self.bound(step.number - 1)))

    monkeypatch.setattr(SSTA, "_descend", watched)
    victim, images, target = scene()
    SSTA(everywhere, steps=50, step_size=0.1, early_stop=False).run(victim, images, target)
    assert len(seen) == 50
    assert all(size <= bound for size, bound in seen)
    assert any(size == bound for size, bound in seen)


def test_images_that_are_done_leave_the_batch(monkeypatch):
    victim, images, target = scene(6)
    sizes = []
    forward = victim.forward

    def counted(batch: Tensor) -> Tensor:
        sizes.append((len(batch), torch.is_grad_enabled()))
        return forward(batch)

    monkeypatch.setattr(victim, "forward", counted)
    result = SSTA(everywhere, "repaired", step_size=0.05).run(victim, images, target)
    searched = [size for size, with_gradient in sizes if with_gradient]
    assert result.success.any()
    # Each image takes part in one forward pass per step, and in the one that frees it.
    assert sum(searched) == int((result.steps + 1).sum())


def test_smoothest_success_is_kept():
    victim, images, target = scene()
    settings = {"steps": 60, "step_size": 0.3, "smoothness": 0.01}
    first = StAdv(**settings, early_stop=True).run(victim, images, target)
    best = StAdv(**settings).run(victim, images, target)
    both = first.success & best.success
    assert both.any()
    assert (smoothness(best.perturbation) <= smoothness(first.perturbation))[both].all()
    assert (smoothness(best.perturbation) < smoothness(first.perturbation))[both].any()


def test_unsmooth_flow_without_weight_and_mask_is_what_ssta_finds():
    victim, images, target = scene()
    plain = StAdv(0.0, "fast", steps=30, step_size=0.01)
    salient = SSTA(everywhere, "repaired", steps=30, step_size=0.01)
    found = plain.run(victim, images, target)
    assert torch.equal(found.images, salient.run(victim, images, target).images)
    assert not torch.equal(found.images, images)


@pytest.mark.parametrize(
    "attack",
    [
        SSTA(everywhere, "repaired", step_size=0.05, targeted=True),
        SSTA(everywhere, step_size=0.05, targeted=True),
        StAdv(1e-4, targeted=True),
        StAdv(1e-4, "fast", targeted=True),
        ChromaShift(preset="fast", targeted=True),
    ],
    ids=["repaired", "paper", "lbfgs", "adam", "chroma"],
)
def test_targeted_attack_ends_at_the_target(attack):
    victim, images, target = scene()
    wanted = (target + 1) % 4
    result = attack.run(victim, images, wanted)
    assert result.success.any()
    assert torch.equal(result.success, predicted(victim, result.images) == wanted)


def test_soft_edge_is_1_deep_inside_and_fades_to_0_at_the_border():
    mask = torch.zeros(1, 1, 40, 40)
    mask[..., 10:30] = 1
    soft = softened(mask, 2.0)
    row = soft[0, 0, 20]
    # 2 Φ(x / σ) − 1 at a distance of x from a straight border, which lies between two pixels.
    distance = torch.arange(10) + 0.5
    expected = torch.erf(distance / (2 * 2**0.5))
    torch.testing.assert_close(row[10:20], expected, atol=0.02, rtol=0)
    torch.testing.assert_close(row, row.flip(0), atol=1e-6, rtol=0)
    assert torch.equal(soft == 0, mask == 0)


def test_soft_masks_only_grow_where_masks_grow():
    maps = blob(eight_bit_images(1, 80, 80))
    attack = SSTA(blob, "repaired", edge=1.5)
    masks = [attack.region(step, maps) for step in range(0, 250, 20)]
    assert all((later >= earlier - 1e-6).all() for earlier, later in pairwise(masks))
    assert masks[-1].sum() > masks[0].sum()


def test_mask_without_an_inside_keeps_its_hard_edge():
    mask = torch.zeros(1, 1, 20, 20)
    mask[..., 10] = 1
    assert torch.equal(softened(mask, 2.0), mask)


def test_flow_fades_out_with_a_soft_edge_and_outside_nothing_changes():
    victim, images, target = scene()
    result = SSTA(blob, edge=1.0, steps=80, step_size=0.05).run(victim, images, target)
    assert ((result.mask > 0) & (result.mask < 1)).any()
    outside = (result.mask == 0).expand_as(images)
    assert torch.equal(result.images[outside], images[outside])
    expected = warp(images, result.perturbation * result.mask)
    assert torch.equal(result.float_images, expected)


def test_smoothness_alone_is_what_lbfgs_leaves_of_a_success():
    victim, images, target = scene()
    first = StAdv(1e-3, early_stop=True).run(victim, images, target)
    best = StAdv(1e-3).run(victim, images, target)
    both = first.success & best.success
    assert both.any()
    assert (smoothness(best.perturbation) <= smoothness(first.perturbation))[both].all()


@pytest.mark.parametrize("objective", [None, CrossEntropy(), AdversarialSplit(), TwoStage()])
def test_flow_inside_a_mask_fools_pixels_of_a_segmenter(objective):
    victim, images = CurvedSegmenter(), eight_bit_images(3)
    target = predicted(victim, images)
    target[:, :, 13:] = 255
    attack = SSTA(blob, "repaired", steps=40, step_size=0.05, objective=objective)
    result = attack.run(victim, images, target)
    assert (result.fooled > 0.05).all()
    outside = (result.mask == 0).expand_as(images)
    assert outside.any()
    assert torch.equal(result.images[outside], images[outside])


def test_without_success_the_iterate_that_fools_most_is_kept(monkeypatch):
    victim, images = CurvedSegmenter(), eight_bit_images(3)
    target = predicted(victim, images)
    attack = SSTA(blob, "repaired", steps=30, step_size=1.0, objective=CrossEntropy())
    shares = []
    look = SSTA._look

    def watched(self: SSTA, *arguments: object) -> object:
        iterate, logits = look(self, *arguments)
        shares.append(iterate.fooled)
        return iterate, logits

    monkeypatch.setattr(SSTA, "_look", watched)
    result = attack.run(victim, images, target)
    seen = torch.stack(shares)
    assert torch.equal(seen.amax(0), seen.gather(0, result.steps[None])[0])
    assert (result.steps < 30).any()


def test_flow_attack_on_a_segmenter_leaves_void_pixels_out_of_the_verdict():
    victim, images = CurvedSegmenter(), eight_bit_images(2)
    target = predicted(victim, images)
    target[:, :, 8:] = 255
    result = SSTA(everywhere, steps=3).run(victim, images, target)
    wrong = (predicted(victim, result.images) != target) & (target != 255)
    share = wrong.flatten(1).sum(1) / (target != 255).flatten(1).sum(1)
    torch.testing.assert_close(result.fooled, share)


def test_small_salient_region_is_filled_up_and_its_own_size_told():
    maps = torch.zeros(1, 1, 10, 10)
    maps[0, 0, 4, 4:6] = torch.tensor([1.0, 0.5])
    maps[0, 0, 5] = torch.linspace(0.01, 0.1, 10)
    raised = lifted(maps, 0.05)
    assert (raised == 1).sum() == 5
    assert (raised[0, 0, 5, 7:] == 1).all()


def test_pixels_without_saliency_stay_out_of_the_mask():
    maps = torch.zeros(1, 1, 10, 10)
    maps[0, 0, 4, 4:6] = 0.3
    assert (lifted(maps, 0.5) == 1).sum() == 2


def test_image_without_salient_pixel_is_attacked_everywhere():
    victim, images, target = scene(1)
    result = SSTA(lambda x: torch.zeros(len(x), 1, 12, 16), steps=2).run(victim, images, target)
    assert result.mask.min() == 1
    assert result.facts["salient_area"].tolist() == [0.0]


@pytest.mark.parametrize(
    ("maps", "message"),
    [
        (lambda x: x[:, :1] * 255, r"must lie in \[0, 1\].*Divide 8-bit maps"),
        (lambda x: x[:, 0], r"must return \(N, 1, H, W\)"),
    ],
)
def test_provider_that_breaks_the_contract_is_told_so(maps, message):
    with pytest.raises(ValueError, match=message):
        SSTA(maps)(*scene(2))


def test_saliency_provider_is_asked_once():
    calls = []

    class Counting(Saliency):
        def __call__(self, images: Tensor) -> Tensor:
            calls.append(len(images))
            return everywhere(images)

    SSTA(Counting(), steps=30).run(*scene())
    assert calls == [5]


def test_ssta_takes_a_smoothness_weight():
    victim, images, target = scene()
    runs = [
        SSTA(everywhere, "repaired", steps=20, smoothness=weight, early_stop=False)
        for weight in (0.0, 1.0)
    ]
    plain, smooth = (attack.run(victim, images, target).perturbation for attack in runs)
    assert not torch.equal(plain, smooth)


class Watching(CrossEntropy):
    """Remembers what it is told, and that clean logits belong to the images still there."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, int, bool, int]] = []

    def __call__(self, step: Step) -> Tensor:
        clean = step.memory.setdefault("clean", step.clean_logits())
        assert torch.equal(clean, step.clean_logits())
        self.seen.append((step.number, step.total, step.targeted, len(clean)))
        return super().__call__(step)


def test_objective_is_told_of_the_images_that_are_left():
    victim, images, target = scene(8)
    objective = Watching()
    attack = SSTA(everywhere, "repaired", steps=40, objective=objective)
    result = attack.run(victim, images, target)
    numbers, totals, targeted, sizes = zip(*objective.seen, strict=True)
    assert numbers == tuple(range(1, len(numbers) + 1))
    assert set(totals) == {40}
    assert set(targeted) == {False}
    assert [int((result.steps >= step).sum()) for step in range(len(sizes))] == list(sizes)
    assert len(set(sizes)) > 2


def test_targeted_objective_is_descended():
    victim, images, target = scene()
    wanted = (target + 1) % 4
    attack = SSTA(everywhere, "repaired", step_size=0.05, objective=CrossEntropy(), targeted=True)
    result = attack.run(victim, images, wanted)
    assert result.success.all()
    assert torch.equal(predicted(victim, result.images), wanted)


@pytest.mark.parametrize(
    "attack",
    [
        SSTA(blob, steps=30, step_size=0.05),
        SSTA(blob, edge=1.0, steps=30, step_size=0.05),
        StAdv(1e-3, steps=20),
        ChromaShift(preset="fast", steps=20),
    ],
    ids=["ssta", "soft", "stadv", "chroma"],
)
def test_threat_model_of_a_result_makes_its_images_of_its_flow(attack):
    victim, images, target = scene()
    result = attack.run(victim, images, target)
    applied = result.threat_model.apply(images, result.perturbation)
    assert torch.equal(applied, result.float_images)
    projected = result.threat_model.project(images, result.perturbation)
    assert torch.equal(projected, result.perturbation)


def test_mask_area_counts_pixels_that_may_move_and_flow_facts_what_moves():
    victim, images, target = scene()
    result = SSTA(blob, edge=1.0, steps=30, step_size=0.05).run(victim, images, target)
    assert ((result.mask > 0) & (result.mask < 1)).any()
    expected = (result.mask > 0).double().mean((1, 2, 3))
    torch.testing.assert_close(result.facts["mask_area"], expected)
    for name, value in flow_facts(result.perturbation * result.mask).items():
        assert torch.equal(result.facts[name], value), name


def test_soft_edge_of_a_mask_does_not_depend_on_other_masks():
    thin, wide = torch.zeros(2, 1, 1, 20, 20)
    thin[..., 10] = 1
    wide[..., 4:16] = 1
    together = softened(torch.cat([thin, wide]), 2.0)
    assert torch.equal(together[:1], softened(thin, 2.0))
    assert torch.equal(together[1:], softened(wide, 2.0))


def test_mask_kept_is_that_of_the_iterate_kept():
    victim, images, target = scene()
    attack = SSTA(blob, "repaired", steps=80, step_size=0.05)
    result = attack.run(victim, images, target)
    maps = lifted(blob(images), attack.min_area)
    steps = result.steps.tolist()
    assert len({step // 20 for step in steps}) > 1
    for place, step in enumerate(steps):
        assert torch.equal(result.mask[place], attack.region(step, maps[place : place + 1])[0])


def test_stadv_presets_are_those_of_its_table():
    def told(attack: StAdv) -> tuple:
        search = attack.search
        rates = (attack.settings.solver, attack.rate)
        return (*rates, search.steps, search.early_stop, search.smoothness)

    assert told(StAdv()) == ("lbfgs", 1.0, 200, False, 0.05)
    assert told(StAdv(preset="fast")) == ("adam", 0.1, 60, True, 0.05)
    mixed = StAdv(preset="fast", solver="lbfgs", steps=7, early_stop=False)
    assert told(mixed) == ("lbfgs", 1.0, 7, False, 0.05)
    assert StAdv(solver="adam", step_size=0.3).rate == 0.3


def test_images_whose_search_has_come_to_rest_leave(monkeypatch):
    victim, images, target = scene(4)
    sizes = []
    forward = victim.forward

    def counted(batch: Tensor) -> Tensor:
        sizes.append((len(batch), torch.is_grad_enabled()))
        return forward(batch)

    monkeypatch.setattr(victim, "forward", counted)
    # So much weight on smoothness leaves a minimum next to zero flow, found after a few steps.
    StAdv(10.0, steps=200).run(victim, images, target)
    searched = [size for size, with_gradient in sizes if with_gradient]
    assert sum(searched) < 4 * 100
    assert len(set(searched)) > 2


def test_soft_edge_opens_no_pixel_that_is_outside_of_the_mask():
    mask = torch.ones(1, 1, 20, 20)
    mask[..., 10, 10] = 0  # its neighbours' blur is far above one half there
    soft = softened(mask, 2.0)
    assert soft[..., 10, 10] == 0
    assert soft[..., 10, 9] > 0.5


def test_first_loss_is_the_mean_margin_of_valid_pixels_and_the_weighted_smoothness(monkeypatch):
    victim, images = CurvedSegmenter(), eight_bit_images(2)
    target = predicted(victim, images)
    target[0, :, 4:] = 255
    told = []
    tell = LBFGS.tell

    def watched(self: LBFGS, losses: Tensor, gradient: Tensor) -> None:
        told.append(losses)
        tell(self, losses, gradient)

    monkeypatch.setattr(LBFGS, "tell", watched)
    StAdv(0.05, steps=1).run(victim, images, target)
    logits = victim(images).detach()
    valid = target != 255
    best, second = logits.topk(2, 1).values.unbind(1)
    lead = torch.stack([(best - second)[k][valid[k]].mean() for k in range(2)])
    expected = lead + 0.05 * smoothness(torch.zeros(2, 2, 12, 16))
    torch.testing.assert_close(told[0], expected)
