"""Evaluating attacks × sources × victims."""

from project.evaluation.plan import CLEAN, Pass, plan_passes
from project.evaluation.shared_networks import kin
from project.evaluation.transfer import TransferEvaluation

__all__ = ["CLEAN", "Pass", "TransferEvaluation", "kin", "plan_passes"]
