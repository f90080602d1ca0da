import numpy as np
import pytest
import torch
from sewar import full_ref
from torchmetrics.functional.image import (
    spatial_correlation_coefficient,
    visual_information_fidelity,
)

from project.metrics import SCC, UQI, UQISewar, VIFp
from tests.metrics.pairs import as_arrays, pair, scenes

CHECKERS = (torch.arange(48)[:, None] + torch.arange(57)).remainder(2).float().expand(1, 3, -1, -1)
ALL = [UQI(), UQISewar(), SCC(), VIFp()]
PAIRS = {
    "noise": pair(2, 48, 57),
    "flat areas": scenes(),
    "negative": (scenes()[0], 1 - scenes()[1]),
    "largest sums": (CHECKERS, 1 - CHECKERS),
}


def name(metric):
    return metric.name


def slow_uqi(x: np.ndarray, y: np.ndarray) -> float:
    """The formula, window by window, from numpy's own variances."""
    found = []
    for channel in range(3):
        for top in range(x.shape[0] - 7):
            for left in range(x.shape[1] - 7):
                window = np.s_[top : top + 8, left : left + 8, channel]
                a, b = x[window].astype(float), y[window].astype(float)
                luminance, contrast = a.mean() ** 2 + b.mean() ** 2, a.var() + b.var()
                quality = 2 * a.mean() * b.mean() / luminance if luminance else 1.0
                if contrast:
                    quality *= 2 * ((a - a.mean()) * (b - b.mean())).mean() / contrast
                found.append(quality)
    return float(np.mean(found))


@pytest.mark.parametrize("images", PAIRS.values(), ids=PAIRS)
def test_uqi_is_wangs_and_boviks_formula(images):
    small = [side[..., :24, :30] for side in images]
    expected = [slow_uqi(x, y) for x, y in zip(*map(as_arrays, small), strict=True)]
    assert UQI()(*small).tolist() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("images", PAIRS.values(), ids=PAIRS)
@pytest.mark.parametrize(
    ("metric", "theirs"),
    [(UQISewar(), full_ref.uqi), (SCC(), full_ref.scc), (VIFp(), full_ref.vifp)],
    ids=["uqi_sewar", "scc", "vif_p"],
)
def test_values_are_those_of_sewar(metric, theirs, images):
    expected = [theirs(x, y) for x, y in zip(*map(as_arrays, images), strict=True)]
    assert metric(*images).tolist() == pytest.approx(expected, abs=1e-9)


def test_values_are_those_of_torchmetrics():
    clean, adversarial = pair(2, 48, 57)
    levels = (clean.double() * 255).round(), (adversarial.double() * 255).round()
    vif = visual_information_fidelity(levels[1], levels[0], reduction="none")
    assert torch.allclose(VIFp()(clean, adversarial), vif, rtol=0, atol=1e-12)
    scc = spatial_correlation_coefficient(levels[1], levels[0], reduction="none")
    assert torch.allclose(SCC()(clean, adversarial), scc.double(), rtol=0, atol=1e-5)


@pytest.mark.parametrize("metric", ALL, ids=name)
def test_identical_images_have_everything(metric):
    clean, _ = pair(2, 48, 57)
    ones = torch.ones(2, dtype=torch.float64)
    assert torch.allclose(metric(clean, clean), ones, rtol=0, atol=1e-9)


@pytest.mark.parametrize("metric", [UQI(), UQISewar(), VIFp()], ids=name)
@pytest.mark.parametrize("level", [0.0, 1.0])
def test_identical_flat_images_are_identical(metric, level):
    flat = torch.full((1, 3, 48, 48), level)
    assert metric(flat, flat).item() == 1


def test_flat_windows_do_not_correlate():
    flat = torch.full((1, 3, 48, 48), 0.6)
    assert SCC()(flat, flat).item() == 0


def test_uqi_of_two_flat_images_is_its_luminance_term():
    dark, bright = torch.full((1, 3, 12, 12), 50 / 255), torch.full((1, 3, 12, 12), 150 / 255)
    assert UQI()(dark, bright).item() == pytest.approx(2 * 50 * 150 / (50**2 + 150**2))


def test_sewars_uqi_is_nearer_to_one_than_the_formula():
    clean, adversarial = (0.6 + 0.2 * side for side in pair(change=10))
    assert (1 - UQISewar()(clean, adversarial) < (1 - UQI()(clean, adversarial)) / 5).all()


def test_correlation_of_a_negative_is_minus_one():
    clean, _ = pair(1, 48, 57)
    assert SCC()(clean, 1 - clean).item() == pytest.approx(-1, abs=1e-12)


def test_more_contrast_is_more_information():
    clean = pair(1, 48, 57)[0] * 0.5
    levels = (clean * 255).round() / 255
    assert VIFp()(levels, (levels * 2).clamp(0, 1)).item() > 1


@pytest.mark.parametrize("metric", ALL, ids=name)
def test_an_images_value_does_not_depend_on_its_batch_mates(metric):
    clean, adversarial = scenes(3)
    alone = [metric(clean[n : n + 1], adversarial[n : n + 1]).item() for n in range(3)]
    assert metric(clean, adversarial).tolist() == pytest.approx(alone, rel=1e-13)


@pytest.mark.parametrize("metric", ALL, ids=name)
def test_changes_that_8_bits_cannot_hold_do_not_count(metric):
    clean, adversarial = pair(1, 48, 57)
    nearly = (adversarial + 0.4 / 255).clamp(0, 1)
    assert torch.equal(metric(clean, nearly), metric(clean, adversarial))


@pytest.mark.parametrize("metric", ALL, ids=name)
def test_smallest_image_has_a_value_and_a_smaller_one_is_refused(metric):
    side = metric.smallest
    clean, adversarial = pair(1, side, side)
    assert metric(clean, adversarial).isfinite().all()
    if side > 1:
        with pytest.raises(
            ValueError, match=f"at least {side}×{side} pixels, got {side - 1}×{side}"
        ):
            metric(clean[..., 1:, :], adversarial[..., 1:, :])
