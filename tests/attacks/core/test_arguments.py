"""Every argument of a recipe reaches the part that it is meant for."""

from dataclasses import replace

import pytest
import torch

from project.attacks import PGD, Margin, Momentum, SegPGD, TranSegPGD
from project.attacks.gradient.objectives import TwoStage
from tests.models import CurvedClassifier, CurvedSegmenter, eight_bit_images, predicted


@pytest.fixture
def scene():
    victim, images = CurvedSegmenter(), eight_bit_images(3)
    target = predicted(victim, images)
    target[:, 3:6, 4:9] = (target[:, 3:6, 4:9] + 1) % 4  # wrong from the start
    target[2, :4] = 255
    return victim, images, target


OTHERWISE = {
    PGD: [
        {"eps": 0.02},
        {"step_size": 0.003},
        {"steps": 5},
        {"random_start": False},
        {"norm": "l2", "eps": 0.5, "step_size": 0.1},
        {"objective": Margin()},
        {"rules": [Momentum()]},
        {"targeted": True},
        {"seed": 1},
    ],
    SegPGD: [
        {"random_start": False},
        {"norm": "l2", "eps": 0.5, "step_size": 0.1},
        {"rules": [Momentum()]},
        {"targeted": True},
        {"seed": 1},
    ],
    TranSegPGD: [
        {"gamma": 0.4},
        {"beta": 0.4},
        {"stage_switch": 0.2},
        {"stage_switch": "all_fooled"},
        {"step_schedule": "constant"},
        {"hard_weight": "wrong"},
        {"random_start": False},
        {"norm": "l2", "eps": 0.5, "step_size": 0.1},
        {"rules": [Momentum()]},
        {"targeted": True},
        {"seed": 1},
    ],
}


@pytest.mark.parametrize(
    ("kind", "change"),
    [(kind, change) for kind, changes in OTHERWISE.items() for change in changes],
    ids=lambda value: value.__name__ if isinstance(value, type) else "-".join(value),
)
def test_argument_changes_the_result(scene, kind, change):
    settings = {"steps": 8} | change
    default, other = kind(steps=8), kind(**settings)
    found, changed = (attack.run(*scene).float_images for attack in (default, other))
    assert not torch.equal(found, changed)


def test_transegpgd_hands_its_weights_to_its_objective():
    settings = {
        "gamma": 0.2,
        "beta": 0.3,
        "stage_switch": "all_fooled",
        "hard_weight": "wrong",
        "divergence": "clean_adversarial",
    }
    assert TranSegPGD(**settings).built().objective == TwoStage(**settings)


def test_defaults_are_those_of_the_paper_or_of_the_ports():
    attack = TranSegPGD()
    assert (attack.eps, attack.step_size, attack.steps) == (8 / 255, 2 / 255, 20)
    settings = attack.settings
    assert (settings.gamma, settings.beta, settings.stage_switch) == (0.1, 0.1, 0.5)
    assert (settings.hard_weight, settings.step_schedule) == ("correct", "uniform")


def test_uniform_step_size_is_drawn_anew_at_each_step():
    # One image, a loss whose sign gradient is constant: every step adds its own size.
    victim, images = CurvedClassifier().eval(), torch.full((1, 3, 12, 16), 128 / 255)
    target = predicted(victim, images)
    settings = {"eps": 1.0, "step_size": 1e-4, "step_schedule": "uniform", "random_start": False}
    sizes = []
    for steps in (1, 2, 3):
        attack = TranSegPGD(steps=steps, **settings)
        # A classifier's single element: all weights are equal, so this is PGD.
        change = attack.run(victim, images, target).float_images - images
        sizes.append(float(change.abs().amax()))
    draws = [sizes[0], sizes[1] - sizes[0], sizes[2] - sizes[1]]
    assert all(draw + 1e-7 >= 0.5e-4 and draw - 1e-7 <= 1.5e-4 for draw in draws)
    assert max(draws) - min(draws) > 1e-6


def test_second_stage_compares_with_the_clean_image_not_with_the_start(scene):
    victim, images, target = scene
    seen = []

    class Watching(TwoStage):
        def _transferable(self, step):
            seen.append(step.clean_logits())
            return super()._transferable(step)

    attack = TranSegPGD(steps=3, stage_switch=0.0).built()
    replace(attack, objective=Watching(stage_switch=0.0))(victim, images, target)
    with torch.no_grad():
        assert torch.equal(seen[-1], victim(images))
    assert seen[0] is seen[-1]


def test_step_sizes_belong_to_the_seed(scene):
    victim, images, target = scene
    first, second = (
        TranSegPGD(steps=3, random_start=False, seed=seed).run(victim, images, target).float_images
        for seed in (0, 1)
    )
    assert not torch.equal(first, second)
