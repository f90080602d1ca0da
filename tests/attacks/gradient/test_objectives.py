"""Objectives on pixels against a slow float64 reference written from the formulas."""

import math
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch

from project.attacks import BlockShuffle, Momentum, TranSegPGD
from project.attacks.gradient.objectives import (
    AdversarialSplit,
    BalancedCrossEntropy,
    CosineWeighted,
    CrossEntropy,
    Margin,
    MaskedCrossEntropy,
    Objective,
    TwoStage,
)
from project.attacks.gradient.objectives.objective import Step
from tests.models import CurvedSegmenter, eight_bit_images, predicted

K, H, W = 3, 3, 4


@pytest.fixture
def scene():
    generator = torch.Generator().manual_seed(5)
    logits = 2 * torch.randn(2, K, H, W, generator=generator, dtype=torch.float64)
    clean = 2 * torch.randn(2, K, H, W, generator=generator, dtype=torch.float64)
    target = torch.randint(0, K, (2, H, W), generator=generator)
    target[0, 0, :] = 255
    target[1, 2, 3] = 255
    return logits, clean, target


def make_step(scene, number=3, total=4, targeted=False, memory=None) -> Step:
    logits, clean, target = scene
    return Step(
        number, total, logits, target, targeted, lambda: clean, {} if memory is None else memory
    )


def softmax(values: list[float]) -> list[float]:
    exps = [math.exp(value) for value in values]
    return [value / sum(exps) for value in exps]


class Pixel(NamedTuple):
    """A valid pixel: its label, cross-entropy, whether it is predicted so, KL and cosine."""

    label: int
    ce: float
    hit: bool
    forth: float
    back: float
    cosine: float


def pixels(scene, image):
    """Yield each valid pixel of an image; KL(adv‖clean) is forth, KL(clean‖adv) back."""
    logits, clean, target = scene
    for y in range(H):
        for x in range(W):
            label = int(target[image, y, x])
            if label == 255:
                continue
            p = softmax(logits[image, :, y, x].tolist())
            q = softmax(clean[image, :, y, x].tolist())
            forth = sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
            back = sum(b * math.log(b / a) for a, b in zip(p, q, strict=True))
            cosine = p[label] / math.sqrt(sum(a * a for a in p))
            yield Pixel(label, -math.log(p[label]), p.index(max(p)) == label, forth, back, cosine)


def reference(scene, weight_of) -> torch.Tensor:
    """Sum w·CE / N over the valid pixels; ``weight_of(list of pixels)`` gives the weights."""
    values = []
    for image in range(2):
        found = list(pixels(scene, image))
        weights = weight_of(found)
        values.append(sum(w * p.ce for w, p in zip(weights, found, strict=True)) / len(found))
    return torch.tensor(values, dtype=torch.float64)


def by_divergence(name, beta):
    def weigh(found):
        mean = sum(getattr(p, name) for p in found) / len(found)
        return [1 - beta if getattr(p, name) > mean else beta for p in found]

    return weigh


def by_class(found, resisting=True):
    counts = Counter(p.label for p in found)
    return [
        len(found) / (len(counts) * counts[p.label]) if p.hit == resisting else 0.0 for p in found
    ]


class Case(NamedTuple):
    """An objective, the step it is asked at, and its weights written from the formula."""

    objective: Objective
    number: int
    weigh: Callable[[list[Pixel]], list[float]]
    targeted: bool = False


CASES = {
    "cross entropy": Case(CrossEntropy(), 3, lambda ps: [1.0 for _ in ps]),
    "segpgd at 1": Case(AdversarialSplit(), 1, lambda ps: [float(p.hit) for p in ps]),
    "segpgd at 3": Case(AdversarialSplit(), 3, lambda ps: [0.75 if p.hit else 0.25 for p in ps]),
    "segpgd, targeted": Case(
        AdversarialSplit(), 3, lambda ps: [0.25 if p.hit else 0.75 for p in ps], targeted=True
    ),
    "cospgd": Case(CosineWeighted(), 3, lambda ps: [p.cosine for p in ps]),
    "cospgd, targeted": Case(CosineWeighted(), 3, lambda ps: [1 - p.cosine for p in ps], True),
    "masked": Case(MaskedCrossEntropy(), 3, lambda ps: [float(p.hit) for p in ps]),
    "masked, targeted": Case(
        MaskedCrossEntropy(), 3, lambda ps: [float(not p.hit) for p in ps], targeted=True
    ),
    "balanced": Case(BalancedCrossEntropy(), 3, by_class),
    "balanced, targeted": Case(
        BalancedCrossEntropy(), 3, lambda ps: by_class(ps, resisting=False), targeted=True
    ),
    "balanced, given weights": Case(
        BalancedCrossEntropy([0.5, 2.0, 3.0]),
        3,
        lambda ps: [(0.5, 2.0, 3.0)[p.label] * p.hit for p in ps],
    ),
    "stage 1": Case(TwoStage(0.2), 2, lambda ps: [0.8 if p.hit else 0.2 for p in ps]),
    "stage 1, other reading": Case(
        TwoStage(0.2, hard_weight="wrong"), 1, lambda ps: [0.2 if p.hit else 0.8 for p in ps]
    ),
    "stage 2": Case(TwoStage(beta=0.3), 3, by_divergence("forth", 0.3)),
    "stage 2, other direction": Case(
        TwoStage(beta=0.3, divergence="clean_adversarial"), 3, by_divergence("back", 0.3)
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_objective_and_gradient_agree_with_the_formula(scene, case):
    objective, number, weigh, targeted = CASES[case]
    step = make_step(scene, number, targeted=targeted)
    step.logits.requires_grad_()
    value = objective(step)
    torch.testing.assert_close(value.detach(), reference(scene, weigh), rtol=1e-12, atol=0)
    (gradient,) = torch.autograd.grad(value.sum(), step.logits)
    logits, _, target = scene
    for image in range(2):
        found = list(pixels(scene, image))
        weights = iter(weigh(found))
        for y in range(H):
            for x in range(W):
                label = int(target[image, y, x])
                p = softmax(logits[image, :, y, x].tolist())
                weight = 0.0 if label == 255 else next(weights) / len(found)
                expected = [weight * (p[k] - (k == label)) for k in range(K)]
                torch.testing.assert_close(
                    gradient[image, :, y, x].tolist(), expected, rtol=1e-10, atol=1e-14
                )


def test_margin_is_the_mean_lead_of_the_best_other_class(scene):
    logits, _, target = scene
    leads = []
    for image in range(2):
        valid = [(y, x) for y in range(H) for x in range(W) if target[image, y, x] != 255]
        total = 0.0
        for y, x in valid:
            z = logits[image, :, y, x].tolist()
            own = z.pop(int(target[image, y, x]))
            total += max(z) - own
        leads.append(total / len(valid))
    expected = torch.tensor(leads, dtype=torch.float64)
    torch.testing.assert_close(Margin()(make_step(scene)), expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("case", CASES)
def test_float32_gradient_of_extreme_logits_is_finite(scene, case):
    objective, number, _, targeted = CASES[case]
    logits, clean, target = scene
    extreme = (200 * logits).float().requires_grad_()
    step = make_step((extreme, 200 * clean.float(), target), number, targeted=targeted)
    value = objective(step)
    (gradient,) = torch.autograd.grad(value.sum(), extreme)
    assert value.isfinite().all()
    assert gradient.isfinite().all()


def test_without_void_and_with_one_class_balanced_is_masked(scene):
    logits, clean, _ = scene
    one = logits, clean, torch.ones(2, H, W, dtype=torch.int64)
    balanced, masked = BalancedCrossEntropy(), MaskedCrossEntropy()
    assert torch.equal(balanced(make_step(one)), masked(make_step(one)))


def test_every_class_of_an_image_weighs_alike_in_balanced(scene):
    # Nothing is known about any pixel, and all are predicted as their own class, by a hair.
    target = torch.tensor([[[0, 0, 0, 1], [0, 2, 0, 255]]])
    logits = torch.zeros(1, K, 2, 4).scatter(1, target.clamp(max=2)[:, None], 1e-6)
    logits.requires_grad_()
    value = BalancedCrossEntropy()(make_step((logits, logits, target)))
    (gradient,) = torch.autograd.grad(value.sum(), logits)
    own = gradient.gather(1, target.clamp(max=2)[:, None])[:, 0]
    sums = [own[target == label].sum().item() for label in range(K)]
    torch.testing.assert_close(sums, [-2 / 9] * 3)


def test_class_weights_of_another_number_of_classes_are_rejected(scene):
    with pytest.raises(ValueError, match="each of the victim's 3 classes, got 2"):
        BalancedCrossEntropy([1.0, 2.0])(make_step(scene))
    with pytest.raises(ValueError, match="at least 0"):
        BalancedCrossEntropy([1.0, -2.0])


@pytest.mark.parametrize("case", CASES)
def test_void_pixels_never_count(scene, case):
    objective, number, _, targeted = CASES[case]
    logits, clean, target = scene
    before = objective(make_step(scene, number, targeted=targeted))
    void = (target == 255)[:, None].expand_as(logits)
    changed = logits.masked_fill(void, 9.0), clean.masked_fill(void, -7.0), target
    after = objective(make_step(changed, number, targeted=targeted))
    torch.testing.assert_close(after, before, rtol=0, atol=0)


@pytest.mark.parametrize("case", CASES)
def test_image_that_is_void_everywhere_has_loss_and_gradient_0(scene, case):
    objective, number, _, targeted = CASES[case]
    logits, clean, target = scene
    logits.requires_grad_()
    void = torch.full_like(target, 255)
    value = objective(make_step((logits, clean, void), number, targeted=targeted))
    (gradient,) = torch.autograd.grad(value.sum(), logits)
    assert torch.equal(value.detach(), torch.zeros(2, dtype=torch.float64))
    assert torch.equal(gradient, torch.zeros_like(gradient))


def test_split_is_by_argmax_not_by_comparing_logits_with_labels():
    # The largest logit equals the label's number here, which is how one port compares.
    logits = torch.zeros(1, 3, 1, 1)
    logits[0, 0, 0, 0] = 2.0
    step = make_step((logits, logits, torch.full((1, 1, 1), 2)))
    assert not bool(step.resisting.any())


def test_stage_is_switched_for_each_image_when_all_of_it_is_fooled(scene):
    logits, clean, _ = scene
    right = logits.argmax(1)
    target = right.clone()
    target[0] = (right[0] + 1) % K
    target[:, 0, 0] = 255
    objective = TwoStage(stage_switch="all_fooled")
    memory: dict[str, torch.Tensor] = {}
    step = make_step((logits, clean, target), memory=memory)
    value = objective(step)
    assert step.traces["stage"].tolist() == [2, 1]
    first = TwoStage(stage_switch=1.0)(make_step((logits, clean, target)))
    second = TwoStage(stage_switch=0.0)(make_step((logits, clean, target)))
    torch.testing.assert_close(value, torch.stack([second[0], first[1]]))
    # An image that has been fooled stays in stage 2, even if a pixel recovers.
    later = make_step((logits, clean, right), memory=memory)
    objective(later)
    assert later.traces["stage"].tolist() == [2, 1]


@pytest.mark.parametrize(("switch", "second"), [(0.0, 10), (0.5, 5), (0.25, 8), (1.0, 0)])
def test_fraction_says_how_many_steps_stage_1_takes(scene, switch, second):
    from tests.models import CurvedSegmenter, eight_bit_images, predicted

    victim, images = CurvedSegmenter(), eight_bit_images(2)
    attack = TranSegPGD(steps=10, stage_switch=switch)
    result = attack.run(victim, images, predicted(victim, images))
    assert result.facts["stage2_steps"].tolist() == [second, second]
    assert result.facts["stage1_steps"].tolist() == [10 - second] * 2
    assert result.traces["stage"].shape == (2, 10)


@pytest.mark.parametrize("wrong", [{"gamma": 1.5}, {"beta": -0.1}, {"stage_switch": 2.0}])
def test_weights_outside_0_to_1_are_rejected(wrong):
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
        TranSegPGD(**wrong)


def test_presets_of_transegpgd_set_what_the_paper_leaves_open_and_arguments_win():
    paper, tuned = TranSegPGD().settings, TranSegPGD(preset="tuned").settings
    assert (paper.gamma, paper.beta, paper.stage_switch) == (0.1, 0.1, 0.5)
    assert (paper.step_schedule, paper.hard_weight) == ("uniform", "correct")
    assert (tuned.gamma, tuned.beta, tuned.step_schedule) == (0.5, 0.7, "cosine")
    mixed = TranSegPGD(preset="tuned", beta=0.2)
    objective = mixed.built().objective
    assert (objective.gamma, objective.beta, mixed.settings.beta) == (0.5, 0.2, 0.2)


def test_unknown_preset_of_transegpgd_is_named_with_the_known_ones():
    with pytest.raises(
        ValueError, match="preset must be one of paper, tuned, transfer, got 'best'"
    ):
        TranSegPGD(preset="best")


def test_preset_for_transfer_is_two_stages_on_shuffled_blocks_with_momentum():
    victim, images = CurvedSegmenter().eval(), eight_bit_images(3)
    target = predicted(victim, images)
    parts = {"rules": [Momentum()], "transforms": [BlockShuffle()], "step_schedule": "constant"}
    same = TranSegPGD(gamma=0.5, beta=0.7, **parts)
    transfer = TranSegPGD(preset="transfer")
    assert torch.equal(transfer(victim, images, target), same(victim, images, target))
    alone = TranSegPGD(preset="transfer", rules=[], transforms=[])
    plain = TranSegPGD(gamma=0.5, beta=0.7, step_schedule="constant")
    assert torch.equal(alone(victim, images, target), plain(victim, images, target))
