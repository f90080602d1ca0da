"""How fast BatchNorm's running statistics follow in a short training."""

from __future__ import annotations

from lightning.pytorch import Callback, LightningModule, Trainer
from torch.nn.modules.batchnorm import _BatchNorm


class BatchNormMomentum(Callback):
    """Give every BatchNorm layer one momentum before the first step.

    EfficientNet's 0.01 means over some hundred steps: after a training of that length the running
    statistics still hold a share of their start, 0 and 1 (0.99^100 is 37 %), and the network is
    much worse in eval mode than it was in training.

    Args:
        momentum: share of the newest batch, in (0, 1]; 0.1 is torch's own default.
    """

    def __init__(self, momentum: float = 0.1) -> None:
        self.momentum = momentum

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Set it, if this is a training."""
        if stage != "fit":
            return
        for layer in pl_module.modules():
            if isinstance(layer, _BatchNorm):
                layer.momentum = self.momentum
