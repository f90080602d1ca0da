"""ALMA-prox: each of its parts against a closed form or a slow reference, and the whole."""

import math

import pytest
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor, nn

from project.attacks import DAG, PGD, ALMAProx
from project.attacks.noise.alma_prox import Multipliers, _Search, penalty, penalty_slope, shrunk
from project.core.errors import InputError
from tests.models import CurvedClassifier, CurvedSegmenter, eight_bit_images, predicted


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_proximal_step_minimises_its_objective():
    values, metric = draw(4, 3, 2, 5), draw(4, 3, 2, 5, seed=1).exp()
    low, high = -draw(4, 3, 2, 5, seed=2).abs(), draw(4, 3, 2, 5, seed=3).abs()
    weight = torch.tensor([0.01, 1.0, 8.0, 1e4], dtype=torch.float64)
    found = shrunk(values, weight, metric, low, high)
    for image in range(4):

        def objective(radius, image=image):
            point = values[image].clamp(low[image], high[image]).clamp(-radius, radius)
            error = (metric[image] * (point - values[image]) ** 2).sum() / 2
            return float(weight[image] * point.abs().max() + error)

        best = minimize_scalar(objective, bounds=(0, 5), options={"xatol": 1e-10}, method="bounded")
        radius = found[image].abs().max().item()
        assert objective(radius) <= best.fun + 1e-6
        expected = values[image].clamp(low[image], high[image]).clamp(-radius, radius)
        torch.testing.assert_close(found[image], expected)


def test_proximal_step_of_great_weight_is_zero_and_of_small_weight_a_projection():
    values, ones = draw(1, 3, 2, 5), torch.ones(1, 3, 2, 5, dtype=torch.float64)
    box = (-0.5 * ones, 0.7 * ones)
    nothing = shrunk(values, torch.tensor([1e9]).double(), ones, *box)
    torch.testing.assert_close(nothing, torch.zeros_like(ones), atol=1e-8, rtol=0)
    same = shrunk(values, torch.tensor([1e-12]).double(), ones, *box)
    torch.testing.assert_close(same, values.clamp(*box))


def test_penalty_is_smooth_at_zero_with_the_multiplier_as_its_slope():
    mu = torch.tensor([0.3, 1.0, 1e-3, 0.5], dtype=torch.float64)
    rho = torch.tensor([0.01, 4.0, 100.0, 1.0], dtype=torch.float64)
    for sign in (-1, 1):
        near = torch.full_like(mu, sign * 1e-12)
        torch.testing.assert_close(penalty_slope(near, rho, mu), mu)
    at = torch.tensor([-2.0, -0.1, 0.2, 3.0], dtype=torch.float64).requires_grad_()
    (slope,) = torch.autograd.grad(penalty(at, rho, mu).sum(), at)
    torch.testing.assert_close(penalty_slope(at, rho, mu), slope)
    torch.testing.assert_close(penalty(torch.zeros_like(mu), rho, mu), torch.zeros_like(mu))
    # By hand: y = 3, ρ = μ = 1: 3 + 9 + 27/6; y = -2: -2/(1 + 2).
    one = torch.ones(2, dtype=torch.float64)
    by_hand = penalty(torch.tensor([3.0, -2.0], dtype=torch.float64), one, one)
    torch.testing.assert_close(by_hand, torch.tensor([16.5, -2 / 3], dtype=torch.float64))


def test_penalty_parameter_grows_only_for_constraints_that_stay_unmet():
    met = torch.tensor([[False, True, False, False]])
    constraints = torch.tensor([[1.0, 1.0, 1.0, -1.0]])
    counted = torch.ones_like(met)
    multipliers = Multipliers(met)
    for step in range(10):
        # The second is met once; the third falls by a tenth at the end; the fourth is negative and
        # falls too, since "95 % of it" is then more.
        shrinking = constraints * torch.tensor([1, 1, 0.9 if step == 9 else 1, 2 if step else 1])
        multipliers.update(step, shrinking, counted, met & (step == 4))
    assert multipliers.rho.tolist() == [[0.02, 0.01, 0.01, 0.01]]
    for step in range(10, 20):
        multipliers.update(step, constraints, counted, met & False)
    assert multipliers.rho.tolist() == [[0.04, 0.02, 0.02, 0.02]]


def test_multiplier_follows_the_slope_of_what_counts():
    multipliers = Multipliers(torch.zeros(1, 3, dtype=torch.bool))
    constraints, counted = torch.tensor([[-4.0, 0.0, -4.0]]), torch.tensor([[True, True, False]])
    for step in range(3):
        multipliers.update(step, constraints, counted, ~counted)
    falling = 1.0
    for _ in range(2):  # the first step teaches nothing
        falling = 0.8 * falling + 0.2 * falling / (1 + 4) ** 2
    expected = torch.tensor([[falling, 1.0, 0.8**2]], dtype=torch.float64)
    torch.testing.assert_close(multipliers.mu, expected)


def test_constraints_that_are_never_met_do_not_overflow():
    multipliers = Multipliers(torch.zeros(1, 2, dtype=torch.bool))
    unmet, counted = torch.tensor([[0.5, 1.0]]), torch.ones(1, 2, dtype=torch.bool)
    for step in range(800):
        multipliers.update(step, unmet, counted, ~counted)
    assert (multipliers.rho == 1e13).all()
    slope = penalty_slope(unmet.double(), multipliers.rho, multipliers.mu).float()
    assert slope.isfinite().all()
    search = _Search(torch.full((1, 3, 2, 2), 0.5), torch.zeros(1, 2, 2, dtype=torch.int64))
    search.move(torch.full((1, 3, 2, 2), 1e26), torch.tensor([0.001]), 0)
    torch.testing.assert_close(search.perturbation, torch.full((1, 3, 2, 2), -0.001))


def test_ever_more_of_the_largest_constraints_are_left_out():
    attack = ALMAProx(share=0.5, steps=11)
    constraints = torch.tensor([[8.0, 7, 6, 5, 4, 3, 2, 1], [9.0, 9, 9, 9, 4, 3, 2, 1]])
    valid = torch.tensor([[True] * 8, [False] * 4 + [True] * 4])
    first = attack._counted(constraints, valid, 0)
    assert torch.equal(first, valid)
    middle = attack._counted(constraints, valid, 5)  # two of the first, one of the second
    assert middle.tolist() == [[False] + [True] * 7, [False] * 4 + [True] * 4]
    last = attack._counted(constraints, valid, 10)  # as published, the k-th largest still counts
    assert last.tolist() == [[False] * 3 + [True] * 5, [False] * 5 + [True] * 3]


def test_step_size_falls_from_the_first_success_on_to_its_last_share():
    attack = ALMAProx(steps=100, step_size=0.5, step_decay=0.1)
    found = torch.tensor([math.inf, 20.0, 50.0])
    assert attack._step_size(found, 20).tolist() == [0.5, 0.5, 0.5]
    torch.testing.assert_close(
        attack._step_size(found, 100), torch.tensor([0.5, 0.05, 0.05]), rtol=1e-6, atol=0
    )
    middle = attack._step_size(found, 60)[1].item()
    assert middle == pytest.approx(0.5 * (80 / 9) / (40 + 80 / 9))


def test_scale_falls_with_success_and_the_step_size_falls_from_the_first_one_on():
    search = _Search(torch.zeros(3, 3, 2, 2), torch.zeros(3, dtype=torch.int64))
    for step in range(6):
        reached = torch.tensor([step >= 2, False, step == 1])
        search.note(reached, step, latest=4)
    assert search.found.tolist() == [2, 4, 1]
    falling = [1.02**-4, 1.0, 0.98**-4 / 1.02]
    torch.testing.assert_close(search.scale, torch.tensor(falling).clamp(0.1, 1))
    for step in range(6, 150):
        search.note(torch.tensor([True, True, True]), step, latest=4)
    assert search.scale.tolist() == pytest.approx([0.1, 0.1, 0.1])


def test_constraint_is_met_only_a_little_beyond_a_tie():
    target = torch.zeros(1, dtype=torch.int64)
    for targeted in (False, True):
        attack = ALMAProx(targeted=targeted)
        search = _Search(torch.zeros(1, 3, 2, 2), target)
        tie = torch.tensor([[1.0, 1.0, 0.0, 0.0]])
        # 1e-4 over a spread of 1, and of the scale, the penalty and its multiplier 1 each.
        loss = attack._lagrangian(search, tie, target, 0)
        assert loss.item() == pytest.approx(1e-4, rel=1e-3)


class Sums(nn.Module):
    """Three classes whose logits are linear in the image."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = draw(3, 3 * 6 * 5, seed=5)

    def forward(self, images: Tensor) -> Tensor:
        return (images.flatten(1) - 0.5) @ self.weight.T


def test_linear_victim_is_fooled_by_almost_the_smallest_noise_there_is():
    victim, images = Sums(), (draw(4, 3, 6, 5).mul(20).add(128).round() / 255).clamp(0, 1)
    logits = victim(images)
    target = logits.argmax(1)
    least = []
    for logit, label in zip(logits, target, strict=True):
        leads = [
            (logit[label] - logit[k]) / (victim.weight[label] - victim.weight[k]).abs().sum()
            for k in range(3)
            if k != label
        ]
        least.append(math.ceil(255 * min(leads)))
    found = ALMAProx(steps=200).run(victim, images, target)
    size = ((found.images - images).abs() * 255).amax((1, 2, 3))
    assert found.success.all()
    assert (size <= torch.tensor(least) + 1).all()


def test_noise_is_smaller_than_what_other_attacks_need_for_the_same_share():
    victim, images = CurvedSegmenter().eval(), eight_bit_images(3)
    target = predicted(victim, images)
    target[1, :4] = 255
    found = ALMAProx(0.3, steps=120).run(victim, images, target)
    assert (found.facts["reached"] == 1).all()
    assert (found.fooled >= 0.3).all()
    size = (found.images - images).abs().amax((1, 2, 3))
    dag = DAG(0.3, 2 / 255).run(victim, images, target)
    assert (size < (dag.images - images).abs().amax((1, 2, 3))).all()
    smaller = PGD(size.min().item() / 2, 2 / 255, 20).run(victim, images, target)
    assert (smaller.fooled < 0.3).all()


def test_targets_are_reached_too_and_classifiers_are_maps_of_one_pixel():
    victim, images = CurvedClassifier().eval(), eight_bit_images(4)
    wanted = (predicted(victim, images) + 1) % 4
    found = ALMAProx(steps=60, targeted=True).run(victim, images, wanted)
    assert torch.equal(predicted(victim, found.images), wanted)
    assert ((found.images - images).abs().amax((1, 2, 3)) <= 8 / 255).all()


def test_images_of_few_or_no_valid_pixels_do_no_harm_to_their_mates():
    victim, images = CurvedSegmenter().eval().double(), eight_bit_images(3).double()
    target = predicted(victim, images)
    target[0] = 255
    target[1, 1:] = 255
    attack = ALMAProx(0.9, steps=20)
    found = attack.run(victim, images, target)
    assert (found.perturbation[0] == 0).all()
    assert found.facts["reached"][0] == 0
    assert found.perturbation.isfinite().all()
    for place in range(3):
        one = slice(place, place + 1)
        assert torch.equal(attack(victim, images[one], target[one]), found.images[one])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"share": 1.1}, r"share must be in \(0, 1\]"),
        ({"step_decay": 1.0}, r"step_decay in \(0, 1\), got 0.99 and 1.0"),
        ({"steps": 0}, "steps must be at least 1"),
        ({"step_size": 0.0}, "step_size must be greater than 0"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        ALMAProx(**arguments)


def test_victim_needs_three_classes():
    victim, images = CurvedClassifier(), eight_bit_images(2)
    target = predicted(victim, images)

    class Two(nn.Module):
        def forward(self, shown: Tensor) -> Tensor:
            return victim(shown)[:, :2]

    with pytest.raises(InputError, match="at least 3 classes"):
        ALMAProx(steps=2).run(Two(), images, target % 2)
