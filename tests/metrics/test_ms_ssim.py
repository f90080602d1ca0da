import numpy as np
import pytest
import torch
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

from project.metrics import MSSSIM
from tests.metrics.pairs import as_arrays, pair, scenes


def slow(clean: np.ndarray, adversarial: np.ndarray) -> float:
    """The formula on float64 arrays (H, W, 3), odd sides mirrored before they are halved."""
    weights = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333]
    offset = np.arange(11) - 5
    line = np.exp(-(offset**2) / 4.5)
    window = (np.outer(line, line) / line.sum() ** 2)[None, None, None]

    def smooth(image):
        windows = np.lib.stride_tricks.sliding_window_view(image, (11, 11), axis=(0, 1))
        return (windows * window).sum((-1, -2))

    def halved(image):
        image = np.pad(
            image, [(0, image.shape[0] % 2), (0, image.shape[1] % 2), (0, 0)], "symmetric"
        )
        return sum(image[a::2, b::2] for a in (0, 1) for b in (0, 1)) / 4

    x, y, product = clean / 255, adversarial / 255, 1.0
    for scale, weight in enumerate(weights):
        if scale:
            x, y = halved(x), halved(y)
        mu_x, mu_y = smooth(x), smooth(y)
        var_x, var_y = smooth(x * x) - mu_x**2, smooth(y * y) - mu_y**2
        term = (2 * (smooth(x * y) - mu_x * mu_y) + 9e-4) / (var_x + var_y + 9e-4)
        if scale == 4:
            term = term * (2 * mu_x * mu_y + 1e-4) / (mu_x**2 + mu_y**2 + 1e-4)
        product *= term.mean() ** weight
    return float(product)


@pytest.mark.parametrize("size", [(161, 170), (176, 176)])
def test_value_is_the_formulas(size):
    clean, adversarial = scenes(1, *size)
    [x], [y] = as_arrays(clean), as_arrays(adversarial)
    assert MSSSIM()(clean, adversarial).item() == pytest.approx(slow(x, y), abs=1e-12)


def test_value_is_that_of_torchmetrics_where_all_scales_are_even():
    clean, adversarial = (side[..., :176, :176] for side in scenes(2, 176, 176))
    theirs = multiscale_structural_similarity_index_measure(
        adversarial, clean, data_range=1.0, reduction="none"
    )
    assert torch.allclose(MSSSIM()(clean, adversarial), theirs.double(), rtol=0, atol=1e-4)


def test_identical_images_are_identical():
    clean, _ = pair(1, 161, 161)
    assert MSSSIM()(clean, clean).item() == 1


def test_negative_has_no_similarity_instead_of_nan():
    clean, _ = pair(1, 161, 161)
    assert MSSSIM()(clean, 1 - clean).item() == 0


def test_images_whose_fifth_scale_holds_no_window_are_refused():
    with pytest.raises(
        ValueError, match="ms_ssim needs images of at least 161×161 pixels, got 160"
    ):
        MSSSIM()(torch.zeros(1, 3, 160, 300), torch.zeros(1, 3, 160, 300))
