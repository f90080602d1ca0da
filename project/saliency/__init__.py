"""Providers of saliency maps, (N, 1, H, W) in [0, 1]."""

from project.saliency.files import DataMasks, MaskFiles
from project.saliency.frequency_tuned import FrequencyTuned
from project.saliency.grad_cam import GradCAM
from project.saliency.provider import Saliency
from project.saliency.spectral_residual import SpectralResidual
from project.saliency.tracer import TRACER
from project.saliency.victim_gradient import VictimGradient

__all__ = [
    "TRACER",
    "DataMasks",
    "FrequencyTuned",
    "GradCAM",
    "MaskFiles",
    "Saliency",
    "SpectralResidual",
    "VictimGradient",
]
