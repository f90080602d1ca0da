"""What `perturb_and_pullback` leaves out of a perturbed image changes nothing, bit for bit."""

import pytest
import torch
from torch import Tensor

from project.threat_models import L2, ChromaFlow, Flow, FlowAndNoise, Linf, Masked, ThreatModel

MASK = torch.rand(3, 1, 6, 9, generator=torch.Generator().manual_seed(3))
THREATS: dict[str, ThreatModel] = {
    "linf": Linf(0.3),
    "l2": L2(4.0),
    "flow": Flow(2.0),
    "chroma": ChromaFlow(2.0),
    "flow_and_noise": FlowAndNoise(2.0, 0.3),
    "masked_linf": Masked(Linf(0.3), MASK),
    "masked_l2": Masked(L2(4.0), MASK),
    "masked_flow": Masked(Flow(2.0), MASK),
}
every_threat = pytest.mark.parametrize("name", THREATS)


def images(dtype: torch.dtype) -> Tensor:
    """Return images of any values, many of them on or near a bound."""
    values = torch.rand(3, 3, 6, 9, generator=torch.Generator().manual_seed(1), dtype=dtype)
    values[0] *= 1e-6
    values[1] = 1 - values[1] * 1e-6
    values[2, 0], values[2, 1] = 0, 1
    return values


@every_threat
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_images_and_gradient_are_those_of_apply(name, dtype):
    threat, clean = THREATS[name], images(dtype)
    for seed in range(20):
        inside = threat.random(clean, torch.arange(3), seed)
        expected = threat.apply(clean, leaf := inside.clone().requires_grad_())
        upstream = torch.randn(clean.shape, generator=torch.Generator().manual_seed(seed)).to(dtype)
        (slope,) = torch.autograd.grad(expected, leaf, upstream)
        found, pull_back = threat.perturb_and_pullback(clean, inside)
        assert torch.equal(found, expected)
        assert not found.requires_grad
        assert torch.equal(pull_back(upstream), slope)


@pytest.mark.parametrize("eps", [0.01, 0.3, 1.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_noise_inside_the_range_is_never_cut(eps, dtype):
    generator = torch.Generator().manual_seed(0)
    clean = torch.rand(2000, 1, 8, 8, generator=generator, dtype=dtype)
    clean = clean ** (6 * torch.rand(2000, 1, 1, 1, generator=generator))
    clean[::2] = 1 - clean[::2]
    noise = torch.randn(clean.shape, generator=generator).to(dtype)
    for inside in (Linf(eps).project(clean, noise), Linf(eps).within_range(clean, noise)):
        for share in (1.0, torch.rand(2000, 1, 1, 1, generator=generator).to(dtype)):
            shown = clean + inside * share
            assert shown.amin() >= 0
            assert shown.amax() <= 1


@every_threat
def test_projecting_changes_its_argument_in_place_only_where_its_name_says_so(name):
    threat, clean = THREATS[name], images(torch.float32)
    far = 20 * torch.randn(threat.zeros(clean).shape, generator=torch.Generator().manual_seed(5))
    kept = far.clone()
    projected = threat.project(clean, far)
    assert torch.equal(far, kept)
    assert not torch.equal(projected, far)
    assert torch.equal(threat.projection(clean)(far), projected)


def test_masks_of_those_who_stay_stay():
    threat = THREATS["masked_linf"]
    rows = torch.tensor([True, False, True])
    noise, clean = torch.full((3, 3, 6, 9), 0.1), images(torch.float32)
    found = threat.at(rows).apply(clean[rows], noise[rows])
    assert torch.equal(found, threat.apply(clean, noise)[rows])
    assert Linf(0.1).at(rows).size(noise[rows]).shape == (2,)
