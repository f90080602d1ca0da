"""Gradient attacks from several sources: whose loss they climb, and whom they ask at each step."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from project.attacks import PGD, AdversarialSplit, GradientAttack, SegPGD, TranSegPGD
from project.attacks.gradient.landscape import Landscape
from project.core.randomness import Draws
from project.threat_models import Linf
from project.victims import EnsembleVictim, MeanLossEnsemble, RandomEnsemble, SegmentationVictim
from tests.models import CLASSES, eight_bit_images

KINDS = [EnsembleVictim, MeanLossEnsemble, RandomEnsemble]
every_kind = pytest.mark.parametrize("kind", KINDS)


class Wave(nn.Module):
    """A small, strongly curved segmenter."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.first = nn.Conv2d(3, 6, 3, padding=1)
            self.second = nn.Conv2d(6, CLASSES, 1)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.second(torch.sin(4 * self.first(images)))
        return logits


def member(seed: int) -> SegmentationVictim:
    return SegmentationVictim(Wave(seed), CLASSES).double().eval()


def scene(count: int = 2) -> tuple[Tensor, Tensor]:
    """Return images and masks with void pixels."""
    images = eight_bit_images(count, 6, 7).double()
    target = torch.randint(0, CLASSES, (count, 6, 7), generator=torch.Generator().manual_seed(2))
    target[:, :2, :3] = 255
    return images, target


@contextmanager
def counted(*members: nn.Module) -> Iterator[list[int]]:
    """Write down the number of each member that is asked, in order."""
    asked: list[int] = []
    hooks = [
        module.register_forward_pre_hook(lambda *_, number=number: asked.append(number))
        for number, module in enumerate(members)
    ]
    yield asked
    for hook in hooks:
        hook.remove()


def slope(victim: nn.Module, attack: GradientAttack, number: int) -> Tensor:
    images, target = scene()
    draws = Draws(torch.arange(len(images)), 0)
    landscape = attack.built().landscape(victim, images, target, draws)
    return landscape.value_and_gradient(torch.zeros_like(images), number).gradient


@every_kind
@pytest.mark.parametrize("attack", [PGD(steps=6), SegPGD(steps=6), TranSegPGD(steps=6)])
def test_ensemble_of_one_is_its_member_bit_for_bit(kind, attack: GradientAttack):
    images, target = scene()
    alone = attack.run(member(1), images, target)
    ensemble = attack.run(kind([member(1)]), images, target)
    assert torch.equal(ensemble.float_images, alone.float_images)
    assert torch.equal(ensemble.fooled, alone.fooled)


def by_hand(logits: Tensor, target: Tensor, weight_of_wrong: float) -> Tensor:
    """Return SegPGD's loss of one image, pixel by pixel."""
    total, count = logits.new_zeros(()), 0
    for y in range(target.shape[0]):
        for x in range(target.shape[1]):
            if target[y, x] == 255:
                continue
            wrong = logits[:, y, x].argmax() != target[y, x]
            weight = weight_of_wrong if wrong else 1 - weight_of_wrong
            total = total - weight * F.log_softmax(logits[:, y, x], 0)[target[y, x]]
            count += 1
    return total / count


def test_mean_loss_has_the_mean_of_the_members_gradients_each_with_its_own_split():
    members, number, steps = [member(1), member(2), member(3)], 3, 5
    images, target = scene()
    images.requires_grad_()
    weight = (number - 1) / (2 * steps)
    loss = sum(
        by_hand(victim(images)[n], target[n], weight) / len(members)
        for victim in members
        for n in range(len(images))
    )
    (expected,) = torch.autograd.grad(loss, images)
    found = slope(MeanLossEnsemble(members), SegPGD(steps=steps), number)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)
    joint = slope(EnsembleVictim(members), SegPGD(steps=steps), number)
    assert not torch.allclose(joint, expected, rtol=1e-2)


def test_mean_loss_compares_each_member_with_its_own_clean_answer():
    members = [member(1), member(2)]
    attack = TranSegPGD(steps=2, stage_switch=0.0)
    images, target = scene()
    perturbation = torch.full_like(images, 0.02)
    draws = Draws(torch.arange(2), 0)

    def gradient(victim: nn.Module) -> Tensor:
        landscape = attack.built().landscape(victim, images, target, draws)
        return landscape.value_and_gradient(perturbation, 1).gradient

    expected = (gradient(members[0]) + gradient(members[1])) / 2
    torch.testing.assert_close(gradient(MeanLossEnsemble(members)), expected)


def test_mean_logits_have_the_gradient_of_the_mean():
    members = [member(1), member(2)]
    images, target = scene()
    images.requires_grad_()
    logits = (members[0](images) + members[1](images)) / 2
    loss = F.cross_entropy(logits, target, ignore_index=255, reduction="none")
    (expected,) = torch.autograd.grad((loss.sum((1, 2)) / 36).sum(), images)
    torch.testing.assert_close(slope(EnsembleVictim(members), PGD(), 1), expected)


def test_random_ensemble_asks_one_member_a_step_and_over_many_steps_all():
    members, steps = [member(seed) for seed in range(3)], 40
    images, target = scene()
    with counted(*members) as asked:
        PGD(steps=steps)(RandomEnsemble(members), images, target)
    assert len(asked) == steps
    shares = [asked.count(number) / steps for number in range(3)]
    assert min(shares) > 0.15


def test_random_ensemble_draws_by_seed_and_step_alone():
    members = [member(seed) for seed in range(3)]
    ensemble = RandomEnsemble(members)
    images, target = scene()

    def order(seed: int, count: int, first_index: int = 0) -> list[int]:
        index = torch.arange(first_index, first_index + count)
        with counted(*members) as asked:
            PGD(steps=12, seed=seed)(ensemble, images[:count], target[:count], index)
        return asked

    assert order(seed=0, count=2) == order(seed=0, count=2)
    assert order(seed=0, count=1, first_index=9) == order(seed=0, count=2)
    assert order(seed=0, count=2) != order(seed=1, count=2)


def test_random_ensemble_climbs_the_member_that_it_drew():
    members = [member(1), member(2)]
    draws = Draws(torch.arange(2), 0)
    gradients = {victim: slope(victim, PGD(), 1) for victim in members}
    ensemble = RandomEnsemble(members)
    for number in range(1, 9):
        (drawn,) = ensemble.asked(draws.keyed(number, "source"))
        assert torch.equal(slope(ensemble, PGD(), number), gradients[drawn])


@every_kind
@pytest.mark.parametrize("attack", [SegPGD(steps=6), TranSegPGD(steps=6)])
def test_result_does_not_depend_on_batch_mates(kind, attack: GradientAttack):
    ensemble = kind([member(1), member(2)])
    images, target = scene(4)
    index = torch.tensor([5, 3, 8, 1])
    together = attack(ensemble, images, target, index)
    for one in (slice(2, 3), slice(0, 1)):
        assert torch.equal(attack(ensemble, images[one], target[one], index[one]), together[one])


@every_kind
def test_an_image_that_is_void_everywhere_has_no_slope(kind):
    images, target = scene()
    target[0] = 255
    landscape = Landscape(
        kind([member(1), member(2)]),
        images,
        target,
        threat_model=Linf(8 / 255),
        objective=AdversarialSplit(),
        transforms=(),
        targeted=False,
        total=4,
        draws=Draws(torch.arange(2), 0),
    )
    found = landscape.value_and_gradient(torch.zeros_like(images), 2)
    assert found.value[0] == 0
    assert found.gradient[0].abs().max() == 0
    assert found.gradient[1].abs().max() > 0
