"""Auto-PGD: its schedule, its decisions image by image, and a slow reference of its algorithm."""

import math

import pytest
import torch
from torch import Tensor, nn

from project.attacks import (
    APGD,
    DLR,
    PGD,
    AdversarialSplit,
    CrossEntropy,
    FeatureSimilarity,
    GradientRule,
    MaskedCrossEntropy,
    MaskedNormalisedLogit,
    Momentum,
    TwoStage,
)
from project.attacks.gradient.objectives.objective import Step
from project.attacks.noise.apgd import StepSizes, checkpoints
from project.core.errors import InputError
from tests.models import CurvedClassifier, CurvedSegmenter, eight_bit_images, predicted


def test_checkpoints_of_100_steps_are_the_published_ones():
    assert checkpoints(100) == [22, 41, 57, 70, 80, 87, 93, 99]


@pytest.mark.parametrize("steps", [1, 2, 5, 10, 13, 20, 33, 50, 90, 120, 300, 1000])
def test_checkpoints_are_those_of_the_released_arithmetic(steps):
    period, reached, found = max(int(0.22 * steps), 1), 0, []
    for number in range(1, steps + 1):
        reached += 1
        if reached == period:
            found.append(number)
            period = max(period - max(int(0.03 * steps), 1), int(0.06 * steps), 1)
            reached = 0
    assert checkpoints(steps) == found


def told(rows: list[list[float]], rho: float = 0.75) -> tuple[StepSizes, list[list[bool]]]:
    """Feed values, a list for the start and for each of 10 steps; checkpoints are 2, 3, …, 10."""
    values = torch.tensor(rows, dtype=torch.float64)
    sizes = StepSizes(1.0, values[0], 10, rho)
    halved = [
        sizes.update(number, values[number], values[: number + 1].amax(0)).tolist()
        for number in range(1, len(rows))
    ]
    return sizes, halved


def test_step_that_always_rises_is_kept_and_one_that_never_does_is_halved_at_each_checkpoint():
    sizes, halved = told([[float(t), float(-t)] for t in range(11)])
    assert checkpoints(10) == [2, 3, 4, 5, 6, 7, 8, 9, 10]
    assert not any(rising for rising, _ in halved)
    assert [falling for _, falling in halved] == [False] + [True] * 9
    assert sizes.sizes.tolist() == [1.0, 2.0**-9]


def test_step_that_no_longer_reaches_the_best_is_halved_unless_it_just_was():
    # Rising all the time, but after a fall in the first period never back to where it was.
    rows = [[9.0], [1.0], [0.5], [1.5], [2.5], [3.5], [4.5]]
    _, halved = told(rows)
    # At 2: falls. At 3: just halved. At 4: the best is that of 3. At 5: just halved. At 6: again.
    assert [one for (one,) in halved] == [False, True, False, True, False, True]


def test_share_of_rises_equal_to_rho_is_too_few():
    assert told([[0.0], [1.0], [0.5]], rho=0.5)[1] == [[False], [True]]
    assert told([[0.0], [1.0], [0.5]], rho=0.49)[1] == [[False], [False]]


def looked_at(
    victim: nn.Module, image: Tensor, label: Tensor, objective: str, track: str
) -> tuple[float, Tensor, float]:
    """Return what is tracked of an image (3, H, W), the loss's gradient, and the share wrong."""
    pixels = image.clone().requires_grad_()
    logits = victim(pixels[None])[0]
    wrong = logits.argmax(0) != label
    if objective == "dlr":
        ranked = logits.sort(descending=True).values
        other = max(logits[k] for k in range(len(logits)) if k != label)
        loss = (other - logits[label]) / (ranked[0] - ranked[2])
    else:
        losses = logits.logsumexp(0) - logits.gather(0, label[None])[0]
        own = logits.gather(0, label[None])[0] / logits.square().sum(0).sqrt()
        loss = {"ce": losses, "masked": losses * ~wrong, "logit": -own * ~wrong}[objective].mean()
    tracked = loss if track == "objective" else losses.mean()
    (gradient,) = torch.autograd.grad(loss, pixels)
    return float(tracked.detach()), gradient, float(wrong.double().mean())


def into_ball(point: Tensor, clean: Tensor, eps: float, norm: str) -> Tensor:
    change = point - clean
    if norm == "linf":
        change = change.clamp(-eps, eps)
    elif change.norm() > eps:
        change = change * (eps / change.norm())
    return (clean + change).clamp(0, 1)


def slow_apgd(victim, clean, label, eps, steps, norm, objective, track="objective") -> Tensor:
    """Algorithm 1 of the paper for one image, with the decisions as plain Python."""
    loss, gradient, wrong = looked_at(victim, clean, label, objective, track)
    losses, best, worst = [loss], (loss, clean, gradient), (wrong, loss, clean)
    here, before, size = clean, clean, 2 * eps
    last, last_best, last_halved = 0, loss, True
    for k in range(1, steps + 1):
        unit = gradient.sign() if norm == "linf" else gradient / gradient.norm()
        z = into_ball(here + size * unit, clean, eps, norm)
        alpha = 0.75 if k > 1 else 1.0
        mixed = here + alpha * (z - here) + (1 - alpha) * (here - before)
        before, here = here, into_ball(mixed, clean, eps, norm)
        loss, gradient, wrong = looked_at(victim, here, label, objective, track)
        losses.append(loss)
        if loss > best[0]:
            best = (loss, here, gradient)
        if (wrong, loss) > worst[:2]:
            worst = (wrong, loss, here)
        if k in checkpoints(steps):
            rises = sum(losses[i + 1] > losses[i] for i in range(last, k))
            halve = rises <= 0.75 * (k - last) or (not last_halved and last_best == best[0])
            last, last_best, last_halved = k, best[0], halve
            if halve:
                size, (_, here, gradient) = size / 2, best
    return worst[2]


@pytest.fixture
def scene():
    victim, images = CurvedClassifier().eval().double(), eight_bit_images(3).double()
    return victim, images, predicted(victim, images)


@pytest.mark.parametrize("objective", ["ce", "dlr"])
@pytest.mark.parametrize(("norm", "eps"), [("linf", 2 / 255), ("l2", 0.2)])
@pytest.mark.parametrize("steps", [9, 40])
def test_result_is_that_of_the_algorithm_run_image_by_image(scene, objective, norm, eps, steps):
    victim, images, target = scene
    part = DLR() if objective == "dlr" else CrossEntropy()
    attack = APGD(eps, steps, norm, part, random_start=False)
    found = attack.run(victim, images, target)
    halvings = (found.traces["step_size"][:, -1] / (2 * eps)).log2()
    assert steps == 9 or (halvings < -1).any()
    for place in range(3):
        expected = slow_apgd(victim, images[place], target[place], eps, steps, norm, objective)
        torch.testing.assert_close(found.float_images[place], expected, atol=1e-9, rtol=0)


@pytest.mark.parametrize("steps", [9, 40])
def test_steps_follow_the_greatest_value_while_what_fools_most_is_returned(steps):
    victim, images = CurvedSegmenter().eval().double(), eight_bit_images(3).double()
    target = predicted(victim, images)
    attack = APGD(8 / 255, steps, objective=MaskedCrossEntropy(), random_start=False)
    found = attack.run(victim, images, target).float_images
    for place in range(3):
        expected = slow_apgd(victim, images[place], target[place], 8 / 255, steps, "linf", "masked")
        torch.testing.assert_close(found[place], expected, atol=1e-9, rtol=0)


@pytest.mark.parametrize(
    ("objective", "part"), [("masked", MaskedCrossEntropy()), ("logit", MaskedNormalisedLogit())]
)
def test_steps_follow_the_cross_entropy_where_that_is_tracked(objective, part):
    victim, images = CurvedSegmenter().eval().double(), eight_bit_images(3).double()
    target = predicted(victim, images)
    settings = {"objective": part, "random_start": False}
    found, by_itself = (
        APGD(8 / 255, 40, track=track, **settings).run(victim, images, target).float_images
        for track in ("cross_entropy", "objective")
    )
    assert not torch.equal(found, by_itself)
    for place in range(3):
        label = target[place]
        scene = victim, images[place], label, 8 / 255, 40, "linf", objective, "cross_entropy"
        torch.testing.assert_close(found[place], slow_apgd(*scene), atol=1e-9, rtol=0)


def test_the_cross_entropy_tracks_itself_also_towards_a_target(scene):
    victim, images, target = scene
    for targeted in (False, True):
        runs = [
            APGD(4 / 255, 20, targeted=targeted, track=track)(victim, images, (target + 1) % 4)
            for track in ("objective", "cross_entropy")
        ]
        assert torch.equal(*runs)


def test_an_objective_that_changes_from_step_to_step_can_be_climbed_by_the_cross_entropy():
    victim, images = CurvedSegmenter().eval(), eight_bit_images(2)
    target = predicted(victim, images)
    attack = APGD(4 / 255, 10, objective=AdversarialSplit(), track="cross_entropy")
    assert (attack.run(victim, images, target).fooled > 0).all()
    with pytest.raises(InputError, match="track the cross_entropy instead"):
        APGD(objective=AdversarialSplit())
    with pytest.raises(InputError, match="track must be one of"):
        APGD(track="loss")


@pytest.mark.parametrize(("norm", "eps"), [("linf", 8 / 255), ("l2", 1.5)])
@pytest.mark.parametrize("targeted", [False, True])
def test_linear_victim_is_taken_to_its_optimum(norm, eps, targeted):
    generator = torch.Generator().manual_seed(3)
    weight = torch.randn(3 * 6 * 5, generator=generator, dtype=torch.float64)

    def victim(images: Tensor) -> Tensor:
        score = images.flatten(1) @ weight
        return torch.stack([score, -score], 1)

    images = torch.full((3, 3, 6, 5), 128 / 255, dtype=torch.float64)
    target = torch.zeros(3, dtype=torch.int64)
    attack = APGD(eps, 60, norm, targeted=targeted)
    found = attack.run(Wrapped(victim), images, target)
    gain = (victim(images) - victim(found.float_images))[:, 0]
    best = eps * (weight.abs().sum() if norm == "linf" else weight.norm())
    gain = -gain if targeted else gain
    torch.testing.assert_close(gain, best.expand(3), rtol=1e-4 if norm == "l2" else 1e-6, atol=0)


class Wrapped(nn.Module):
    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, images: Tensor) -> Tensor:
        return self.function(images)


def test_auto_pgd_climbs_higher_than_pgd_of_as_many_steps():
    victim, images = CurvedClassifier().eval().double(), eight_bit_images(24).double()
    target = predicted(victim, images)
    log_p = [
        victim(attack.run(victim, images, target).float_images).log_softmax(1)
        for attack in (APGD(4 / 255, 30), PGD(4 / 255, 1 / 255, 30), PGD(4 / 255, 4 / 255, 30))
    ]
    loss = [-one.gather(1, target[:, None]).mean().item() for one in log_p]
    assert loss[0] > max(loss[1:])


def test_iterate_that_fools_most_is_returned_and_among_equals_the_one_of_greatest_value():
    victim, images = CurvedSegmenter().eval().double(), eight_bit_images(4).double()
    target = predicted(victim, images)
    target[1, 3:] = 255
    seen: list[tuple[Tensor, Tensor]] = []

    class Spied(MaskedCrossEntropy):
        def __call__(self, step: Step) -> Tensor:
            value = super().__call__(step)
            wrong = (step.logits.argmax(1) != target) & (target != 255)
            seen.append((wrong.flatten(1).sum(1), value.detach()))
            return value

    found = APGD(2 / 255, 25, objective=Spied()).run(victim, images, target)
    assert len(seen) == 26
    for place in range(4):
        ranked = [(int(wrong[place]), float(value[place])) for wrong, value in seen]
        assert found.steps[place] == ranked.index(max(ranked))
        assert max(ranked)[1] < max(value for _, value in ranked)
    counts = (predicted(victim, found.float_images) != target) & (target != 255)
    assert torch.equal(counts.flatten(1).sum(1), torch.stack([w for w, _ in seen]).amax(0))


def test_phases_are_runs_in_shrinking_balls_and_the_last_bounds_the_result():
    victim, images = CurvedSegmenter().eval(), eight_bit_images(2)
    target = predicted(victim, images)
    sizes: list[float] = []

    class Measured(nn.Module):
        def forward(self, shown: Tensor) -> Tensor:
            sizes.append((shown - images).abs().max().item())
            return victim(shown)

    phases = ((2.0, 0.3), (1.5, 0.3), (1.0, 0.4))
    attack = APGD(4 / 255, 11, objective=MaskedCrossEntropy(), phases=phases, random_start=False)
    found = attack.run(Measured(), images, target)
    assert attack._steps() == [3, 3, 5]
    runs = [sizes[:4], sizes[4:8], sizes[8:14]]
    for radius, run in zip((2, 1.5, 1), runs, strict=True):
        assert max(run) == pytest.approx(radius * 4 / 255, abs=1e-6)
    assert sizes[4] == pytest.approx(1.5 * 4 / 255, abs=1e-6)  # starts from the last one's best
    assert (found.float_images - images).abs().max() <= 4 / 255 + 1e-6
    first_steps = found.traces["step_size"][0, [0, 3, 6]] * 255 / 8
    torch.testing.assert_close(first_steps, torch.tensor([2, 1.5, 1]))


def test_one_phase_of_radius_one_is_plain_auto_pgd(scene):
    whole = APGD(4 / 255, 20, phases=[(1.0, 1.0)])
    assert torch.equal(whole(*scene), APGD(4 / 255, 20)(*scene))
    split = APGD(4 / 255, 20, phases=[(1.0, 0.5), (1.0, 0.5)])
    assert not torch.equal(split(*scene), whole(*scene))


def test_rules_change_the_gradients_that_are_climbed(scene):
    plain = APGD(4 / 255, 10)(*scene)
    assert torch.equal(APGD(4 / 255, 10, rules=[Momentum(0.0)])(*scene), plain)
    assert not torch.equal(APGD(4 / 255, 10, rules=[Momentum(1.0)])(*scene), plain)


def test_void_image_stays_and_void_pixels_do_not_matter():
    victim, images = CurvedSegmenter().eval(), eight_bit_images(2)
    target = predicted(victim, images)
    target[0] = 255
    for objective in (CrossEntropy(), DLR()):
        attack = APGD(4 / 255, 10, objective=objective, random_start=False)
        found = attack.run(victim, images, target)
        assert torch.equal(found.images[0], images[0])
        assert all(values.isfinite().all() for values in found.traces.values())
        assert (found.images[1] != images[1]).any()


def test_what_changes_its_meaning_between_steps_is_refused():
    for objective in (AdversarialSplit(), TwoStage(), FeatureSimilarity()):
        with pytest.raises(InputError, match=f"{type(objective).__name__} change their meaning"):
            APGD(objective=objective)

    class Ahead(GradientRule):
        def __call__(self, gradient, memory, here):
            return gradient

        def ahead(self, perturbation, memory, here):
            return perturbation

    with pytest.raises(InputError, match="must not look ahead, got Ahead"):
        APGD(rules=[Ahead()])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"steps": 0}, "steps must be at least 1"),
        ({"rho": 1.5}, r"rho in \[0, 1\], got 100 and 1.5"),
        ({"eps": 0.0}, "greater than 0"),
        ({"phases": [(2.0, 1.0)]}, "the last radius 1"),
        ({"phases": [(2.0, 0.5), (1.0, 0.4)]}, "shares summing to 1"),
        ({"phases": []}, "phases must be"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        APGD(**arguments)


def dlr_of(logits: list[float], label: int, targeted: bool) -> float:
    ranked = sorted(logits, reverse=True)
    other = max(z for k, z in enumerate(logits) if k != label)
    low = (ranked[2] + ranked[3]) / 2 if targeted else ranked[2]
    return (other - logits[label]) / (ranked[0] - low)


@pytest.mark.parametrize("targeted", [False, True])
def test_ratio_is_its_formula_and_knows_neither_scale_nor_offset(targeted):
    generator = torch.Generator().manual_seed(2)
    logits = torch.randn(2, 5, 2, 3, generator=generator, dtype=torch.float64)
    target = torch.randint(0, 5, (2, 2, 3), generator=generator)
    target[0, 0] = 255

    def ratio(shown: Tensor) -> Tensor:
        return DLR()(Step(1, 1, shown, target, targeted, lambda: shown, {}))

    for image in range(2):
        places = [(y, x) for y in range(2) for x in range(3) if target[image, y, x] != 255]
        values = [
            dlr_of(logits[image, :, y, x].tolist(), int(target[image, y, x]), targeted)
            for y, x in places
        ]
        assert math.isclose(ratio(logits)[image].item(), sum(values) / len(values), rel_tol=1e-9)
    torch.testing.assert_close(ratio(7 * logits + 100), ratio(logits))


def test_ratio_needs_enough_classes():
    logits, target = torch.zeros(1, 3), torch.zeros(1, dtype=torch.int64)
    assert DLR()(Step(1, 1, logits, target, False, lambda: logits, {})).isfinite().all()
    with pytest.raises(InputError, match="at least 4 classes where targeted is True, got 3"):
        DLR()(Step(1, 1, logits, target, True, lambda: logits, {}))
    with pytest.raises(InputError, match="at least 3 classes"):
        DLR()(Step(1, 1, logits[:, :2], target, False, lambda: logits, {}))
