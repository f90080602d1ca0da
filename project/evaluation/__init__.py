"""Evaluation of attacks × sources × victims: passes, judgements, metrics."""

from project.evaluation.plan import CLEAN, Pass, plan_passes
from project.evaluation.shared_networks import victims_sharing_networks
from project.evaluation.transfer import TransferEvaluation

__all__ = ["CLEAN", "Pass", "TransferEvaluation", "plan_passes", "victims_sharing_networks"]
