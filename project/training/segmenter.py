"""Training a segmenter."""

from __future__ import annotations

import segmentation_models_pytorch as smp
import torch.nn.functional as F
from torch import Tensor
from torch.nn import ModuleDict

from project.core.losses import VOID
from project.metrics.segmentation import Confusion, mean_iou
from project.training.batch_norm import BatchNorm
from project.training.optimisation import Optimizer, Schedule
from project.training.robust import RobustLoss
from project.training.victim_training import Stage, VictimTraining
from project.victims import Victim


class SegmenterTraining(VictimTraining):
    """Cross-entropy (and Dice) training over valid pixels; logs ``val/miou`` and ``test/miou``.

    With adversarial images in the batches also ``val/robust_miou`` and ``test/robust_miou``. Each
    comes from one confusion matrix over the whole set, not from a mean over batches.

    Args:
        victim: a segmentation victim.
        learning_rate: the schedule's peak.
        weight_decay: on matrices and kernels only, with ``heavy_ball`` on all.
        optimizer: AdamW, SGD with Nesterov's momentum, or ``heavy_ball``; see
            :class:`~project.training.victim_training.VictimTraining`.
        schedule: course of the learning rate, by name or as ``Piecewise``, ``Cyclic`` or
            ``Polynomial``.
        robust: the loss of batches with adversarial images; None trains on the clean ones.
        batch_norm: whose statistics eval mode uses.
        label_smoothing: weight of the uniform distribution in the target, in [0, 1).
        dice_weight: weight of the Dice loss, added to the cross-entropy; helps rare classes.
    """

    task = "segmentation"

    def __init__(
        self,
        victim: Victim,
        *,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.01,
        optimizer: Optimizer = "adamw",
        schedule: Schedule = "one_cycle",
        robust: RobustLoss | None = None,
        batch_norm: BatchNorm = "both",
        label_smoothing: float = 0.0,
        dice_weight: float = 0.0,
    ) -> None:
        super().__init__(
            victim,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            optimizer=optimizer,
            schedule=schedule,
            robust=robust,
            batch_norm=batch_norm,
        )
        self.label_smoothing = label_smoothing
        self.dice_weight = dice_weight
        self.dice = smp.losses.DiceLoss("multiclass", ignore_index=VOID)
        self.confusions = ModuleDict(
            {
                name: Confusion(victim.num_classes)
                for name in ("val_clean", "val_robust", "test_clean", "test_robust")
            }
        )

    def criterion(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the loss of logits (N, K, H, W), a mean over valid pixels; 0 without any."""
        total = F.cross_entropy(
            logits,
            target,
            ignore_index=VOID,
            label_smoothing=self.label_smoothing,
            reduction="sum",
        )
        loss = total / (target != VOID).sum().clamp(min=1)
        if self.dice_weight:
            loss = loss + self.dice_weight * self.dice(logits, target)
        return loss

    def measure(self, stage: Stage, logits: Tensor, target: Tensor, robust: bool) -> None:
        """Add a batch to one of the stage's confusion matrices."""
        self._confusion(f"{stage}_{'robust' if robust else 'clean'}").update(logits, target)

    def on_validation_epoch_end(self) -> None:
        """Log the mean IoU of the whole validation set."""
        self._conclude("val")

    def on_test_epoch_end(self) -> None:
        """Log the mean IoU of the whole test set."""
        self._conclude("test")

    def _confusion(self, name: str) -> Confusion:
        confusion = self.confusions[name]
        assert isinstance(confusion, Confusion)
        return confusion

    def _conclude(self, stage: Stage) -> None:
        for kind, prefix in (("clean", ""), ("robust", "robust_")):
            confusion = self._confusion(f"{stage}_{kind}")
            if not confusion.update_called:
                continue
            # compute() has summed over ranks: all hold the same number, and its mean is that.
            miou = mean_iou(confusion.compute())
            self.log(f"{stage}/{prefix}miou", miou, prog_bar=True, sync_dist=True)
            confusion.reset()
