import numpy as np
import pytest
import torch

from project.metrics.sliding_windows import box_sum, gaussian_means
from tests.metrics.pairs import pair


def slow(image: np.ndarray, window: np.ndarray, stride: int) -> np.ndarray:
    """Weighted sums of the windows of (H, W), one after the other."""
    size = len(window)
    tops, lefts = (range(0, side - size + 1, stride) for side in image.shape)
    return np.array(
        [[(image[y : y + size, x : x + size] * window).sum() for x in lefts] for y in tops]
    )


def levels(n: int, height: int, width: int) -> torch.Tensor:
    """Return noise of grey levels."""
    return (pair(n, height, width)[0] * 255).round().int()


# Sides of one block of windows, of a block and a single window more, and of several blocks.
@pytest.mark.parametrize(("size", "stride"), [(3, 1), (11, 1), (17, 1), (5, 2), (9, 2)])
@pytest.mark.parametrize(("height", "width"), [(17, 48), (49, 81), (90, 75)])
def test_gaussian_means_are_those_of_every_window(size, stride, height, width):
    sigma = size / 5
    line = np.exp(-((np.arange(size) - size // 2) ** 2) / (2 * sigma**2))
    window = np.outer(line, line) / line.sum() ** 2
    images = levels(2, height, width)
    for found, given in zip(
        gaussian_means([images, images * images], size, sigma, stride),
        (images, images * images),
        strict=True,
    ):
        expected = [[slow(p.double().numpy(), window, stride) for p in image] for image in given]
        assert found.dtype == torch.float64
        assert found.numpy() == pytest.approx(np.array(expected), rel=1e-13)


def test_an_images_gaussian_means_have_the_same_bits_whatever_its_mates():
    images = levels(5, 70, 83)
    [together] = gaussian_means([images], 11, 1.5)
    twice = gaussian_means([images, images * images], 11, 1.5)[0]
    alone = [gaussian_means([image[None]], 11, 1.5)[0] for image in images]
    assert torch.equal(together, torch.cat(alone))
    assert torch.equal(together, twice)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 13])
def test_box_sums_are_exact(size):
    images = levels(2, 20, 17)
    expected = [[slow(p.numpy(), np.ones((size, size), int), 1) for p in image] for image in images]
    assert box_sum(images, size).tolist() == np.array(expected).tolist()
