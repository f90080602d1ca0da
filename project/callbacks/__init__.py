"""Lightning callbacks: what attacks the batches of an experiment, and what writes it down."""

from project.callbacks.attacking import AttackCallback
from project.callbacks.progress import PassProgressBar
from project.callbacks.run_folder import RunFolder

__all__ = ["AttackCallback", "PassProgressBar", "RunFolder"]
