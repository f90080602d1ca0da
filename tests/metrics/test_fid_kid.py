import math

import numpy as np
import pytest
import scipy.linalg
import torch
from torch import nn
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance

from project.metrics import frechet_distance, kernel_distance, paired_kernel_distance


class AsTheyAre(nn.Module):
    """Stands for a network: what torchmetrics takes for images are features already."""

    num_features = 6

    def forward(self, images):
        return images.flatten(1)


def sets(count=40, other=None, dimension=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    first = torch.randn(count, dimension, generator=generator, dtype=torch.float64)
    mix = torch.randn(dimension, dimension, generator=generator, dtype=torch.float64)
    drawn = torch.randn(other or count, dimension, generator=generator, dtype=torch.float64)
    return first, 0.3 + drawn @ mix / 2


def by_square_root(first, second):
    """FID as it is written, with scipy's matrix square root."""
    shift = ((first.mean(0) - second.mean(0)) ** 2).sum()
    one, two = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    return shift + np.trace(one + two - 2 * scipy.linalg.sqrtm(one @ two).real)


def by_pairs(first, second):
    """KID as it is written, pair by pair."""
    kernel = lambda x, y: (sum(x * y) / len(x) + 1) ** 3  # noqa: E731
    others = [
        np.mean([kernel(x, y) for i, x in enumerate(one) for j, y in enumerate(one) if i != j])
        for one in (first, second)
    ]
    return sum(others) - 2 * np.mean([kernel(x, y) for x in first for y in second])


def test_fid_of_two_gaussians_on_a_line_is_closed_form():
    first = torch.tensor([[0.0], [2.0]]), torch.tensor([[5.0], [5.0], [11.0]])
    # means 1 and 7, variances 2 and 12: 36 + (√2 − √12)²
    assert frechet_distance(*first) == pytest.approx(36 + (math.sqrt(2) - math.sqrt(12)) ** 2)


@pytest.mark.parametrize("counts", [(40, 40), (40, 25), (6, 9)])
def test_fid_is_that_of_the_matrix_square_root(counts):
    first, second = sets(*counts)
    expected = by_square_root(first.numpy(), second.numpy())
    assert frechet_distance(first, second) == pytest.approx(expected, rel=1e-6)
    assert frechet_distance(second, first) == pytest.approx(expected, rel=1e-6)


def test_fid_with_fewer_images_than_features_is_that_of_their_common_subspace():
    first, second = sets(4, 5, dimension=12)
    both = torch.cat([first, second])
    basis = torch.linalg.svd(both, full_matrices=False).Vh
    expected = frechet_distance(first @ basis.T, second @ basis.T)
    assert frechet_distance(first, second) == pytest.approx(expected, rel=1e-12)
    one, two = (np.cov(x.numpy(), rowvar=False) for x in (first, second))
    overlap = np.sqrt(np.linalg.eigvals(one @ two).real.clip(0)).sum()
    shift = float((first.mean(0) - second.mean(0)).square().sum())
    slow = shift + np.trace(one + two) - 2 * overlap
    assert frechet_distance(first, second) == pytest.approx(slow, rel=1e-5)


def test_fid_is_that_of_torchmetrics():
    first, second = sets(30)
    theirs = FrechetInceptionDistance(
        AsTheyAre(), normalize=True, input_img_size=(6, 1, 1)
    ).set_dtype(torch.float64)
    theirs.update(first.view(-1, 6, 1, 1), real=True)
    theirs.update(second.view(-1, 6, 1, 1), real=False)
    assert frechet_distance(first, second) == pytest.approx(theirs.compute().item(), rel=1e-5)


def test_fid_of_a_set_with_itself_is_0():
    first, _ = sets(5, dimension=20)
    assert 0 <= frechet_distance(first, first) < 1e-12
    assert 0 <= frechet_distance(first, first.flip(0)) < 1e-12


def test_fid_of_shifted_features_is_the_squared_shift():
    first, _ = sets(20)
    assert frechet_distance(first, first + 3) == pytest.approx(6 * 9, rel=1e-12)


def test_kid_is_the_formula_pair_by_pair():
    first, second = sets(9, 7)
    expected = by_pairs(first.numpy(), second.numpy())
    assert kernel_distance(first, second) == pytest.approx(expected, rel=1e-12)


def test_kid_in_blocks_is_kid_at_once(monkeypatch):
    first, second = sets(9, 7)
    expected = kernel_distance(first, second)
    monkeypatch.setattr("project.metrics.fid_kid._ROWS", 2)
    assert kernel_distance(first, second) == pytest.approx(expected, rel=1e-13)


@pytest.mark.filterwarnings("ignore:Metric `Kernel Inception Distance` will save")
def test_kid_is_that_of_torchmetrics_with_one_subset_of_all():
    first, second = sets(30)
    theirs = KernelInceptionDistance(AsTheyAre(), subsets=1, subset_size=30, normalize=True)
    theirs.update(first.float().view(-1, 6, 1, 1), real=True)
    theirs.update(second.float().view(-1, 6, 1, 1), real=False)
    assert kernel_distance(first, second) == pytest.approx(theirs.compute()[0].item(), rel=1e-5)


def test_kid_of_two_halves_of_one_distribution_is_0_on_average():
    found = []
    for seed in range(200):
        both = torch.randn(20, 4, generator=torch.Generator().manual_seed(seed))
        found.append(kernel_distance(both[:10], both[10:]))
    assert min(found) < 0 < max(found)
    assert abs(np.mean(found)) < 3 * np.std(found) / math.sqrt(len(found))


def test_kid_of_a_set_with_itself_is_a_little_below_0():
    first, _ = sets(400)
    assert -0.2 < kernel_distance(first, first) < 0


def test_kid_of_pairs_is_the_formula_pair_by_pair():
    first, second = (side.numpy() for side in sets(9))
    kernel = lambda x, y: (sum(x * y) / len(x) + 1) ** 3  # noqa: E731
    terms = [
        kernel(first[i], first[j]) + kernel(second[i], second[j]) - 2 * kernel(first[i], second[j])
        for i in range(9)
        for j in range(9)
        if i != j
    ]
    found = paired_kernel_distance(torch.from_numpy(first), torch.from_numpy(second))
    assert found == pytest.approx(np.mean(terms), rel=1e-12)


def test_kid_of_pairs_of_equal_images_is_0():
    first, _ = sets(8)
    assert paired_kernel_distance(first, first) == pytest.approx(0, abs=1e-12)


def test_kid_of_pairs_is_unbiased_where_partners_resemble_each_other():
    both, independent = [], []
    for seed in range(400):
        generator = torch.Generator().manual_seed(seed)
        first = torch.randn(6, 4, generator=generator)
        # of the same distribution as the first, so that the true distance is 0
        second = 0.8 * first + 0.6 * torch.randn(6, 4, generator=generator)
        both.append(paired_kernel_distance(first, second))
        independent.append(kernel_distance(first, second))
    error = np.std(both) / math.sqrt(len(both))
    assert abs(np.mean(both)) < 3 * error
    assert np.mean(independent) < -10 * error


@pytest.mark.parametrize("distance", [frechet_distance, kernel_distance, paired_kernel_distance])
@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_images_have_no_distance(distance, count):
    first, _ = sets()
    assert math.isnan(distance(first[:count], first[:count]))
    if distance is not paired_kernel_distance:
        assert math.isnan(distance(first[:count], first))
        assert math.isnan(distance(first, first[:count]))
