"""Evaluating attacks × sources × victims."""

from project.evaluation.kin import kin
from project.evaluation.plan import CLEAN, Pass, plan_passes
from project.evaluation.transfer import TransferEvaluation

__all__ = ["CLEAN", "Pass", "TransferEvaluation", "kin", "plan_passes"]
