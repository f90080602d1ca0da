"""Metrics: rates and counts summed over processes, and perceptual distances image by image.

Convention
    rates      hits of a total, as integers, with a 95 % Wilson interval
    means      over images, exactly rounded, so the same for any batch order and process count
    images     N x 3 x H x W in [0, 1], judged as the 8-bit images that a file would hold
    features   N x D, a row per image; what FID and KID compare
"""

from project.metrics.ciede2000 import CIEDE2000
from project.metrics.evaluated_once import Ledger, LedgerError
from project.metrics.features import (
    FeatureExtractor,
    Features,
    FeatureSet,
    InceptionFeatures,
    VictimFeatures,
    feature_panel,
)
from project.metrics.fid_kid import (
    BIASED_BELOW,
    frechet_distance,
    kernel_distance,
    paired_kernel_distance,
)
from project.metrics.flows import flow_facts
from project.metrics.learned import DISTS, LPIPS
from project.metrics.panel import PERCEPTUAL_NAMES, PanelComparison, perceptual_panel, size_notices
from project.metrics.perceptual_metric import PerceptualMetric
from project.metrics.rates import CountedRate, Interval, Rate, wilson_interval
from project.metrics.scc import SCC
from project.metrics.segmentation import (
    Confusion,
    class_counts,
    class_iou,
    mean_iou,
    pixel_accuracy,
)
from project.metrics.shift_tolerant import STLPIPS
from project.metrics.size_of_change import (
    MSE,
    PSNR,
    L0Norm,
    L2Norm,
    LinfNorm,
    split_by_mask,
)
from project.metrics.ssim import MSSSIM, SSIM
from project.metrics.states import Mean, PerImageMean
from project.metrics.uqi import UQI, UQISewar
from project.metrics.vif import VIFp

L0, L2, Linf = L0Norm, L2Norm, LinfNorm
"""The same by their names of old, which the threat models have too."""

__all__ = [
    "BIASED_BELOW",
    "CIEDE2000",
    "DISTS",
    "L0",
    "L2",
    "LPIPS",
    "MSE",
    "MSSSIM",
    "PERCEPTUAL_NAMES",
    "PSNR",
    "SCC",
    "SSIM",
    "STLPIPS",
    "UQI",
    "Confusion",
    "CountedRate",
    "FeatureExtractor",
    "FeatureSet",
    "Features",
    "InceptionFeatures",
    "Interval",
    "L0Norm",
    "L2Norm",
    "Ledger",
    "LedgerError",
    "Linf",
    "LinfNorm",
    "Mean",
    "PanelComparison",
    "PerImageMean",
    "PerceptualMetric",
    "Rate",
    "UQISewar",
    "VIFp",
    "VictimFeatures",
    "class_counts",
    "class_iou",
    "feature_panel",
    "flow_facts",
    "frechet_distance",
    "kernel_distance",
    "mean_iou",
    "paired_kernel_distance",
    "perceptual_panel",
    "pixel_accuracy",
    "size_notices",
    "split_by_mask",
    "wilson_interval",
]
