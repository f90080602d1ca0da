"""CosPGD against a loop with one-hot labels, as its released code computes it."""

import pytest
import torch
import torch.nn.functional as F

from project.attacks import PGD, CosPGD
from project.attacks.gradient.objectives import CosineWeighted
from project.attacks.gradient.objectives.objective import Step
from tests.models import CLASSES, CurvedClassifier, CurvedSegmenter, eight_bit_images, predicted

EPS, ALPHA = 8 / 255, 2 / 255


@pytest.mark.parametrize("targeted", [False, True])
def test_images_are_those_of_a_loop_with_one_hot_labels(targeted):
    victim, images = CurvedSegmenter().double().eval(), eight_bit_images(3).double()
    labels = (predicted(victim, images) + int(targeted)) % CLASSES
    one_hot = F.one_hot(labels, CLASSES).permute(0, 3, 1, 2)
    moved = images
    for _ in range(4):
        moved = moved.detach().requires_grad_()
        logits = victim(moved)
        cosine = F.cosine_similarity(logits.softmax(1), one_hot, 1).detach()
        weight = 1 - cosine if targeted else cosine
        loss = (weight * F.cross_entropy(logits, labels, reduction="none")).sum()
        (gradient,) = torch.autograd.grad(-loss if targeted else loss, moved)
        noise = (moved + ALPHA * gradient.sign() - images).clamp(-EPS, EPS)
        moved = (images + noise).clamp(0, 1)
    attack = CosPGD(EPS, ALPHA, steps=4, random_start=False, targeted=targeted)
    found = attack.run(victim, images, labels).float_images
    torch.testing.assert_close(found, moved.detach(), rtol=0, atol=1e-12)


def test_on_a_classifier_the_weight_is_one_factor_and_the_images_are_pgds():
    victim, images = CurvedClassifier(), eight_bit_images(4)
    target = predicted(victim, images)
    cospgd = CosPGD(EPS, ALPHA, steps=5, random_start=False)
    pgd = PGD(EPS, ALPHA, steps=5, random_start=False)
    assert torch.equal(cospgd(victim, images, target), pgd(victim, images, target))


def test_undecided_pixel_counts_one_over_the_root_of_the_number_of_classes():
    logits = torch.zeros(1, 9, 2, 2, dtype=torch.float64)
    step = Step(1, 1, logits, torch.zeros(1, 2, 2).long(), False, lambda: logits, {})
    expected = step.cross_entropy.mean((1, 2)) / 3
    torch.testing.assert_close(CosineWeighted()(step), expected)
