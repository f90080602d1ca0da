"""Training victims and saliency networks with Lightning."""

from project.training.batch_norm import BatchNormMomentum
from project.training.classifier import ClassifierTraining
from project.training.saliency import SaliencyTraining
from project.training.schedules import Cyclic, LearningRateSchedule, Piecewise, Polynomial
from project.training.segmenter import SegmenterTraining
from project.training.training import Training
from project.training.unfolding import UnfoldBatchNorm
from project.training.universal import UniversalTraining
from project.training.victim_training import VictimTraining

__all__ = [
    "BatchNormMomentum",
    "ClassifierTraining",
    "Cyclic",
    "LearningRateSchedule",
    "Piecewise",
    "Polynomial",
    "SaliencyTraining",
    "SegmenterTraining",
    "Training",
    "UnfoldBatchNorm",
    "UniversalTraining",
    "VictimTraining",
]
