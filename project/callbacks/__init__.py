"""Lightning callbacks: attack the batches of a test or a training, and write the results."""

from project.callbacks.experiment.attack import AttackCallback
from project.callbacks.experiment.cost_estimate import CostEstimate
from project.callbacks.experiment.progress import PassLines, PassProgressBar, pass_progress
from project.callbacks.experiment.run_folder import RunFolder
from project.callbacks.experiment.signals import EndingAtOnce
from project.callbacks.experiment.work_stealing import WorkStealing
from project.callbacks.lost_ranks import LostRanks
from project.callbacks.training.adversarial_batches import AdversarialBatches
from project.callbacks.training.averaged_weights import AveragedWeights
from project.callbacks.training.curriculum import Curriculum
from project.callbacks.training.free_batches import FreeAdversarialBatches
from project.callbacks.training.loss_slices import LossSlices
from project.callbacks.training.overfitting_probe import CollapseRule, OverfittingProbe
from project.callbacks.training.step_randomness import StepRandomness
from project.callbacks.training.training_folder import TrainingFolder

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
    "LostRanks",
    "OverfittingProbe",
    "PassLines",
    "PassProgressBar",
    "RunFolder",
    "StepRandomness",
    "TrainingFolder",
    "WorkStealing",
    "pass_progress",
]
