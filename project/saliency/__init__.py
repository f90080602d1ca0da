"""Where an image is salient: providers of maps (N, 1, H, W) in [0, 1]."""

from project.saliency.files import DataMasks, MaskFiles
from project.saliency.frequency_tuned import FrequencyTuned
from project.saliency.provider import Saliency
from project.saliency.victim_gradient import VictimGradient

__all__ = ["DataMasks", "FrequencyTuned", "MaskFiles", "Saliency", "VictimGradient"]
