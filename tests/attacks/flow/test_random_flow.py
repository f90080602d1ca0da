"""Random flows have the size of an attack's, and know nothing of the victim."""

import torch
from torch import Tensor

from project.attacks import RandomFlow
from tests.models import CurvedClassifier, eight_bit_images


def flows(attack: RandomFlow) -> Tensor:
    images = eight_bit_images(4)
    victim = CurvedClassifier().eval()
    return attack.run(victim, images, torch.zeros(4, dtype=torch.int64)).perturbation


def test_every_pixel_moves_by_the_whole_budget_in_either_direction():
    found = flows(RandomFlow(0.75))
    assert torch.equal(found.abs(), torch.full_like(found, 0.75))
    assert 0.4 < (found > 0).float().mean() < 0.6


def test_smooth_flows_reach_the_budget():
    found = flows(RandomFlow(0.75, smooth=2.0))
    torch.testing.assert_close(found.abs().amax((1, 2, 3)), torch.full((4,), 0.75))


def test_flows_are_of_the_seed_and_no_victim_is_asked():
    assert torch.equal(flows(RandomFlow(seed=3)), flows(RandomFlow(seed=3)))
    assert not torch.equal(flows(RandomFlow(seed=3)), flows(RandomFlow(seed=4)))
