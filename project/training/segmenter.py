"""Training a segmenter."""

from __future__ import annotations

import segmentation_models_pytorch as smp
import torch.nn.functional as F
from torch import Tensor

from project.losses import VOID
from project.metrics.segmentation import Confusion, mean_iou
from project.training.victim_training import Optimizer, Schedule, Stage, VictimTraining
from project.victims import Victim


class SegmenterTraining(VictimTraining):
    """Cross-entropy (and Dice) training over valid pixels; logs ``val/miou`` and ``test/miou``.

    Both come from one confusion matrix over the whole set, not from a mean over batches.

    Args:
        victim: a segmentation victim.
        learning_rate: the schedule's peak.
        weight_decay: on matrices and kernels only.
        optimizer: AdamW, or SGD with Nesterov momentum.
        schedule: course of the learning rate.
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
        label_smoothing: float = 0.0,
        dice_weight: float = 0.0,
    ) -> None:
        super().__init__(
            victim,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            optimizer=optimizer,
            schedule=schedule,
        )
        self.label_smoothing = label_smoothing
        self.dice_weight = dice_weight
        self.dice = smp.losses.DiceLoss("multiclass", ignore_index=VOID)
        self.val_confusion = Confusion(victim.num_classes)
        self.test_confusion = Confusion(victim.num_classes)

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

    def measure(self, stage: Stage, logits: Tensor, target: Tensor) -> None:
        """Add a batch to the stage's confusion matrix."""
        self._confusion(stage).update(logits, target)

    def on_validation_epoch_end(self) -> None:
        """Log the mean IoU of the whole validation set."""
        self._conclude("val")

    def on_test_epoch_end(self) -> None:
        """Log the mean IoU of the whole test set."""
        self._conclude("test")

    def _confusion(self, stage: Stage) -> Confusion:
        return self.val_confusion if stage == "val" else self.test_confusion

    def _conclude(self, stage: Stage) -> None:
        confusion = self._confusion(stage)
        # compute() has summed over ranks: all hold the same number, and its mean is that number.
        self.log(f"{stage}/miou", mean_iou(confusion.compute()), prog_bar=True, sync_dist=True)
        confusion.reset()
