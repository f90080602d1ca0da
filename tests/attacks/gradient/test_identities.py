"""Identities between attacks, and agreement with independent implementations."""

import foolbox
import pytest
import torch

from project.attacks import FGSM, MIFGSM, PGD, GradientAttack, SegPGD, TranSegPGD
from project.attacks.gradient.objectives import CrossEntropy, Objective, weighted_split
from project.attacks.gradient.rules import Momentum
from project.threat_models import Linf
from tests.models import CurvedClassifier, CurvedSegmenter, eight_bit_images, predicted


@pytest.fixture
def classifier_scene():
    victim, images = CurvedClassifier(), eight_bit_images(6)
    return victim, images, predicted(victim, images)


@pytest.fixture
def segmenter_scene():
    victim, images = CurvedSegmenter(), eight_bit_images(3)
    target = predicted(victim, images)
    target[1, 3:6, 4:9] = (target[1, 3:6, 4:9] + 1) % 4  # wrong from the start
    target[2, :4] = 255
    return victim, images, target


def test_pgd_with_one_whole_step_and_no_random_start_is_fgsm(classifier_scene):
    one_step = PGD(8 / 255, step_size=8 / 255, steps=1, random_start=False)
    assert torch.equal(one_step(*classifier_scene), FGSM(8 / 255)(*classifier_scene))


def test_momentum_without_decay_is_pgd(classifier_scene):
    plain = PGD(8 / 255, step_size=2 / 255, steps=7, random_start=False)
    without = MIFGSM(8 / 255, step_size=2 / 255, steps=7, decay=0.0)
    assert torch.equal(plain(*classifier_scene), without(*classifier_scene))


def test_momentum_is_a_part_of_any_attack(classifier_scene):
    as_part = PGD(8 / 255, 0.8 / 255, 10, random_start=False, rules=[Momentum(1.0)])
    assert torch.equal(as_part(*classifier_scene), MIFGSM(8 / 255)(*classifier_scene))


@pytest.mark.parametrize("switch", [0.0, 0.5, 1.0, "all_fooled"])
def test_transegpgd_with_equal_weights_is_pgd(segmenter_scene, switch):
    plain = PGD(8 / 255, 2 / 255, 8, random_start=False)
    equal = TranSegPGD(
        8 / 255,
        2 / 255,
        8,
        gamma=0.5,
        beta=0.5,
        stage_switch=switch,
        step_schedule="constant",
        random_start=False,
    )
    assert torch.equal(plain(*segmenter_scene), equal(*segmenter_scene))


def test_first_stage_with_the_falling_weight_is_segpgd(segmenter_scene):
    class FirstStage(Objective):
        def __call__(self, step):
            return weighted_split(step, step.resisting, (step.number - 1) / (2 * step.total))

    built = GradientAttack(Linf(8 / 255), FirstStage(), 2 / 255, 8, random_start=False)
    named = SegPGD(8 / 255, 2 / 255, 8, random_start=False)
    assert torch.equal(built(*segmenter_scene), named(*segmenter_scene))


def test_segpgd_moves_otherwise_than_pgd(segmenter_scene):
    pgd = PGD(8 / 255, 2 / 255, 8, random_start=False)(*segmenter_scene)
    segpgd = SegPGD(8 / 255, 2 / 255, 8, random_start=False)(*segmenter_scene)
    assert not torch.equal(pgd, segpgd)


def test_first_step_of_segpgd_looks_at_correct_pixels_only(segmenter_scene):
    victim, images, target = segmenter_scene
    pixels = images.clone().requires_grad_()
    logits = victim(pixels)
    right = (logits.argmax(1) == target) & (target != 255)
    log_p = logits.log_softmax(1)
    chosen = target.where(target != 255, 0)
    loss = -(log_p.gather(1, chosen[:, None])[:, 0] * right).sum((1, 2))
    (gradient,) = torch.autograd.grad(loss.sum(), pixels)
    found = SegPGD(8 / 255, 2 / 255, 1, random_start=False).run(victim, images, target)
    torch.testing.assert_close(
        found.float_images, images + 2 / 255 * gradient.sign(), atol=1e-6, rtol=0
    )


@pytest.mark.parametrize(
    ("ours", "theirs", "eps"),
    [
        (FGSM(8 / 255), foolbox.attacks.FGSM(), 8 / 255),
        (
            PGD(8 / 255, 2 / 255, 10, random_start=False),
            foolbox.attacks.LinfPGD(abs_stepsize=2 / 255, steps=10, random_start=False),
            8 / 255,
        ),
        (
            PGD(1.5, 0.3, 10, random_start=False, norm="l2"),
            foolbox.attacks.L2PGD(abs_stepsize=0.3, steps=10, random_start=False),
            1.5,
        ),
    ],
    ids=["fgsm", "pgd_linf", "pgd_l2"],
)
def test_result_agrees_with_foolbox(classifier_scene, ours, theirs, eps):
    victim, images, target = classifier_scene
    victim, images = victim.eval().double(), images.double()
    model = foolbox.PyTorchModel(victim, bounds=(0, 1), device="cpu")
    expected, _, _ = theirs(model, images, foolbox.criteria.Misclassification(target), epsilons=eps)
    found = ours.run(victim, images, target).float_images
    torch.testing.assert_close(found, expected, atol=1e-9, rtol=0)


def test_momentum_follows_its_formula_step_by_step(classifier_scene):
    victim, images, target = classifier_scene
    victim, images = victim.eval().double(), images.double()
    current, total = images.clone(), torch.zeros_like(images)
    for _ in range(5):
        pixels = current.clone().requires_grad_()
        loss = torch.nn.functional.cross_entropy(victim(pixels), target, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, pixels)
        for place in range(len(images)):
            scale = gradient[place].abs().sum() / gradient[place].numel()
            total[place] = 0.7 * total[place] + gradient[place] / scale
        current = (current + 1 / 255 * total.sign()).clamp(images - 3 / 255, images + 3 / 255)
    found = MIFGSM(3 / 255, step_size=1 / 255, steps=5, decay=0.7).run(victim, images, target)
    torch.testing.assert_close(found.float_images, current, atol=1e-9, rtol=0)


def test_targeted_attack_descends_towards_the_target(classifier_scene):
    victim, images, target = classifier_scene
    wanted = (target + 1) % 4
    log_p = victim(images).log_softmax(1).gather(1, wanted[:, None])
    found = PGD(16 / 255, 2 / 255, 20, targeted=True).run(victim, images, wanted)
    after = victim(found.images).log_softmax(1).gather(1, wanted[:, None])
    assert (after > log_p).all()
    assert torch.equal(found.success, predicted(victim, found.images) == wanted)


def test_uniform_schedule_draws_for_each_sample_and_step(classifier_scene):
    victim, images, target = classifier_scene
    attack = GradientAttack(
        Linf(1.0), CrossEntropy(), 1 / 255, 1, step_schedule="uniform", random_start=False
    )
    change = (attack.run(victim, images, target).float_images - images).abs()
    sizes = change.flatten(1).amax(1) * 255
    assert ((sizes >= 0.5 - 1e-4) & (sizes <= 1.5 + 1e-4)).all()
    assert len(set(sizes.tolist())) == len(images)
