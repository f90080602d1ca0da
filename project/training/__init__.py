"""Training victims with Lightning."""

from project.training.classifier import ClassifierTraining
from project.training.segmenter import SegmenterTraining
from project.training.unfolding import UnfoldBatchNorm
from project.training.victim_training import VictimTraining

__all__ = ["ClassifierTraining", "SegmenterTraining", "UnfoldBatchNorm", "VictimTraining"]
