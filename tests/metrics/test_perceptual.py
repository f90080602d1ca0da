import math
import warnings

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from project.metrics import LPIPS, MSE, PSNR, SSIM, L0Norm, L2Norm, LinfNorm, split_by_mask
from tests.metrics.pairs import as_arrays, pair, scenes


def test_sizes_of_one_grey_level_at_one_pixel():
    clean = torch.zeros(1, 3, 11, 11)
    adversarial = clean.clone()
    adversarial[0, 1, 4, 5] = 3 / 255
    assert L0Norm()(clean, adversarial).item() == 1
    assert L2Norm()(clean, adversarial).item() == pytest.approx(3 / 255, abs=1e-15)
    assert LinfNorm()(clean, adversarial).item() == 3 / 255
    assert MSE()(clean, adversarial).item() == 9 / 363
    assert PSNR()(clean, adversarial).item() == pytest.approx(10 * math.log10(255**2 * 363 / 9))


def test_ssim_of_two_constant_images_is_its_luminance_term():
    clean, adversarial = torch.full((1, 3, 12, 14), 0.2), torch.full((1, 3, 12, 14), 0.6)
    expected = (2 * 0.2 * 0.6 + 1e-4) / (0.2**2 + 0.6**2 + 1e-4)
    assert SSIM()(clean, adversarial).item() == pytest.approx(expected, abs=1e-9)


def test_identical_images_are_identical():
    clean, _ = pair()
    zeros, ones = torch.zeros(3, dtype=torch.float64), torch.ones(3, dtype=torch.float64)
    for metric in (L0Norm(), L2Norm(), LinfNorm(), MSE()):
        assert torch.equal(metric(clean, clean), zeros)
    assert torch.equal(PSNR()(clean, clean), zeros + math.inf)
    assert torch.equal(SSIM()(clean, clean), ones)


def test_psnr_and_ssim_are_those_of_scikit_image():
    clean, adversarial = pair()
    psnr, ssim = PSNR()(clean, adversarial), SSIM()(clean, adversarial)
    pairs = zip(as_arrays(clean), as_arrays(adversarial), strict=True)
    for n, (x, y) in enumerate(pairs):
        assert psnr[n].item() == pytest.approx(peak_signal_noise_ratio(x, y, data_range=255))
        theirs = structural_similarity(
            x,
            y,
            data_range=255,
            channel_axis=-1,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
        assert ssim[n].item() == pytest.approx(theirs, abs=1e-7)


def slow_ssim(x: np.ndarray, y: np.ndarray) -> float:
    """The formula on levels (H, W, 3), window by window, from weighted moments about the means."""
    line = np.exp(-((np.arange(11) - 5) ** 2) / 4.5)
    window = (np.outer(line, line) / line.sum() ** 2)[..., None]
    found = []
    for top in range(x.shape[0] - 10):
        for left in range(x.shape[1] - 10):
            at = np.s_[top : top + 11, left : left + 11]
            mean_x, mean_y = (window * x[at]).sum((0, 1)), (window * y[at]).sum((0, 1))
            from_x, from_y = x[at] - mean_x, y[at] - mean_y
            covariance = (window * from_x * from_y).sum((0, 1))
            variances = (window * (from_x**2 + from_y**2)).sum((0, 1))
            luminance = (2 * mean_x * mean_y + 1e-4) / (mean_x**2 + mean_y**2 + 1e-4)
            found.append(luminance * (2 * covariance + 9e-4) / (variances + 9e-4))
    return float(np.mean(found))


SCENES = scenes(1, 24, 30)
CHANGES = {
    "small": SCENES,
    "large": pair(1, change=255),
    "negative": (SCENES[0], 1 - SCENES[1]),
    "flat and far": (torch.zeros(1, 3, 20, 20), torch.ones(1, 3, 20, 20)),
}


@pytest.mark.parametrize("images", CHANGES.values(), ids=CHANGES)
def test_ssim_is_the_formula_whatever_the_size_of_the_change(images):
    [x], [y] = ([image / 255 for image in as_arrays(side)] for side in images)
    assert SSIM()(*images).item() == pytest.approx(slow_ssim(x, y), abs=1e-12)


def test_ssim_inside_the_border_is_that_of_torchmetrics():
    from torchmetrics.functional.image import structural_similarity_index_measure

    clean, adversarial = pair(seed=1)
    _, full = structural_similarity_index_measure(
        adversarial.double(),
        clean.double(),
        data_range=1.0,
        return_full_image=True,
        reduction="none",
    )
    expected = full[..., 5:-5, 5:-5].flatten(1).mean(1)
    assert torch.allclose(SSIM()(clean, adversarial), expected, rtol=0, atol=1e-7)


def test_l2_and_linf_are_those_of_numpy_and_a_budget_is_met_exactly():
    clean, adversarial = pair()
    change = (adversarial.double() - clean.double()).flatten(1).numpy()
    assert L2Norm()(clean, adversarial).tolist() == pytest.approx(np.linalg.norm(change, axis=1))
    assert LinfNorm()(clean, adversarial).tolist() == pytest.approx(np.abs(change).max(1))
    assert (LinfNorm()(torch.zeros(1, 3, 2, 2), torch.full((1, 3, 2, 2), 8 / 255)) == 8 / 255).all()


def test_an_images_value_does_not_depend_on_its_batch_mates(random_backbone):
    clean, adversarial = pair(height=40, width=48)
    for metric in (L0Norm(), L2Norm(), LinfNorm(), MSE(), PSNR(), SSIM(), LPIPS("squeeze")):
        together = metric(clean, adversarial)
        alone = torch.cat([metric(clean[n : n + 1], adversarial[n : n + 1]) for n in range(3)])
        assert together.shape == (3,)
        assert torch.allclose(together, alone, rtol=1e-5, atol=0)


def test_changes_that_8_bits_cannot_hold_do_not_count(random_backbone):
    clean, _ = pair(height=40, width=48)
    for metric in (L0Norm(), L2Norm(), LinfNorm(), MSE(), LPIPS("squeeze")):
        assert metric(clean, (clean + 0.4 / 255).clamp(0, 1)).abs().max() == 0


def test_l0_counts_pixels_and_not_their_channels():
    clean, adversarial = pair(change=1)
    changed = (as_arrays(clean)[0] != as_arrays(adversarial)[0]).any(-1)
    assert 0 < changed.sum() < changed.size
    assert L0Norm()(clean, adversarial)[0].item() == changed.sum()


def test_change_inside_and_outside_a_mask_is_that_of_either_part():
    clean, adversarial = pair()
    mask = torch.rand(3, 1, 24, 31, generator=torch.Generator().manual_seed(3)) < 0.3
    found = split_by_mask(clean, adversarial, mask)
    for n, (x, y) in enumerate(zip(as_arrays(clean), as_arrays(adversarial), strict=True)):
        for side, chosen in (("inside", mask[n, 0].numpy()), ("outside", ~mask[n, 0].numpy())):
            change = y[chosen].astype(float) - x[chosen]
            assert found[f"mse_{side}"][n].item() == pytest.approx((change**2).mean(), abs=1e-12)
            assert found[f"linf_{side}"][n].item() == np.abs(change).max() / 255


def test_both_sides_of_a_mask_weighed_by_their_area_are_the_whole():
    clean, adversarial = pair()
    mask = torch.zeros(3, 1, 24, 31, dtype=torch.bool)
    mask[..., :10] = True
    found = split_by_mask(clean, adversarial, mask)
    whole = (10 * found["mse_inside"] + 21 * found["mse_outside"]) / 31
    assert torch.allclose(whole, MSE()(clean, adversarial), rtol=1e-12)


def test_nothing_changes_outside_a_mask_that_holds_the_change():
    clean, adversarial = pair(change=1)
    mask = (clean != adversarial).any(1, keepdim=True)
    found = split_by_mask(clean, adversarial, mask)
    assert not mask.all()
    assert (found["mse_outside"] == 0).all()
    assert (found["linf_outside"] == 0).all()


@pytest.mark.parametrize(("empty", "whole"), [("inside", False), ("outside", True)])
def test_side_without_any_pixel_has_no_change_to_tell(empty, whole):
    clean, adversarial = pair()
    found = split_by_mask(clean, adversarial, torch.full((3, 1, 24, 31), whole))
    for name, values in found.items():
        assert values.isnan().all() if empty in name else values.isfinite().all()


def test_unequal_shapes_are_refused():
    with pytest.raises(ValueError, match=r"must both be \(N, 3, H, W\)"):
        L2Norm()(torch.zeros(2, 3, 4, 4), torch.zeros(3, 4, 4))


def test_images_smaller_than_the_window_are_refused_by_ssim():
    with pytest.raises(ValueError, match="at least 11×11 pixels, got 10×40"):
        SSIM()(torch.zeros(1, 3, 10, 40), torch.zeros(1, 3, 10, 40))


@pytest.mark.parametrize("net", ["squeeze", "alex", "vgg"])
def test_lpips_is_that_of_its_package_on_images_from_minus_one_to_one(random_backbone, net):
    clean, adversarial = pair(2, height=40, width=48)
    metric = LPIPS(net)
    with torch.no_grad():
        expected = metric.network(2 * clean - 1, 2 * adversarial - 1).flatten()
    assert metric.name == f"lpips_{net}"
    assert torch.allclose(metric(clean, adversarial).float(), expected, rtol=1e-5, atol=0)
    assert (metric(clean, adversarial) > 0).all()
    assert (metric(clean, clean) == 0).all()


def test_lpips_is_computed_in_float32_under_autocast_too(random_backbone):
    clean, adversarial = pair(height=40, width=48)
    metric = LPIPS("squeeze")
    expected = metric(clean, adversarial)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(metric(clean, adversarial), expected)


def test_lpips_is_frozen_and_in_eval_mode(random_backbone):
    network = LPIPS("squeeze").network
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert not any(module.training for module in network.modules())


def test_building_lpips_leaves_the_warning_filters_alone(random_backbone):
    before = list(warnings.filters)
    LPIPS("squeeze")
    assert warnings.filters == before
