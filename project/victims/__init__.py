"""Victims: networks that map [0, 1] images to logits and normalise inside."""

from project.victims.check import VictimCheckError, check_victim, check_victims
from project.victims.cifar_victim import CIFARVictim
from project.victims.ensemble import EnsembleVictim, MeanLossEnsemble, RandomEnsemble
from project.victims.huggingface_classifier import HuggingFaceClassifier
from project.victims.huggingface_segmenter import HuggingFaceSegmenter
from project.victims.imported_victim import ImportedClassifier, ImportedSegmenter
from project.victims.open_clip_victim import OpenClipVictim
from project.victims.packaged_victim import PackagedVictim
from project.victims.robustbench_victim import RobustBenchVictim
from project.victims.segmentation import SegmentationVictim
from project.victims.sliding_window import SlidingWindow
from project.victims.smp_checkpoint import SmpCheckpoint
from project.victims.smp_victim import SmpVictim
from project.victims.timm_victim import TimmVictim
from project.victims.torchvision_segmenter import TorchvisionSegmenter
from project.victims.torchvision_victim import TorchvisionVictim
from project.victims.victim import ClassificationVictim, Task, Victim
from project.victims.weights import WeightsError, load_weights

__all__ = [
    "CIFARVictim",
    "ClassificationVictim",
    "EnsembleVictim",
    "HuggingFaceClassifier",
    "HuggingFaceSegmenter",
    "ImportedClassifier",
    "ImportedSegmenter",
    "MeanLossEnsemble",
    "OpenClipVictim",
    "PackagedVictim",
    "RandomEnsemble",
    "RobustBenchVictim",
    "SegmentationVictim",
    "SlidingWindow",
    "SmpCheckpoint",
    "SmpVictim",
    "Task",
    "TimmVictim",
    "TorchvisionSegmenter",
    "TorchvisionVictim",
    "Victim",
    "VictimCheckError",
    "WeightsError",
    "check_victim",
    "check_victims",
    "load_weights",
]
