"""SEA: the worst of several Auto-PGD runs for each image."""

import pytest
import torch
from torch import nn

from project.attacks import (
    APGD,
    SEA,
    AdversarialSplit,
    CrossEntropy,
    JensenShannon,
    MaskedCrossEntropy,
    MaskedNormalisedLogit,
    TwoStage,
)
from project.attacks.combined.sea import PRESETS, SHRINKING
from project.attacks.gradient.objectives import BalancedCrossEntropy
from project.core.errors import InputError
from project.core.identity import describe
from tests.models import CurvedSegmenter, eight_bit_images, predicted

EPS = 2 / 255


@pytest.fixture
def scene():
    victim, images = CurvedSegmenter().eval(), eight_bit_images(6)
    target = predicted(victim, images)
    target[:, :3] = 255
    target[2, 5:] = 255
    return victim, images, target


def runs(steps: int, targeted: bool = False) -> list[APGD]:
    parts = [MaskedCrossEntropy(), BalancedCrossEntropy(), JensenShannon()]
    settings = {"phases": SHRINKING, "targeted": targeted, "track": "cross_entropy"}
    return [APGD(EPS, steps, objective=part, **settings) for part in parts]


@pytest.mark.parametrize("targeted", [False, True])
def test_each_image_gets_the_worst_of_the_three_losses(scene, targeted):
    victim, images, target = scene
    if targeted:
        target = torch.where(target == 255, target, (target + 1) % 4)
    results = [run.run(victim, images, target) for run in runs(10, targeted)]
    shares = torch.stack([result.fooled for result in results])
    found = SEA(EPS, 10, targeted=targeted).run(victim, images, target)
    assert torch.equal(found.fooled, shares.amax(0))
    choice = found.facts["choice"].long()
    assert len(choice.unique()) > 1
    for place, chosen in enumerate(choice.tolist()):
        assert torch.equal(found.images[place], results[chosen].images[place])


def test_result_is_inside_the_budget_though_the_search_was_outside(scene):
    victim, images, target = scene
    reached: list[float] = []

    class Measured(nn.Module):
        def forward(self, shown):
            reached.append((shown - images).abs().max().item())
            return victim(shown)

    found = SEA(EPS, 10).run(Measured(), images, target)
    assert max(reached) == pytest.approx(2 * EPS, abs=1e-6)
    assert (found.images - images).abs().max() <= EPS + 1e-6
    assert (found.float_images - images).abs().max() <= EPS + 1e-6


def test_losses_are_a_choice_and_part_of_the_description(scene):
    attack = SEA(EPS, 6, objectives=[CrossEntropy(), JensenShannon()])
    assert tuple(run.objective for run in attack.best_of.attacks) == attack.objectives
    assert describe(attack)["objectives"] != describe(SEA(EPS, 6))["objectives"]
    assert set(attack.run(*scene).facts["choice"].tolist()) <= {0, 1}


def test_losses_that_apgd_cannot_compare_are_refused():
    with pytest.raises(InputError, match="TwoStage change their meaning"):
        SEA(objectives=[CrossEntropy(), TwoStage()], track="objective")
    with pytest.raises(InputError, match="at least two attacks, got 1"):
        SEA(objectives=[CrossEntropy()])


def test_presets_name_their_losses():
    losses = {
        name: [type(part) for part in SEA(preset=name).settings.objectives] for name in PRESETS
    }
    assert losses == {
        "paper": [MaskedCrossEntropy, BalancedCrossEntropy, JensenShannon],
        "released": [MaskedCrossEntropy, AdversarialSplit, JensenShannon, MaskedNormalisedLogit],
    }
    for name in PRESETS:
        runs = SEA(preset=name).best_of.attacks
        assert {(run.steps, run.track, run.random_start) for run in runs} == {
            (300, "cross_entropy", True)
        }


def test_released_losses_are_climbed_though_one_is_not_stationary(scene):
    found = SEA(EPS, 6, preset="released").run(*scene)
    assert set(found.facts["choice"].tolist()) <= {0, 1, 2, 3}
    with pytest.raises(InputError, match="AdversarialSplit change their meaning"):
        SEA(preset="released", track="objective")


def test_scaled_ensemble_is_one_of_another_budget(scene):
    scaled = SEA(2 * EPS, 6).scaled(0.5)
    assert scaled == SEA(EPS, 6)
    assert torch.equal(scaled(*scene), SEA(EPS, 6)(*scene))
