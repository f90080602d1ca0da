import math

import pytest
import torch

from project.attacks.gradient.objectives import TwoStage
from project.attacks.gradient.objectives.objective import Step
from project.attacks.gradient.schedules import step_factor
from project.core.randomness import Draws


def test_void_pixels_neither_resist_a_targeted_attack_nor_hold_up_its_stage():
    target = torch.tensor([[[0, 255], [1, 0]]])
    logits = 5.0 * torch.nn.functional.one_hot(target.where(target != 255, 2), 3)
    step = Step(1, 2, logits.permute(0, 3, 1, 2).float(), target, True, lambda: step.logits, {})
    assert not bool(step.resisting.any())
    TwoStage(stage_switch="all_fooled")(step)
    assert step.traces["stage"].tolist() == [2]


def test_cyclic_schedule_follows_its_formula():
    for number in range(1, 12):
        expected = 1 + 0.5 * math.sin(2 * math.pi * (number - 1) / 5)
        found = step_factor("cyclic", number, 11, Draws(torch.arange(1), "test"))
        assert found.item() == pytest.approx(expected)


def test_float_verdict_is_on_the_image_before_rounding():
    from project.attacks import SSTA
    from tests.attacks.flow.test_flow_attacks import STEEPNESS, RampVictim, everywhere, ramp

    # One step of 0.01 px fools in float, and is less than half a level.
    result = SSTA(everywhere, steps=1, step_size=0.01).run(
        RampVictim(3.501 * STEEPNESS), ramp(), torch.zeros(1, dtype=torch.int64)
    )
    assert result.success_float.tolist() == [True]
    assert result.success.tolist() == [False]
