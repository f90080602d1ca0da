"""Metrics: counts that add up over processes, and sizes of a perturbation image by image.

Convention
    rates      hits of a total, as integers, with a 95 % Wilson interval
    means      over images, exactly rounded, so the same for any batch order and process count
    images     N x 3 x H x W in [0, 1], judged as the 8-bit images that a file would hold
"""

from project.metrics.ledger import Ledger, LedgerError
from project.metrics.means import Mean, PerImageMean
from project.metrics.panel import PERCEPTUAL_NAMES, perceptual_panel
from project.metrics.perceptual import (
    L2,
    LPIPS,
    MSE,
    PSNR,
    SSIM,
    Linf,
    PerceptualMetric,
)
from project.metrics.rates import CountedRate, Interval, Rate, wilson_interval
from project.metrics.segmentation import (
    Confusion,
    class_iou,
    mean_iou,
    pixel_accuracy,
)

__all__ = [
    "L2",
    "LPIPS",
    "MSE",
    "PERCEPTUAL_NAMES",
    "PSNR",
    "SSIM",
    "Confusion",
    "CountedRate",
    "Interval",
    "Ledger",
    "LedgerError",
    "Linf",
    "Mean",
    "PerImageMean",
    "PerceptualMetric",
    "Rate",
    "class_iou",
    "mean_iou",
    "perceptual_panel",
    "pixel_accuracy",
    "wilson_interval",
]
