"""Threat models inside a mask and flows: what each method leaves out."""

import pytest
import torch

from project.core import randomness
from project.threat_models import L2, Flow, Linf, Masked
from tests.models import eight_bit_images


@pytest.fixture
def masked_scene():
    images, index = eight_bit_images(3, 6, 9), torch.tensor([4, 9, 2])
    mask = torch.zeros(3, 1, 6, 9)
    mask[:, :, 2:4, 3:7] = 1
    return images, index, mask


INNER = pytest.mark.parametrize(
    "inner", [Linf(8 / 255), L2(1.0), Flow(2.0)], ids=["linf", "l2", "flow"]
)


@INNER
def test_masked_start_ascent_and_size_see_the_inside_only(masked_scene, inner):
    images, index, mask = masked_scene
    threat, outside = Masked(inner, mask), (mask == 0)
    start = threat.random(images, index, "key")
    assert (start.masked_select(outside) == 0).all()
    assert (threat.size(start) > 0).all()
    gradient = torch.randn(start.shape, generator=torch.Generator().manual_seed(1))
    ascent = threat.ascent(gradient)
    assert (ascent.masked_select(outside) == 0).all()
    torch.testing.assert_close(threat.size(ascent), torch.ones(3))  # the whole budget inside
    torch.testing.assert_close(threat.size(ascent + 100 * outside), torch.ones(3))


def test_random_flow_fills_its_budget_and_belongs_to_the_sample(masked_scene):
    images, index, _ = masked_scene
    for threat, bound in ((Flow(0.5), 0.5), (Flow(), 1.0)):
        flow = threat.random(images, index, "key")
        assert flow.shape == (3, 2, 6, 9)
        assert ((threat.size(flow) > 0.9 * bound) & (threat.size(flow) <= bound)).all()
        assert torch.equal(threat.random(images[1:2], index[1:2], "key"), flow[1:2])
        assert not torch.equal(flow[0], flow[1])


def test_normal_draws_belong_to_the_sample():
    both = randomness.normal((5,), torch.tensor([3, 4]), "a")
    assert not torch.equal(both[0], both[1])
    assert torch.equal(randomness.normal((5,), torch.tensor([4]), "a")[0], both[1])


def test_l2_step_has_unit_size_however_small_the_gradient():
    noise = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    for scale in (1.0, 1e-15, 1e-30):
        torch.testing.assert_close(L2(1.0).size(L2(1.0).ascent(noise * scale)), torch.ones(2))
    assert torch.equal(L2(1.0).ascent(torch.zeros(1, 3, 2, 2)), torch.zeros(1, 3, 2, 2))
