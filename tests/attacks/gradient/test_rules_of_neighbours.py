"""PGN, GRA and MEF against loops written from their formulas, in float64."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from project.attacks import (
    APGD,
    GRA,
    MEF,
    PGD,
    PGN,
    CrossEntropy,
    GradientAttack,
    GradientRule,
    Momentum,
    Nesterov,
    TranSegPGD,
)
from project.core.errors import InputError
from project.core.randomness import uniform
from project.threat_models import L2, Flow
from tests.models import CurvedClassifier, CurvedSegmenter, eight_bit_images, predicted

EPS, STEP, STEPS, SAMPLES = 4 / 255, 1 / 255, 6, 3
Scene = tuple[nn.Module, Tensor, Tensor]


@pytest.fixture(params=[CurvedClassifier, CurvedSegmenter])
def scene(request) -> Scene:
    victim, images = request.param().double(), eight_bit_images(3).double()
    return victim, images, predicted(victim, images)


def plain(rules: list[GradientRule]) -> PGD:
    return PGD(EPS, STEP, STEPS, random_start=False, rules=rules)


def gradient(scene: Scene, places: Tensor) -> Tensor:
    """Return the gradient of each image's mean cross-entropy, without any code of the project's."""
    victim, _, target = scene
    places = places.detach().requires_grad_()
    losses = F.cross_entropy(victim(places), target, reduction="none")
    return torch.autograd.grad(losses.reshape(len(target), -1).mean(1).sum(), places)[0]


def noise(scene: Scene, number: int, sample: int) -> Tensor:
    """Return the project's draw from U(-1, 1) for one neighbour of one step."""
    key = (0, "PGD", number, "rule", 0, "neighbour", sample)
    return 2 * uniform(scene[1].shape[1:], torch.arange(3), *key).double() - 1


def normalised(values: Tensor) -> Tensor:
    return values / values.abs().mean((1, 2, 3), keepdim=True)


def stepped(images: Tensor, current: Tensor, direction: Tensor) -> Tensor:
    moved = current + STEP * direction
    return torch.minimum(torch.maximum(moved, images - EPS), images + EPS).clamp(0, 1)


def pgn_loop(scene: Scene, balance: float) -> Tensor:
    current, total = scene[1], torch.zeros_like(scene[1])
    for number in range(1, STEPS + 1):
        mean = torch.zeros_like(current)
        for sample in range(SAMPLES):
            near = (current + 3 * EPS * noise(scene, number, sample)).clamp(0, 1)
            first = gradient(scene, near)
            second = gradient(scene, (near - STEP * normalised(first)).clamp(0, 1))
            mean += ((1 - balance) * first + balance * second) / SAMPLES
        total = total + normalised(mean)
        current = stepped(scene[1], current, total.sign())
    return current


@pytest.mark.parametrize("balance", [0.0, 0.5, 1.0])
def test_pgn_follows_its_formula_step_by_step(scene, balance):
    found = plain([PGN(SAMPLES, balance=balance), Momentum()]).run(*scene).float_images
    torch.testing.assert_close(found, pgn_loop(scene, balance), atol=1e-12, rtol=0)


def test_pgn_goes_elsewhere_where_the_norm_is_not_penalised(scene):
    with_penalty = plain([PGN(SAMPLES), Momentum()])(*scene)
    assert not torch.equal(plain([PGN(SAMPLES, balance=0.0), Momentum()])(*scene), with_penalty)


def gra_loop(scene: Scene, damping: float) -> Tensor:
    current, total = scene[1], torch.zeros_like(scene[1])
    lengths = torch.full_like(total, 1 / damping)
    for number in range(1, STEPS + 1):
        here, mean = gradient(scene, current), torch.zeros_like(current)
        for sample in range(SAMPLES):
            near = (current + 3.5 * EPS * noise(scene, number, sample)).clamp(0, 1)
            mean += gradient(scene, near) / SAMPLES
        cosine = F.cosine_similarity(here.flatten(1), mean.flatten(1)).view(-1, 1, 1, 1)
        before, total = total, total + normalised(cosine * here + (1 - cosine) * mean)
        lengths = torch.where(total.sign() == before.sign(), lengths, damping * lengths)
        current = stepped(scene[1], current, lengths * total.sign())
    return current


@pytest.mark.parametrize("damping", [0.94, 0.5, 1.0])
def test_gra_follows_its_formula_step_by_step(scene, damping):
    found = plain([GRA(SAMPLES, damping=damping), Momentum()]).run(*scene).float_images
    torch.testing.assert_close(found, gra_loop(scene, damping), atol=1e-12, rtol=0)


def test_values_that_turn_round_move_less(scene):
    victim, images, target = scene
    found = plain([GRA(SAMPLES, damping=0.5), Momentum()]).run(victim, images, target)
    moved = (found.float_images - images).abs() / STEP
    assert not torch.allclose(moved, moved.round(), atol=1e-6)
    whole = plain([GRA(SAMPLES, damping=1.0), Momentum()]).run(victim, images, target)
    moved = (whole.float_images - images).abs() / STEP
    torch.testing.assert_close(moved, moved.round(), atol=1e-6, rtol=0)


def mef_loop(scene: Scene, reach: float) -> Tensor:
    current, total = scene[1], torch.zeros_like(scene[1])
    displaced = [torch.zeros_like(current) for _ in range(SAMPLES)]
    for number in range(1, STEPS + 1):
        found = []
        for sample in range(SAMPLES):
            place = current + 2 * EPS * noise(scene, number, sample)
            found.append(gradient(scene, (place + reach * STEP * displaced[sample]).clamp(0, 1)))
            displaced[sample] = normalised(found[sample]) - 0.9 * displaced[sample]
        total = 0.5 * total + normalised(torch.stack(found).mean(0))
        current = stepped(scene[1], current, total.sign())
    return current


@pytest.mark.parametrize("reach", [1.5, 0.0, -1.5])
def test_mef_follows_its_formula_step_by_step(scene, reach):
    found = plain([MEF(SAMPLES, reach=reach), Momentum(0.5)]).run(*scene).float_images
    torch.testing.assert_close(found, mef_loop(scene, reach), atol=1e-12, rtol=0)


@pytest.mark.parametrize(
    "rule", [PGN(1, radius=0.0, balance=0.0), MEF(1, radius=0.0), GRA(1, radius=0.0, damping=1.0)]
)
def test_a_neighbourhood_of_one_place_is_pgd(scene, rule):
    expected = plain([]).run(*scene).float_images
    if isinstance(rule, MEF):
        rule = MEF(1, radius=0.0, reach=0.0)
    torch.testing.assert_close(plain([rule]).run(*scene).float_images, expected)


def test_neighbours_lie_around_the_place_that_later_rules_look_from(scene):
    victim, images, target = scene
    attack = PGD(EPS, STEP, 2, random_start=False, rules=[PGN(1, 0.0, balance=0.0), Nesterov()])
    expected = PGD(EPS, STEP, 2, random_start=False, rules=[Nesterov()])
    torch.testing.assert_close(
        attack.run(victim, images, target).float_images,
        expected.run(victim, images, target).float_images,
    )


def passes(attack: PGD, scene: Scene) -> int:
    count: list[int] = []
    handle = scene[0].register_forward_hook(lambda *_: count.append(1))
    attack(*scene)
    handle.remove()
    return len(count)


@pytest.mark.parametrize(("rule", "step"), [(PGN(3), 6), (GRA(3), 4), (MEF(3), 3)])
def test_a_step_costs_the_passes_that_it_tells(scene, rule, step):
    assert passes(plain([rule, Momentum()]), scene) == STEPS * step


@pytest.mark.parametrize("rule", [PGN(2), GRA(2), MEF(2)])
@pytest.mark.parametrize(("kind", "bound"), [(L2, 1.5), (Flow, 1.0)])
def test_they_serve_other_threat_models(scene, kind, bound, rule):
    victim, images, target = scene
    threat_model = kind(bound)
    rules = [rule, Momentum()]
    found = GradientAttack(threat_model, CrossEntropy(), 0.25, 6, rules=rules).run(*scene)
    assert (threat_model.size(found.perturbation) <= bound + 1e-9).all()
    losses = [F.cross_entropy(victim(each), target) for each in (found.float_images, images)]
    assert losses[0] > losses[1]


@pytest.mark.parametrize("rule", [PGN(2), GRA(2), MEF(2)])
def test_tiny_gradients_count_as_well_as_large_ones(rule):
    class Confident(CurvedClassifier):
        def forward(self, images: Tensor) -> Tensor:
            return 1e-30 * super().forward(images)

    images = eight_bit_images(2)
    target = predicted(CurvedClassifier(), images)
    found = plain([rule, Momentum()]).run(Confident(), images, target).float_images
    assert ((found - images).abs().amax((1, 2, 3)) > 2 / 255).all()


@pytest.mark.parametrize("rule", [PGN(2), GRA(2), MEF(2)])
def test_they_combine_with_objectives_that_remember(rule):
    images = eight_bit_images(2)
    victim = CurvedSegmenter()
    attack = TranSegPGD(EPS, STEP, 4, stage_switch="all_fooled", rules=[rule, Momentum()])
    assert not torch.equal(attack(victim, images, predicted(victim, images)), images)


def test_apgd_refuses_rules_that_look_elsewhere_or_size_steps():
    for rule in (PGN(2), MEF(2)):
        with pytest.raises(InputError, match=f"must not look ahead, got {type(rule).__name__}"):
            APGD(EPS, rules=[rule])
    with pytest.raises(InputError, match=r"APGD chooses the lengths of its steps.*got GRA"):
        APGD(EPS, rules=[GRA(2)])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PGN(0), "samples must be at least 1"),
        (lambda: PGN(radius=-1), "radius at least 0"),
        (lambda: PGN(balance=1.5), r"balance in \[0, 1\]"),
        (lambda: GRA(0), "samples must be at least 1"),
        (lambda: GRA(damping=0), r"damping in \(0, 1\]"),
        (lambda: MEF(0), "samples must be at least 1"),
        (lambda: MEF(radius=-1), "radius at least 0"),
    ],
)
def test_arguments_out_of_range_are_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()
