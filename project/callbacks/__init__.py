"""Lightning callbacks: what attacks the batches of an experiment, and what writes it down."""

from project.callbacks.adversarial_batches import AdversarialBatches
from project.callbacks.attacking import AttackCallback
from project.callbacks.averaged_weights import AveragedWeights
from project.callbacks.collapse_rule import CollapseRule
from project.callbacks.curriculum import Curriculum
from project.callbacks.free_batches import FreeAdversarialBatches
from project.callbacks.loss_slices import LossSlices
from project.callbacks.overfitting_probe import OverfittingProbe
from project.callbacks.progress import PassProgressBar
from project.callbacks.run_folder import RunFolder
from project.callbacks.step_randomness import StepRandomness
from project.callbacks.training_folder import TrainingFolder

__all__ = [
    "AdversarialBatches",
    "AttackCallback",
    "AveragedWeights",
    "CollapseRule",
    "Curriculum",
    "FreeAdversarialBatches",
    "LossSlices",
    "OverfittingProbe",
    "PassProgressBar",
    "RunFolder",
    "StepRandomness",
    "TrainingFolder",
]
