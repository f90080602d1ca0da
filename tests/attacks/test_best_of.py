"""The best of several attacks, image by image."""

import pytest
import torch
from torch import Tensor

from project.attacks import PGD, SSTA, BestOf
from project.errors import InputError
from tests.models import CurvedClassifier, eight_bit_images, predicted


def left(images: Tensor) -> Tensor:
    maps = torch.zeros(len(images), 1, *images.shape[2:])
    maps[..., : images.shape[3] // 2] = 1
    return maps


def right(images: Tensor) -> Tensor:
    return 1 - left(images)


def test_each_image_gets_the_success_that_changes_it_least():
    victim, images = CurvedClassifier().eval(), eight_bit_images(8)
    target = predicted(victim, images)
    parts = [SSTA(left, step_size=0.05), SSTA(right, step_size=0.05)]
    results = [part.run(victim, images, target) for part in parts]
    best = BestOf(parts).run(victim, images, target)
    choice = best.facts["choice"].long()
    assert set(choice.tolist()) == {0, 1}
    change = [(result.images - images).square().sum((1, 2, 3)) for result in results]
    for place, chosen in enumerate(choice.tolist()):
        kept, other = results[chosen], results[1 - chosen]
        for name in ("images", "float_images", "perturbation", "steps", "mask", "success"):
            assert torch.equal(getattr(best, name)[place], getattr(kept, name)[place]), name
        assert kept.fooled[place] >= other.fooled[place]
        if kept.fooled[place] == other.fooled[place]:
            assert change[chosen][place] <= change[1 - chosen][place]


def test_success_beats_a_smaller_change():
    victim, images = CurvedClassifier().eval(), eight_bit_images(4)
    target = predicted(victim, images)
    weak, strong = PGD(1 / 255, step_size=1 / 255, steps=1), PGD(16 / 255, steps=10)
    best = BestOf([weak, strong]).run(victim, images, target)
    assert torch.equal(best.success, strong.run(victim, images, target).success)


def test_attacks_that_do_not_mix_are_refused():
    with pytest.raises(InputError, match="at least two attacks"):
        BestOf([SSTA()])
    with pytest.raises(InputError, match="all targeted or all untargeted"):
        BestOf([SSTA(), SSTA(targeted=True)])
    victim, images = CurvedClassifier(), eight_bit_images(2)
    with pytest.raises(InputError, match="of one kind"):
        BestOf([SSTA(steps=2), PGD(0.1)]).run(victim, images, predicted(victim, images))
