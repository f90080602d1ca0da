"""Robust losses, against slow float64 references written from their formulas."""

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from project.attacks import PGD, KullbackLeibler
from project.attacks.gradient.objectives.objective import Step
from project.core.losses import differentiable_kl, kl_divergence
from project.training.robust import MART, TRADES, AdversarialLoss, RobustLoss
from project.training.robust.mart import boosted_cross_entropy
from project.training.robust.robust_loss import Learner
from tests.models import CLASSES, CurvedClassifier, CurvedSegmenter, eight_bit_images, predicted

LOSSES = {
    "adversarial": AdversarialLoss(),
    "mixed": AdversarialLoss(clean_weight=0.3),
    "trades": TRADES(beta=2.5),
    "mart": MART(beta=1.5),
}
every_loss = pytest.mark.parametrize("name", LOSSES)
both_tasks = pytest.mark.parametrize("task", ["classification", "segmentation"])


def criterion(logits: Tensor, target: Tensor) -> Tensor:
    """A training's criterion, with label smoothing, so that TRADES is seen to take it."""
    ignored = 255 if target.ndim > 1 else -100
    total = F.cross_entropy(
        logits, target, reduction="sum", label_smoothing=0.1, ignore_index=ignored
    )
    valid = (target != 255).sum() if target.ndim > 1 else torch.tensor(len(target))
    return total / valid.clamp(min=1)


def value(loss: RobustLoss, clean: Tensor, adversarial: Tensor, target: Tensor) -> Tensor:
    """Return the loss of logits: the images are the logits, and the network is the identity."""
    batch = {"image": clean, "adversarial": adversarial, "target": target}
    batch["index"] = torch.arange(len(clean))
    return loss(learner(), batch)


def learner(answer: Callable[[Tensor, str], Tensor] = lambda images, kind: images) -> Learner:
    return Learner(answer, criterion, torch.nn.Identity(), 0)


def logits(task: str, seed: int = 0, scale: float = 3.0) -> tuple[Tensor, Tensor, Tensor]:
    """Return clean and adversarial logits in float64, and a target, partly void for pixels."""
    generator = torch.Generator().manual_seed(seed)
    shape = (5, CLASSES) if task == "classification" else (3, CLASSES, 4, 6)
    pair = torch.randn(2, *shape, generator=generator, dtype=torch.float64) * scale
    target = torch.randint(0, CLASSES, (shape[0], *shape[2:]), generator=generator)
    if task == "segmentation":
        target[0, :2] = 255
        target[1] = 255
    return pair[0], pair[1], target


def elements(task: str, *parts: Tensor) -> list[tuple[Tensor, ...]]:
    """Return rows (logits of one valid element …, its class), one by one."""
    *scores, target = parts
    flat = [s.movedim(1, -1).reshape(-1, CLASSES) for s in scores]
    rows = zip(*flat, target.flatten(), strict=True)
    return [row for row in rows if task == "classification" or row[-1] != 255]


def reference(name: str, task: str, clean: Tensor, adversarial: Tensor, target: Tensor) -> Tensor:
    """Return a loss as its formula says, element by element, with probabilities."""
    total = torch.zeros((), dtype=torch.float64)
    rows = elements(task, clean, adversarial, target)
    for z, z_adv, y in rows:
        p, q = z.softmax(0), z_adv.softmax(0)
        kl = sum(p[k] * (p[k] / q[k]).log() for k in range(CLASSES))
        smooth = [-(0.9 * s[y].log() + 0.1 * s.log().mean()) for s in (p, q)]
        rival = max(q[k] for k in range(CLASSES) if k != y)
        total = (
            total
            + {
                "adversarial": smooth[1],
                "mixed": 0.7 * smooth[1] + 0.3 * smooth[0],
                "trades": smooth[0] + 2.5 * kl,
                "mart": -q[y].log() - (1 - rival).log() + 1.5 * kl * (1 - p[y]),
            }[name]
        )
    return total / len(rows)


@every_loss
@both_tasks
def test_value_and_gradients_are_those_of_the_formula(name: str, task: str):
    clean, adversarial, target = logits(task)
    clean.requires_grad_()
    adversarial.requires_grad_()
    found = value(LOSSES[name], clean, adversarial, target)
    expected = reference(name, task, clean, adversarial, target)
    torch.testing.assert_close(found, expected)
    pair = (clean, adversarial)
    gradients = torch.autograd.grad(found, pair, materialize_grads=True, allow_unused=True)
    truth = torch.autograd.grad(expected, pair, materialize_grads=True, allow_unused=True)
    torch.testing.assert_close(gradients, truth)


@every_loss
def test_pixels_are_weighed_alike_over_a_batch_of_unequal_images(name: str):
    clean, adversarial, target = logits("segmentation")
    valid = target != 255
    columns = [values.movedim(1, -1)[valid].T[None, :, None] for values in (clean, adversarial)]
    loss = LOSSES[name]
    in_a_row = value(loss, *columns, target[valid][None, None])
    torch.testing.assert_close(value(loss, clean, adversarial, target), in_a_row)


@every_loss
def test_void_pixels_get_no_gradient_and_have_no_say(name: str):
    clean, adversarial, target = logits("segmentation")
    void = (target == 255).unsqueeze(1).expand_as(clean)
    wild = torch.where(void, 1e4 * torch.rand_like(clean), adversarial).requires_grad_()
    found = value(LOSSES[name], clean, wild, target)
    torch.testing.assert_close(found, value(LOSSES[name], clean, adversarial, target))
    (gradient,) = torch.autograd.grad(found, wild)
    assert gradient[void].abs().max() == 0
    assert gradient[~void].abs().min() > 0


@every_loss
def test_a_batch_of_void_alone_has_loss_zero_and_gradient_zero(name: str):
    clean, adversarial, target = logits("segmentation")
    adversarial.requires_grad_()
    found = value(LOSSES[name], clean, adversarial, torch.full_like(target, 255))
    (gradient,) = torch.autograd.grad(found, adversarial)
    assert found == 0
    assert gradient.abs().max() == 0


@every_loss
@pytest.mark.parametrize("scale", [100.0, 1e4])
def test_certain_predictions_have_finite_losses_and_gradients(name: str, scale: float):
    clean, adversarial, target = (t.clone() for t in logits("classification", scale=scale))
    clean, adversarial = clean.float().requires_grad_(), adversarial.float().requires_grad_()
    found = value(LOSSES[name], clean, adversarial, target)
    gradients = torch.autograd.grad(
        found, (clean, adversarial), materialize_grads=True, allow_unused=True
    )
    assert found.isfinite()
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert gradients[1].abs().max() > 0  # there is a way back


def test_half_precision_loses_nothing_that_its_logits_hold():
    clean, other, target = logits("classification")
    halves = clean.bfloat16(), (clean + 0.01 * other).bfloat16()
    doubles = [half.double() for half in halves]
    for found, exact in (
        (differentiable_kl(*halves), differentiable_kl(*doubles)),
        (boosted_cross_entropy(halves[0], target), boosted_cross_entropy(doubles[0], target)),
    ):
        torch.testing.assert_close(found.double(), exact, rtol=1e-4, atol=1e-6)


def test_boosted_cross_entropy_of_two_classes_is_twice_the_cross_entropy():
    scores = torch.randn(6, 2, dtype=torch.float64)
    target = torch.tensor([0, 1, 0, 1, 0, 1])
    expected = 2 * F.cross_entropy(scores, target, reduction="none")
    torch.testing.assert_close(boosted_cross_entropy(scores, target), expected)


def test_rival_that_is_all_but_certain_costs_its_lead():
    # p_rival = 1 up to rounding: -log(1 - p) is the rival's lead over the others' log-sum-exp.
    scores = torch.tensor([[0.0, 50.0, 0.0]])
    found = boosted_cross_entropy(scores, torch.tensor([0]))
    torch.testing.assert_close(found, torch.tensor([50 + 50 - math.log(2)]))


def test_trades_without_beta_is_training_on_clean_images():
    clean, adversarial, target = logits("classification")
    found = value(TRADES(beta=0), clean, adversarial, target)
    torch.testing.assert_close(found, criterion(clean, target))


def test_equal_images_leave_of_trades_the_criterion_alone():
    clean, _, target = logits("segmentation")
    clean.requires_grad_()
    found = value(TRADES(), clean, clean, target)
    (gradient,) = torch.autograd.grad(found, clean)
    (plain,) = torch.autograd.grad(criterion(clean, target), clean)
    torch.testing.assert_close(gradient, plain)


@pytest.mark.parametrize("name", ["trades", "mart", "mixed"])
def test_one_forward_pass_per_kind_and_each_sees_its_own_images(name: str):
    clean, adversarial, target = logits("classification")
    seen = []

    def answer(images: Tensor, kind: str) -> Tensor:
        seen.append((kind, images))
        return images

    batch = {"image": clean, "adversarial": adversarial, "target": target}
    LOSSES[name](learner(answer), batch)
    assert sorted(kind for kind, _ in seen) == ["adversarial", "clean"]
    assert dict(seen)["clean"] is clean
    assert dict(seen)["adversarial"] is adversarial


@pytest.mark.parametrize("kind", [TRADES, MART])
def test_a_negative_beta_is_refused(kind: type[TRADES] | type[MART]):
    with pytest.raises(ValueError, match="beta must be at least 0, got -1"):
        kind(beta=-1)


def test_divergence_with_gradient_has_the_values_of_the_one_without():
    clean, adversarial, _ = logits("segmentation")
    torch.testing.assert_close(
        differentiable_kl(clean, adversarial), kl_divergence(clean, adversarial)
    )


@both_tasks
def test_attack_of_trades_climbs_the_divergence_from_the_clean_prediction(task: str):
    victim, images, target = scene(task)
    attack = PGD(8 / 255, steps=6, objective=KullbackLeibler())

    def instability(adversarial: Tensor) -> Tensor:
        with torch.no_grad():
            values = kl_divergence(victim(images), victim(adversarial))
        return values.where(target != 255, 0).flatten(1).sum(1) if values.ndim > 1 else values

    start = PGD(8 / 255, steps=1, step_size=1e-9, objective=KullbackLeibler())
    found = instability(attack(victim, images, target))
    assert (found > 2 * instability(start(victim, images, target))).all()


@both_tasks
def test_attack_of_trades_looks_at_no_label(task: str):
    victim, images, target = scene(task)
    other = torch.where(target == 255, target, (target + 1) % CLASSES)
    attack = PGD(8 / 255, steps=3, objective=KullbackLeibler())
    assert torch.equal(attack(victim, images, target), attack(victim, images, other))


def test_objective_is_the_mean_over_valid_pixels_and_flat_at_the_clean_image():
    clean, adversarial, target = logits("segmentation")
    found = KullbackLeibler()(step(adversarial, target, clean))
    pairs = [scores.log_softmax(1) for scores in (adversarial, clean)]
    each = F.kl_div(*pairs, reduction="none", log_target=True).sum(1)
    expected = [
        one[valid].sum() / max(1, valid.sum())
        for one, valid in zip(each, target != 255, strict=True)
    ]
    torch.testing.assert_close(found, torch.stack(expected))
    still = clean.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(KullbackLeibler()(step(still, target, clean)).sum(), still)
    assert gradient.abs().max() < 1e-15


def test_a_targeted_attack_has_nothing_to_climb():
    victim, images, target = scene("classification")
    with pytest.raises(ValueError, match="KullbackLeibler leads away from the clean prediction"):
        PGD(objective=KullbackLeibler(), targeted=True)(victim, images, target)


def step(scores: Tensor, target: Tensor, clean: Tensor) -> Step:
    return Step(1, 1, scores, target, False, lambda: clean, {})


def scene(task: str) -> tuple[torch.nn.Module, Tensor, Tensor]:
    images = eight_bit_images(3)
    victim = CurvedClassifier() if task == "classification" else CurvedSegmenter()
    target = predicted(victim, images)
    if task == "segmentation":
        target[:, :3] = 255
    return victim, images, target
