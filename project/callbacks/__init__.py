"""Lightning callbacks: what attacks the batches of an experiment, and what writes it down."""

from project.callbacks.adversarial_batches import AdversarialBatches
from project.callbacks.attacking import AttackCallback
from project.callbacks.averaged_weights import AveragedWeights
from project.callbacks.collapse_rule import CollapseRule
from project.callbacks.curriculum import Curriculum
from project.callbacks.ending import EndingAtOnce
from project.callbacks.estimating import CostEstimate
from project.callbacks.free_batches import FreeAdversarialBatches
from project.callbacks.loss_slices import LossSlices
from project.callbacks.overfitting_probe import OverfittingProbe
from project.callbacks.progress import PassLines, PassProgressBar, pass_progress
from project.callbacks.run_folder import RunFolder
from project.callbacks.step_randomness import StepRandomness
from project.callbacks.training_folder import TrainingFolder
from project.callbacks.work_stealing import WorkStealing

__all__ = [
    "AdversarialBatches",
    "AttackCallback",
    "AveragedWeights",
    "CollapseRule",
    "CostEstimate",
    "Curriculum",
    "EndingAtOnce",
    "FreeAdversarialBatches",
    "LossSlices",
    "OverfittingProbe",
    "PassLines",
    "PassProgressBar",
    "RunFolder",
    "StepRandomness",
    "TrainingFolder",
    "WorkStealing",
    "pass_progress",
]
