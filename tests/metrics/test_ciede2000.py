"""CIEDE2000 against scikit-image, published pairs of colours, and the formula by hand."""

import math

import numpy as np
import pytest
import torch
from skimage.color import deltaE_ciede2000, rgb2lab

from project.metrics import CIEDE2000
from project.metrics.ciede2000 import ciede2000
from tests.metrics.pairs import as_arrays, pair, scenes

# Sharma, Wu, Dalal 2005, table 1: pairs at the formula's steps and turns of hue.
PUBLISHED = [
    ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
    ((50, -1.3802, -84.2814), (50, 0, -82.7485), 1.0),
    ((50, 0, 0), (50, -1, 2), 2.3669),
    ((50, 2.49, -0.001), (50, -2.49, 0.0009), 7.1792),
    ((50, 2.49, -0.001), (50, -2.49, 0.0011), 7.2195),
    ((50, 2.5, 0), (73, 25, -18), 27.1492),
    ((50, 2.5, 0), (58, 24, 15), 19.4535),
    ((2.0776, 0.0795, -1.135), (0.9033, -0.0636, -0.5514), 0.9082),
]


def colour(*lab: float) -> torch.Tensor:
    return torch.tensor(lab, dtype=torch.float64)[None]


@pytest.mark.parametrize(("first", "second", "difference"), PUBLISHED)
def test_published_pairs_have_their_published_difference(first, second, difference):
    found = ciede2000(colour(*first), colour(*second)).item()
    assert found == pytest.approx(difference, abs=5e-5)
    assert deltaE_ciede2000(first, second) == pytest.approx(difference, abs=5e-5)
    assert ciede2000(colour(*second), colour(*first)).item() == pytest.approx(found, abs=1e-12)


def test_difference_of_two_greys_is_their_lightness_over_its_weight():
    weight = 1 + 0.015 * 25 / math.sqrt(20 + 25)  # both are 5 from the middle, on the mean
    assert ciede2000(colour(50, 0, 0), colour(60, 0, 0)).item() == pytest.approx(10 / weight)


def test_any_two_colours_differ_as_in_scikit_image():
    generator = np.random.default_rng(0)
    first, second = generator.uniform([0, -100, -100], [100, 100, 100], (2, 20000, 3))
    found = ciede2000(torch.from_numpy(first), torch.from_numpy(second))
    np.testing.assert_allclose(found.numpy(), deltaE_ciede2000(first, second), atol=1e-9)


IMAGES = {
    "a grey level": pair(change=1),
    "some": pair(seed=1),
    "anything": pair(seed=2, change=255),
    "smooth": scenes(),
}


@pytest.mark.parametrize("images", IMAGES.values(), ids=IMAGES)
def test_mean_over_an_image_is_that_of_scikit_image(images):
    found = CIEDE2000()(*images)
    assert found.dtype == torch.float64
    for n, (x, y) in enumerate(zip(*map(as_arrays, images), strict=True)):
        expected = deltaE_ciede2000(rgb2lab(x), rgb2lab(y)).mean()
        assert found[n].item() == pytest.approx(expected, abs=1e-5)


def test_equal_images_do_not_differ_and_neither_do_changes_that_8_bits_cannot_hold():
    clean, _ = pair()
    assert (CIEDE2000()(clean, (clean + 0.4 / 255).clamp(0, 1)) == 0).all()


def test_mean_counts_unchanged_pixels():
    clean, adversarial = pair(1, change=90)
    half = clean.clone()
    half[..., :12, :] = adversarial[..., :12, :]
    whole = CIEDE2000()(clean[..., :12, :], adversarial[..., :12, :])
    assert CIEDE2000()(clean, half).item() == pytest.approx(whole.item() / 2, rel=1e-6)


def test_value_is_computed_in_float32_under_autocast_too():
    images = pair()
    expected = CIEDE2000()(*images)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(CIEDE2000()(*images), expected)
