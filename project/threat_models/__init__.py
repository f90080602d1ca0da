"""Threat models: kinds of perturbation, how they apply to an image, and which are allowed.

One gradient loop serves every threat model: noise in a ball, a flow field of the image or of its
colours, any of them inside a mask.
"""

from project.threat_models.flow import ChromaFlow, Flow
from project.threat_models.flow_and_noise import FlowAndNoise
from project.threat_models.masked import Masked
from project.threat_models.model import Iterate, Pullback, ThreatModel
from project.threat_models.noise import L2, Linf, Noise, Norm, norm_ball

__all__ = [
    "L2",
    "ChromaFlow",
    "Flow",
    "FlowAndNoise",
    "Iterate",
    "Linf",
    "Masked",
    "Noise",
    "Norm",
    "Pullback",
    "ThreatModel",
    "norm_ball",
]
