import math

import pytest
import torch

from project.core.errors import InputError
from project.metrics import flow_facts

HEIGHT, WIDTH = 7, 9


def grids():
    y, x = torch.meshgrid(torch.arange(HEIGHT), torch.arange(WIDTH), indexing="ij")
    return x.double(), y.double()


def facts(dx, dy):
    flow = torch.stack(
        [torch.as_tensor(v, dtype=torch.float64).expand(HEIGHT, WIDTH) for v in (dx, dy)]
    )
    return {name: value.item() for name, value in flow_facts(flow[None]).items()}


def test_no_flow_does_nothing():
    nothing = {"flow_max": 0, "flow_mean": 0, "flow_tv": 0, "flow_folds": 0}
    assert facts(0.0, 0.0) == nothing


def test_translation_has_a_length_and_neither_variation_nor_folds():
    found = facts(3.0, -4.0)
    assert found == {"flow_max": 4, "flow_mean": 5, "flow_tv": 0, "flow_folds": 0}


@pytest.mark.parametrize("axis", ["x", "y"])
def test_linear_stretch_varies_by_its_slope_at_every_pair_of_neighbours(axis):
    x, y = grids()
    found = facts(0.25 * x, 0.0) if axis == "x" else facts(0.0, 0.25 * y)
    pairs = HEIGHT * (WIDTH - 1) if axis == "x" else (HEIGHT - 1) * WIDTH
    assert found["flow_tv"] == pytest.approx(0.25 * pairs / (HEIGHT * WIDTH), abs=1e-15)
    assert found["flow_max"] == 0.25 * ((WIDTH if axis == "x" else HEIGHT) - 1)
    assert found["flow_folds"] == 0


@pytest.mark.parametrize(("slope", "share"), [(-0.99, 0), (-1.0, 1), (-2.0, 1)])
def test_map_that_collapses_or_mirrors_an_axis_folds_everywhere(slope, share):
    x, y = grids()
    assert facts(slope * x, 0.0)["flow_folds"] == share
    assert facts(0.0, slope * y)["flow_folds"] == share


def test_mirror_of_both_axes_is_a_rotation_and_no_fold():
    x, y = grids()
    assert facts(-2 * x, -2 * y)["flow_folds"] == 0


def test_rotation_has_the_determinant_of_a_rotation():
    x, y = grids()
    angle = 1.2  # each diagonal entry is below 1/2, so the other two must count
    dx = math.cos(angle) * x - math.sin(angle) * y - x
    dy = math.sin(angle) * x + math.cos(angle) * y - y
    assert facts(dx, dy)["flow_folds"] == 0
    assert facts(dx, -dy - 2 * y)["flow_folds"] == 1


def test_one_column_that_jumps_over_the_next_folds_once_per_row():
    x, _ = grids()
    found = facts(torch.where(x == 4, 1.5, 0.0), 0.0)
    assert found["flow_folds"] == pytest.approx((HEIGHT - 1) / ((HEIGHT - 1) * (WIDTH - 1)))
    assert found["flow_tv"] == pytest.approx(2 * 1.5 * HEIGHT / (HEIGHT * WIDTH))


def test_budget_below_a_quarter_of_a_pixel_cannot_fold_and_one_above_can():
    signs = torch.ones(1, 2, 3, 3)
    signs[:, 0, 0, 1] = signs[:, 0, 1, 0] = signs[:, 1, 0, 1] = signs[:, 1, 1, 0] = -1
    assert flow_facts(0.2499 * signs)["flow_folds"].item() == 0
    assert flow_facts(0.2501 * signs)["flow_folds"].item() == 0.25


def test_facts_belong_to_each_flow_and_are_float64():
    flow = torch.randn(3, 2, 5, 6, generator=torch.Generator().manual_seed(0))
    together = flow_facts(flow)
    for n in range(3):
        alone = flow_facts(flow[n : n + 1])
        for name, values in together.items():
            assert values.dtype == torch.float64
            assert values[n].item() == pytest.approx(alone[name].item(), rel=1e-14)


def test_flow_of_one_pixel_has_no_neighbours():
    found = flow_facts(torch.ones(1, 2, 1, 1))
    assert (found["flow_tv"].item(), found["flow_folds"].item()) == (0, 0)


def test_perturbation_that_is_no_flow_is_refused():
    with pytest.raises(
        InputError, match=r"flow must be \(N, 2, H, W\) in pixels, got \(1, 3, 4, 4\)"
    ):
        flow_facts(torch.zeros(1, 3, 4, 4))
