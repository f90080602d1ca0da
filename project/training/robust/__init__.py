"""Losses of robust training, on batches with adversarial images."""

from project.training.robust.adversarial import AdversarialLoss
from project.training.robust.mart import MART
from project.training.robust.robust_loss import RobustLoss
from project.training.robust.trades import TRADES
from project.training.robust.weight_perturbation import AWP

__all__ = ["AWP", "MART", "TRADES", "AdversarialLoss", "RobustLoss"]
