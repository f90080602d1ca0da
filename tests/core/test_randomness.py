"""Draws belong to a key and a sample."""

import pytest
import torch

from project.core import randomness


def test_every_part_of_the_key_changes_the_draw():
    index = torch.tensor([3])
    draws = [
        randomness.uniform((4,), index, 0, "a").tolist(),
        randomness.uniform((4,), index, 1, "a").tolist(),
        randomness.uniform((4,), index, 0, "b").tolist(),
        randomness.uniform((4,), index, 0, "a", 1).tolist(),
        randomness.uniform((4,), torch.tensor([4]), 0, "a").tolist(),
    ]
    assert len({tuple(draw[0]) for draw in draws}) == len(draws)


def test_draws_follow_their_distributions():
    index = torch.arange(4)
    uniform = randomness.uniform((5000,), index, "u")
    normal = randomness.normal((5000,), index, "n")
    assert uniform.min() >= 0
    assert uniform.max() < 1
    assert uniform.mean().item() == pytest.approx(0.5, abs=0.02)
    assert normal.std().item() == pytest.approx(1, abs=0.02)
