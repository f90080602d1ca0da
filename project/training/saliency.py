"""Training a saliency network."""

from __future__ import annotations

from typing import Any, Literal

import torch
import torch.nn.functional as F
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor

from project.data.loader import Batch
from project.saliency.tracer.network import TracerNetwork, TracerOutput
from project.training.optimisation import make_optimizer, make_schedule
from project.training.pixel_intensity import edge_target, pixel_intensity_loss
from project.training.saliency_metrics import SaliencyMeasures
from project.training.training import Training
from project.victims.victim import IMAGENET_MEAN, IMAGENET_STD
from project.victims.weights import load_weights

Stage = Literal["val", "test"]

_FACTOR = 0.1
_PATIENCE = 5


class SaliencyTraining(Training):
    """Train TRACER on object masks; logs loss, MAE and max F of ``val`` and ``test``.

    The loss is the adaptive pixel-intensity loss of the final map, the three side maps and the
    edge map, added up [code]. All three measures are means over the whole set's images, at the size
    of the batch. Checkpoints load as the ``checkpoint`` of the saliency provider ``TRACER`` without
    conversion. Wants masks of two classes: :class:`SaliencyFolderData`, or
    :class:`SalientObjectData` around any data set with objects.

    Source: Lee, Shin and Han, "TRACER: Extreme Attention Guided Salient Object Tracing Network",
    AAAI 2022; https://github.com/Karel911/TRACER.

    Args:
        network: what to train.
        checkpoint: weights to start from, the published file or one of an earlier training; None
            starts from those that the network has.
        input_size: side in pixels that images are resized to inside, bilinearly as ``TRACER`` does,
            and logits back, so that photos can be judged at their own size; None takes images as
            they are, with height and width multiples of 32.
        learning_rate: at the start, or the schedule's peak; 5e-5 [code].
        weight_decay: 1e-4 [code]; with AdamW on matrices and kernels only.
        optimizer: Adam with the decay in the gradient of every weight [code], or AdamW.
        schedule: ``plateau`` divides the rate by 10 when ``val/loss`` has not fallen for 5
            validations [code]; for the others see :func:`make_schedule`.
    """

    def __init__(
        self,
        network: TracerNetwork,
        *,
        checkpoint: str | None = None,
        input_size: int | None = None,
        learning_rate: float = 5e-5,
        weight_decay: float = 1e-4,
        optimizer: Literal["adam", "adamw"] = "adam",
        schedule: Literal["plateau", "one_cycle", "cosine", "constant"] = "plateau",
    ) -> None:
        super().__init__()
        self.network = network
        self.checkpoint = checkpoint
        self.input_size = input_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.optimizer = optimizer
        self.schedule = schedule
        if checkpoint is not None:
            load_weights(network, checkpoint)
        self.pixel_mean: Tensor
        self.pixel_std: Tensor
        self.register_buffer("pixel_mean", torch.tensor(IMAGENET_MEAN).view(3, 1, 1), False)
        self.register_buffer("pixel_std", torch.tensor(IMAGENET_STD).view(3, 1, 1), False)
        self.val_measures = SaliencyMeasures()
        self.test_measures = SaliencyMeasures()

    def forward(self, images: Tensor) -> TracerOutput:
        """Return the network's logits, at the images' size, of images (N, 3, H, W) in [0, 1]."""
        normalised = (images - self.pixel_mean) / self.pixel_std
        if self.input_size is None:
            output: TracerOutput = self.network(normalised)
            return output
        inner = (self.input_size, self.input_size)
        output = self.network(_resized(normalised, inner))
        outer = (images.shape[2], images.shape[3])
        saliency, *sides, edge = (
            _resized(logits, outer) for logits in (output.saliency, *output.sides, output.edge)
        )
        return TracerOutput(saliency, (sides[0], sides[1], sides[2]), edge)

    def setup(self, stage: str) -> None:
        """Check that the network can be trained on the data's batches, before anything runs."""
        if stage == "fit":
            self.check_batch()

    def loss(self, batch: Batch) -> Tensor:
        """Return the mean of the images' losses."""
        return self.losses(self(batch["image"]), batch["target"]).mean()

    def losses(self, output: TracerOutput, target: Tensor) -> Tensor:
        """Return each image's loss, (N,), for a target (N, H, W) of 0, 1 and 255."""
        maps = torch.cat([output.saliency, *output.sides], 1)
        edges = pixel_intensity_loss(output.edge, edge_target(target))
        return pixel_intensity_loss(maps, target).sum(1) + edges.sum(1)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Measure one batch."""
        self._measure("val", batch)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Measure one batch."""
        self._measure("test", batch)

    def on_validation_epoch_end(self) -> None:
        """Log the measures of the whole validation set."""
        self._conclude("val")

    def on_test_epoch_end(self) -> None:
        """Log the measures of the whole test set."""
        self._conclude("test")

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Return the optimiser and its schedule."""
        optimizer = self._make_optimizer()
        if self.schedule == "plateau":
            plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
                optimizer, factor=_FACTOR, patience=_PATIENCE
            )
            return {
                "optimizer": optimizer,
                "lr_scheduler": {"scheduler": plateau, "monitor": "val/loss"},
            }
        steps = int(self.trainer.estimated_stepping_batches)
        scheduler: Any = make_schedule(optimizer, self.schedule, steps)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

    def _make_optimizer(self) -> torch.optim.Optimizer:
        parameters = self.network.parameters()
        if self.optimizer == "adamw":
            return make_optimizer(parameters, "adamw", self.learning_rate, self.weight_decay)
        return torch.optim.Adam(parameters, self.learning_rate, weight_decay=self.weight_decay)

    def _measures(self, stage: Stage) -> SaliencyMeasures:
        return self.val_measures if stage == "val" else self.test_measures

    def _measure(self, stage: Stage, batch: Batch) -> None:
        output, target = self(batch["image"]), batch["target"]
        maps = output.saliency.float().sigmoid()
        self._measures(stage).update(self.losses(output, target), maps, target)

    def _conclude(self, stage: Stage) -> None:
        for name, value in self._measures(stage).conclude().items():
            # All ranks hold the same number, and its mean is that number.
            self.log(f"{stage}/{name}", value, prog_bar=True, sync_dist=True)


def _resized(maps: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(maps, size, mode="bilinear", align_corners=False)
