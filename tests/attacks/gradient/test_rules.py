"""What rules do to gradients: identities, closed forms, and loops written from the formulas."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from project.attacks import (
    MIFGSM,
    PGD,
    GradientAttack,
    GradientRule,
    Momentum,
    Nesterov,
    TopPixels,
    TranslationInvariant,
    Variance,
)
from project.attacks.gradient.objectives import CrossEntropy
from project.attacks.gradient.rules import StepContext
from project.core.errors import InputError
from project.core.randomness import Draws, uniform
from project.threat_models import L2, Flow, Linf, Masked, ThreatModel
from tests.models import CurvedClassifier, CurvedSegmenter, eight_bit_images, predicted

EPS, STEP = 4 / 255, 1 / 255
Gradient = Callable[[Tensor], Tensor]


@pytest.fixture
def scene() -> tuple[nn.Module, Tensor, Tensor]:
    victim, images = CurvedClassifier().double(), eight_bit_images(3).double()
    return victim, images, predicted(victim, images)


def here(threat_model: ThreatModel, images: Tensor, number: int = 1, total: int = 9) -> StepContext:
    draws = Draws(torch.arange(len(images)), "test")
    zeros = threat_model.zeros(images)
    return StepContext(
        number,
        total,
        images,
        zeros,
        STEP,
        threat_model,
        draws,
        lambda point, look: point,
        nn.Identity(),
    )


def plain(rules: list[GradientRule], steps: int = 6) -> PGD:
    return PGD(EPS, STEP, steps, random_start=False, rules=rules)


def gradient_of(victim: nn.Module, target: Tensor) -> Gradient:
    """Return the gradient of each image's cross-entropy, without any code of the project's."""

    def gradient(images: Tensor) -> Tensor:
        images = images.detach().requires_grad_()
        loss = F.cross_entropy(victim(images), target, reduction="sum")
        return torch.autograd.grad(loss, images)[0]

    return gradient


def normalised(gradient: Tensor) -> Tensor:
    return gradient / gradient.abs().mean((1, 2, 3), keepdim=True)


def stepped(images: Tensor, current: Tensor, direction: Tensor) -> Tensor:
    moved = current + STEP * direction.sign()
    return torch.minimum(torch.maximum(moved, images - EPS), images + EPS).clamp(0, 1)


@pytest.mark.parametrize(
    "rule",
    [
        Momentum(0.0),
        Nesterov(0.0),
        Variance(3, radius=0.0),
        TranslationInvariant(1),
        TopPixels(1.0),
    ],
    ids=lambda rule: type(rule).__name__,
)
@pytest.mark.parametrize("kind", [CurvedClassifier, CurvedSegmenter])
def test_rule_that_does_nothing_is_pgd_bit_for_bit(rule, kind):
    victim, images = kind(), eight_bit_images(3)
    target = predicted(victim, images)
    expected = plain([]).run(victim, images, target).float_images
    assert torch.equal(plain([rule]).run(victim, images, target).float_images, expected)


def test_nesterov_follows_its_formula_step_by_step(scene):
    victim, images, target = scene
    gradient = gradient_of(victim, target)
    current, total = images, torch.zeros_like(images)
    for _ in range(6):
        ahead = (current + STEP * 0.7 * total).clamp(0, 1)
        total = 0.7 * total + normalised(gradient(ahead))
        current = stepped(images, current, total)
    found = plain([Nesterov(0.7)]).run(victim, images, target).float_images
    torch.testing.assert_close(found, current, atol=1e-12, rtol=0)


def test_nesterov_goes_elsewhere_than_momentum(scene):
    with_momentum = MIFGSM(EPS, STEP, 6)(*scene)
    assert torch.equal(plain([Momentum()])(*scene), with_momentum)
    assert not torch.equal(plain([Nesterov()])(*scene), with_momentum)


@pytest.mark.parametrize(
    ("threat_model", "unit"),
    [
        (Linf(0.1), torch.inf),
        (Flow(2.0), torch.inf),
        (L2(1.0), 2),
        (Masked(Linf(0.1), torch.ones(2, 1, 5, 4)), torch.inf),
    ],
    ids=lambda value: type(value).__name__,
)
def test_look_ahead_along_a_constant_gradient_is_one_decayed_step(threat_model, unit):
    images = torch.full((2, 3, 5, 4), 0.5)
    start = threat_model.zeros(images)
    rule, memory = Nesterov(0.8), {}
    assert torch.equal(rule.ahead(start, memory, here(threat_model, images)), start)
    rule(torch.full_like(start, 1e-3), memory, here(threat_model, images))
    ahead = rule.ahead(start, memory, here(threat_model, images))
    size = torch.linalg.vector_norm(ahead.flatten(1), unit, dim=1)
    torch.testing.assert_close(size, torch.full((2,), 0.8 * STEP))


def variance_loop(
    scene: tuple[nn.Module, Tensor, Tensor], look_ahead: bool, name: str = "PGD"
) -> Tensor:
    """Return what VMI-FGSM or VNI-FGSM finds in 5 steps of 3 samples, with the project's draws."""
    victim, images, target = scene
    gradient = gradient_of(victim, target)
    current, total, variance = images, torch.zeros_like(images), torch.zeros_like(images)
    for number in range(1, 6):
        ahead = (current + STEP * total).clamp(0, 1) if look_ahead else current
        slope = gradient(ahead)
        total = total + normalised(slope + variance)
        variance = -slope
        for sample in range(3):
            key = (0, name, number, "rule", 0, "neighbour", sample)
            noise = 2 * uniform(images.shape[1:], torch.arange(3), *key).double() - 1
            variance = variance + gradient((current + 1.5 * EPS * noise).clamp(0, 1)) / 3
        current = stepped(images, current, total)
    return current


@pytest.mark.parametrize("then", [Momentum, Nesterov])
def test_variance_tuning_follows_its_formula_step_by_step(scene, then):
    found = plain([Variance(3), then()], 5).run(*scene).float_images
    expected = variance_loop(scene, look_ahead=then is Nesterov)
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)


def test_variance_of_a_linear_slope_is_that_of_the_noise():
    images = torch.full((2, 3, 5, 4), 0.5, dtype=torch.float64)
    rule, memory = Variance(400, radius=2.0), {}
    gradient = torch.zeros_like(images)
    assert torch.equal(rule(gradient, memory, here(Linf(0.1), images)), gradient)
    tuned = rule(gradient, memory, here(Linf(0.1), images, 2))
    assert 0 < tuned.abs().max() < 5 * 0.2 / 1200**0.5  # 5 σ of the mean of U(-0.2, 0.2)


def test_variance_keeps_nothing_of_the_last_step():
    images = torch.full((2, 3, 5, 4), 0.5)
    memory: dict[str, Tensor] = {}
    Variance(2)(torch.zeros_like(images), memory, here(Linf(0.1), images, 9, 9))
    assert not memory


@pytest.mark.parametrize(
    ("rules", "passes"),
    [
        ([], 4),
        ([Momentum()], 4),
        ([Nesterov()], 4),
        ([TranslationInvariant()], 4),
        ([Variance(3), Momentum()], 4 + 3 * 3),
    ],
)
def test_number_of_forward_passes_is_as_told(scene, rules, passes):
    victim, images, target = scene
    count = []
    victim.register_forward_hook(lambda *_: count.append(1))
    plain(rules, 4)(victim, images, target)
    assert len(count) == passes


def smooth(gradient: Tensor, **arguments: float) -> Tensor:
    rule = TranslationInvariant(**arguments)
    return rule(gradient, {}, here(Linf(0.1), gradient))


def test_kernel_sums_to_1():
    spike = torch.zeros(1, 1, 31, 33, dtype=torch.float64)
    spike[..., 15, 16] = 1
    smoothed = smooth(spike)
    assert smoothed.sum().item() == pytest.approx(1)
    assert torch.equal(smoothed[0, 0] > 0, _near(31, 33, 15, 16, 7))


def _near(height: int, width: int, row: int, column: int, radius: int) -> Tensor:
    rows = (torch.arange(height) - row).abs() <= radius
    columns = (torch.arange(width) - column).abs() <= radius
    return rows[:, None] & columns


def test_constant_gradient_is_unchanged_inside():
    gradient = torch.full((2, 3, 40, 30), 0.25, dtype=torch.float64)
    inner = smooth(gradient)[:, :, 7:-7, 7:-7]
    torch.testing.assert_close(inner, torch.full_like(inner, 0.25))


@pytest.mark.parametrize("size", [(40, 30), (5, 9), (1, 1)])
@pytest.mark.parametrize(("kernel_size", "reach"), [(15, 3.0), (7, 3.0), (5, 1.0), (1, 3.0)])
def test_smoothing_is_the_convolution_with_the_kernel_of_the_published_code(
    size, kernel_size, reach
):
    gradient = torch.randn(2, 3, *size, dtype=torch.float64)
    place = torch.linspace(-reach, reach, kernel_size, dtype=torch.float64)
    values = torch.exp(-(place**2) / 2)
    kernel = torch.outer(values, values) / values.sum() ** 2
    weight = kernel.expand(3, 1, -1, -1)
    expected = F.conv2d(gradient, weight, padding=kernel_size // 2, groups=3)
    torch.testing.assert_close(smooth(gradient, kernel_size=kernel_size, reach=reach), expected)


def test_translation_invariance_smooths_before_the_momentum(scene):
    victim, images, target = scene
    gradient = gradient_of(victim, target)
    current, total = images, torch.zeros_like(images)
    for _ in range(6):
        total = total + normalised(smooth(gradient(current)))
        current = stepped(images, current, total)
    found = plain([TranslationInvariant(), Momentum()]).run(*scene).float_images
    torch.testing.assert_close(found, current, atol=1e-12, rtol=0)


@pytest.mark.parametrize(("share", "moved"), [(0.25, 5), (0.01, 1), (0.3, 6), (1.0, 20)])
@pytest.mark.parametrize("channels", [2, 3])
def test_only_the_strongest_pixels_of_each_image_are_stepped_at(share, moved, channels):
    gradient = torch.randn(3, channels, 4, 5) * torch.tensor([1e-9, 1.0, 1e9]).view(3, 1, 1, 1)
    found = TopPixels(share)(gradient, {}, here(Linf(0.1), gradient))
    for one, other in zip(gradient, found, strict=True):
        strength = sorted((one[:, y, x].abs().max(), y, x) for y in range(4) for x in range(5))
        kept = {(y, x) for _, y, x in strength[-moved:]}
        for y in range(4):
            for x in range(5):
                expected = one[:, y, x] if (y, x) in kept else torch.zeros(channels)
                assert torch.equal(other[:, y, x], expected)


def test_an_image_without_gradient_stays_where_only_the_strongest_pixels_move(scene):
    victim, images, target = scene
    nothing = torch.zeros(2, 3, 4, 5)
    assert torch.equal(TopPixels()(nothing, {}, here(Linf(0.1), nothing)), nothing)
    moved = plain([TopPixels(0.25)], steps=1).run(victim, images, target).perturbation
    share = (moved != 0).any(1).double().mean((1, 2))
    assert (share <= 0.26).all()
    assert (share > 0).all()
    with pytest.raises(InputError, match=r"share must lie in \(0, 1\], got 0"):
        TopPixels(0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_smoothing_rounds_alike_in_every_batch(dtype):
    gradient = torch.randn(5, 3, 33, 47, dtype=dtype)
    together = smooth(gradient)
    assert all(torch.equal(smooth(gradient[n : n + 1])[0], together[n]) for n in range(5))


@pytest.mark.parametrize(
    ("threat_model", "budget"), [(L2(1.5), 1.5), (Flow(1.0), 1.0)], ids=["l2", "flow"]
)
def test_rules_serve_other_threat_models(scene, threat_model, budget):
    rules = [Variance(2), TranslationInvariant(), Nesterov()]
    attack = GradientAttack(threat_model, CrossEntropy(), 0.25, 6, rules=rules)
    victim, images, target = scene
    found = attack.run(victim, images, target)
    assert (threat_model.size(found.perturbation) <= budget + 1e-9).all()
    loss = F.cross_entropy(victim(found.float_images), target, reduction="none")
    assert (loss > F.cross_entropy(victim(images), target, reduction="none")).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TranslationInvariant(4), "must be odd"),
        (lambda: TranslationInvariant(-1), "must be odd"),
        (lambda: TranslationInvariant(reach=0), "reach greater than 0"),
        (lambda: Variance(0), "samples must be at least 1"),
        (lambda: Variance(radius=-1), "radius at least 0"),
    ],
)
def test_arguments_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
