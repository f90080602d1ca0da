"""AdvDrop against scipy's DCT, its formulas, and a slow copy of the whole search."""

import inspect
import math

import numpy as np
import pytest
import scipy.fft
import torch
from torch import nn

from project.attacks import AdvDrop
from project.attacks.noise.advdrop import rendered, soft_round, softness_at
from project.core.losses import cross_entropy
from project.images.dct import block_dct, block_idct
from project.images.eight_bit import to_8bit
from tests.models import CurvedClassifier, CurvedSegmenter, eight_bit_images, predicted


def random_levels(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return 255 * torch.rand(*shape, generator=generator, dtype=torch.float64)


def scipy_blocks(image):
    """Yield (place, coefficients) of every 8×8 block of a plane (H, W), edges repeated."""
    height, width = image.shape
    filled = np.pad(image, ((0, -height % 8), (0, -width % 8)), mode="edge")
    for top in range(0, height, 8):
        for left in range(0, width, 8):
            block = filled[top : top + 8, left : left + 8]
            yield (top // 8, left // 8), scipy.fft.dctn(block, norm="ortho")


@pytest.mark.parametrize("size", [(8, 8), (16, 24), (12, 17), (5, 9)])
def test_coefficients_are_scipys(size):
    images = random_levels(2, 3, *size)
    found = block_dct(images)
    assert found.shape == (2, 3, math.ceil(size[0] / 8), math.ceil(size[1] / 8), 8, 8)
    for sample in range(2):
        for channel in range(3):
            for place, expected in scipy_blocks(images[sample, channel].numpy()):
                np.testing.assert_allclose(found[sample, channel][place], expected, atol=1e-10)


@pytest.mark.parametrize("size", [(16, 24), (12, 17), (5, 9)])
def test_transform_is_undone_whatever_the_size(size):
    images = random_levels(2, 3, *size)
    torch.testing.assert_close(block_idct(block_dct(images), size), images)


def test_rounding_softly_follows_the_formula():
    values = torch.linspace(-3.3, 4.1, 50, dtype=torch.float64)
    for a in (0.3, 0.1, 1e-3, 1e-12):
        for value, found in zip(values.tolist(), soft_round(values, a).tolist(), strict=True):
            k, s = math.log(2 / a - 1), 1 / (1 - a)
            below = math.floor(value)
            expected = below + (s * math.tanh(k * (value - below - 0.5)) + 1) / 2
            assert found == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rounding_softly_leaves_integers_and_tends_to_rounding(dtype):
    whole = torch.arange(-20, 21, dtype=dtype)
    for a in (0.1, 0.01, 1e-6):
        torch.testing.assert_close(soft_round(whole, a), whole, rtol=0, atol=2e-5)
    values = torch.linspace(-5, 5, 997, dtype=dtype)
    values = values[((values % 1) - 0.5).abs() > 0.02]
    apart = [(soft_round(values, a) - values.round()).abs().amax() for a in (0.1, 1e-4, 1e-20)]
    assert apart[0] > apart[1] > apart[2]
    torch.testing.assert_close(
        soft_round(torch.tensor([0.5, 1.5], dtype=dtype), 1e-20), torch.tensor([0.5, 1.5]).to(dtype)
    )
    steep = values[((values % 1) - 0.5).abs() > 0.3]
    torch.testing.assert_close(soft_round(steep, 1e-20), steep.round(), rtol=0, atol=1e-5)


def test_softness_falls_linearly():
    values = [softness_at(step, 50) for step in range(51)]
    assert values[0] == 0.1
    assert values[-1] == 1e-20
    np.testing.assert_allclose(np.diff(values), -0.1 / 50, rtol=1e-12)


def test_gradient_of_the_table_is_finite_at_every_step_in_single_precision():
    images = torch.cat([eight_bit_images(1), torch.zeros(1, 3, 12, 16), torch.ones(1, 3, 12, 16)])
    coefficients = block_dct(images * 255 - 128)
    moved = 0
    for step in range(51):
        softness = softness_at(step, 50)
        for q in (5.0, 20.0, 60.0):
            table = torch.full_like(coefficients, q, requires_grad=True)
            found = rendered(coefficients, table, lambda v: soft_round(v, softness), (12, 16))  # noqa: B023
            (gradient,) = torch.autograd.grad(found.square().sum(), table)
            assert gradient.isfinite().all()
            moved += int((gradient[0] != 0).all())
    assert moved > 0


def test_gradient_of_soft_rounding_is_that_of_differences():
    values = torch.linspace(-2.4, 2.7, 30, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda v: soft_round(v, 0.1), values)


@pytest.mark.parametrize("rounding", [torch.round, lambda values: soft_round(values, 0.05)])
@pytest.mark.parametrize("size", [(16, 24), (12, 17)])
def test_rendering_with_vanishing_q_is_the_identity(rounding, size):
    images = random_levels(2, 3, *size) / 255
    coefficients = block_dct(images * 255 - 128)
    apart = []
    for q in (10.0, 1e-2, 1e-6):
        found = rendered(coefficients, torch.full_like(coefficients, q), rounding, size)
        apart.append((found - images).abs().amax())
    assert apart[0] > 0.01 > apart[1] > apart[2]
    assert apart[2] < 1e-7


def test_rendering_rounds_every_coefficient_to_a_multiple_of_its_q():
    images = random_levels(1, 3, 12, 17, seed=1) / 255
    coefficients = block_dct(images * 255 - 128)
    table = 5 + random_levels(*coefficients.shape, seed=2) / 5
    found = rendered(coefficients, table, torch.round, (12, 17))
    for channel in range(3):
        plane = images[0, channel].numpy() * 255 - 128
        for (row, column), block in scipy_blocks(plane):
            q = table[0, channel, row, column].numpy()
            expected = scipy.fft.idctn(np.round(block / q) * q, norm="ortho") + 128
            part = found[0, channel, 8 * row : 8 * row + 8, 8 * column : 8 * column + 8].numpy()
            height, width = part.shape
            np.testing.assert_allclose(
                part * 255, expected.clip(0, 255)[:height, :width], atol=1e-9
            )


class Search:
    """AdvDrop on one image, written down from the formulas, with scipy's DCT as a matrix."""

    def __init__(self, victim, target, attack):
        self.victim, self.target, self.attack = victim, target, attack
        matrix = scipy.fft.dct(np.eye(8), axis=0, norm="ortho")
        self.matrix = torch.from_numpy(matrix)

    def draw(self, levels, table, rounding):
        result = torch.zeros_like(levels)
        for top in range(0, levels.shape[1], 8):
            for left in range(0, levels.shape[2], 8):
                spot = (..., slice(top, top + 8), slice(left, left + 8))
                block = self.matrix @ (levels[spot] - 128) @ self.matrix.T
                block = rounding(block / table[spot]) * table[spot]
                result[spot] = self.matrix.T @ block @ self.matrix + 128
        return result.clamp(0, 255) / 255

    def run(self, image):
        """Return the image, the steps and the mean q."""
        attack, levels = self.attack, image * 255
        table = torch.full_like(levels, attack.q_size)
        for step in range(attack.steps + 1):
            hard = self.draw(levels, table, torch.round)
            hit = self.victim(to_8bit(hard)[None]).argmax(1) == self.target
            if bool(hit) == attack.targeted or step == attack.steps:
                return hard, step, table.mean()
            table.requires_grad_()
            a = 0.1 + (1e-20 - 0.1) / attack.steps * step
            soft = self.draw(levels, table, lambda v: soft_round(v, a))  # noqa: B023
            loss = nn.functional.cross_entropy(self.victim(soft[None]), self.target)
            (gradient,) = torch.autograd.grad(loss if attack.targeted else -loss, table)
            table = table.detach() - attack.step_size * gradient.sign()
            table = table.clamp(attack.q_min, attack.q_size)
        raise AssertionError


@pytest.mark.parametrize("targeted", [False, True])
def test_search_is_that_of_the_formulas(targeted):
    victim = CurvedClassifier((16, 24)).double().eval()
    images = eight_bit_images(6, 16, 24, seed=3).double()
    target = predicted(victim, images)
    target = victim(images).topk(2).indices[:, 1] if targeted else target
    attack = AdvDrop(15.0, steps=4, step_size=0.7, q_min=4.0, targeted=targeted)
    result = attack.run(victim, images, target)
    assert len(set(result.steps.tolist())) > 2  # images leave one after another
    for place in range(6):
        search = Search(victim, target[place : place + 1], attack)
        expected, steps, q_mean = search.run(images[place])
        assert result.steps[place] == steps
        torch.testing.assert_close(result.float_images[place], expected, rtol=0, atol=1e-9)
        torch.testing.assert_close(result.facts["q_mean"][place], q_mean)
        assert torch.equal(result.images[place], to_8bit(expected))
    assert torch.equal(result.perturbation, result.float_images - images)


def test_image_is_attacked_as_if_alone_though_others_leave():
    victim = CurvedClassifier().double().eval()
    images = eight_bit_images(8).double()
    target = predicted(victim, images)
    attack = AdvDrop(15.0, steps=6, q_min=2.0)
    together = attack.run(victim, images, target)
    assert len(set(together.steps.tolist())) > 2
    for place in range(8):
        one = slice(place, place + 1)
        alone = attack.run(victim, images[one], target[one])
        assert torch.equal(alone.images, together.images[one])
        assert torch.equal(alone.steps, together.steps[one])
        assert torch.equal(alone.facts["q_mean"], together.facts["q_mean"][one])


def test_images_that_left_are_not_asked_about_again():
    class Counting(CurvedClassifier):
        asked = 0

        def forward(self, images):
            self.asked += len(images)
            return super().forward(images)

    victim, images = Counting().eval(), eight_bit_images(8)
    target = predicted(victim, images)
    victim.asked = 0
    attack = AdvDrop(15.0, steps=6, q_min=2.0)
    result = attack.run(victim, images, target)
    # One look per iterate, one gradient per update, and the verdict of ``run`` on each image.
    assert victim.asked == int((2 * result.steps + 1).sum()) + 2 * 8
    assert len(set(result.steps.tolist())) > 2
    assert result.success[result.steps < 6].all()


def test_success_that_8_bits_cannot_hold_is_none():
    class Fractions(nn.Module):
        """Fooled by whatever lies between two 8-bit values."""

        def forward(self, images):
            levels = images * 255
            between = (levels - levels.detach().round()).abs().mean((1, 2, 3))
            return torch.stack([torch.full_like(between, 1e-3), between], 1)

    images, target = eight_bit_images(2), torch.zeros(2, dtype=torch.int64)
    result = AdvDrop(10.0, steps=3).run(Fractions(), images, target)
    assert result.success_float.all()
    assert not result.success.any()
    assert result.steps.tolist() == [3, 3]


@pytest.mark.parametrize("targeted", [False, True])
def test_updates_lead_where_the_attack_wants(targeted):
    victim, images = CurvedSegmenter().double().eval(), eight_bit_images(3, 16, 16).double()
    target = predicted(victim, images)
    target = (target + 1) % 4 if targeted else target
    losses = []
    for steps in (1, 30):
        found = AdvDrop(40.0, steps=steps, targeted=targeted).run(victim, images, target)
        losses.append(cross_entropy(victim(found.float_images), target).mean((1, 2)))
    change = losses[1] - losses[0]
    assert (change < 0).all() if targeted else (change > 0).all()


def test_void_pixels_weigh_nothing_and_need_not_be_fooled():
    victim, images = CurvedSegmenter().double().eval(), eight_bit_images(2, 16, 16).double()
    target = torch.full((2, 16, 16), 255)
    target[:, 4, 3] = predicted(victim, images)[:, 4, 3]
    attack = AdvDrop(60.0, steps=80)
    result = attack.run(victim, images, target)
    assert result.success.all()
    assert (result.steps < 80).all()
    # What lies in blocks that a valid pixel does not see keeps its q, whatever the rest does.
    images[:, :, 8:, 8:] = eight_bit_images(2, 8, 8, seed=5)
    other = attack.run(victim, images, target)
    assert torch.equal(other.steps, result.steps)
    assert torch.equal(other.facts["q_mean"], result.facts["q_mean"])


def test_tables_stay_within_their_bounds():
    victim, images = CurvedSegmenter().eval(), eight_bit_images(2)
    target = predicted(victim, images)
    fine = AdvDrop(20.0, steps=3, step_size=100.0, q_min=6.0).run(victim, images, target)
    assert ((fine.facts["q_mean"] > 6) & (fine.facts["q_mean"] < 20)).all()
    fixed = AdvDrop(20.0, steps=3, q_min=20.0).run(victim, images, target)
    assert torch.equal(fixed.facts["q_mean"], torch.full((2,), 20.0))
    coefficients = block_dct(images * 255 - 128)
    only = rendered(coefficients, torch.full_like(coefficients, 20.0), torch.round, (12, 16))
    torch.testing.assert_close(fixed.float_images, only)


def test_presets_are_those_of_the_docstring():
    paper, fast = AdvDrop(), AdvDrop(preset="fast")
    assert (paper.q_size, paper.q_min, fast.q_size, fast.q_min) == (60, 5, 60, 5)
    assert (paper.settings.steps, paper.settings.step_size) == (50, 1)
    assert (fast.settings.steps, fast.settings.step_size) == (15, 3)
    assert AdvDrop(preset="fast", steps=7).settings.steps == 7
    told = inspect.getsource(AdvDrop)
    assert "50 steps of size 1" in told
    assert "15 steps of size 3" in told


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"preset": "slow"}, "preset must be one of paper, fast, got 'slow'"),
        ({"q_size": 4.0}, "q_min must be greater than 0 and at most q_size, got 5.0 and 4.0"),
        ({"q_min": 0.0}, "q_min must be greater than 0"),
        ({"steps": 0}, "steps must be at least 1"),
        ({"step_size": 0.0}, "step_size must be greater than 0"),
    ],
)
def test_arguments_out_of_range_are_rejected(wrong, message):
    with pytest.raises(ValueError, match=message):
        AdvDrop(**wrong)
