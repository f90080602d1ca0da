"""Step-size schedules against their formulas."""

import math
from typing import get_args

import pytest
import torch

from project.attacks import TranSegPGD
from project.attacks.gradient.schedules import StepSchedule, step_factor
from project.core.randomness import Draws


class Quarter(Draws):
    """Draws that are always 0.25."""

    def uniform(self, *shape: int) -> torch.Tensor:
        return torch.full((len(self.index), *shape), 0.25)

    def keyed(self, *key: int | str) -> Draws:
        return self


def factors(schedule: str, total: int) -> list[float]:
    return [
        float(step_factor(schedule, number, total, Quarter(torch.tensor([3]), "test")))
        for number in range(1, total + 1)
    ]


def test_constant_schedule_is_1():
    assert factors("constant", 7) == [1.0] * 7


def test_cosine_schedule_falls_from_2():
    found = factors("cosine", 10)
    assert found[0] == 2
    assert found == sorted(found, reverse=True)
    assert found[5] == pytest.approx(1 + math.cos(math.pi / 2))


def test_linear_schedule_falls_in_equal_steps_to_almost_0():
    assert factors("linear", 4) == pytest.approx([8 / 5, 6 / 5, 4 / 5, 2 / 5])


def test_rising_schedule_ends_at_2():
    found = factors("rising", 10)
    assert found[-1] == pytest.approx(2)
    assert found == sorted(found)


def test_uniform_schedule_is_the_draw_moved_to_one_half_to_three_halves():
    assert factors("uniform", 3) == [0.75] * 3


@pytest.mark.parametrize("schedule", [s for s in get_args(StepSchedule) if s != "uniform"])
def test_mean_step_over_a_run_is_the_step_size(schedule):
    found = factors(schedule, 20)
    # The rising and falling sums miss the integral by half a step of the end value.
    assert sum(found) / 20 == pytest.approx(1, abs=0.051)


def test_unknown_schedule_is_named_with_the_known_ones():
    with pytest.raises(ValueError, match=r"one of constant, uniform.*got 'quadratic'"):
        TranSegPGD(step_schedule="quadratic")
