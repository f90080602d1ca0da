"""The callback that draws the loss landscape around images during training."""

from __future__ import annotations

import io
from pathlib import Path

import lightning as L
import numpy as np
import torch
from torch import Tensor, nn

from project.attacks.core.attack import frozen
from project.callbacks.training.training_folder import TrainingFolder
from project.core.errors import InputError
from project.core.losses import cross_entropy, mean_over_valid, valid_elements
from project.core.randomness import Draws
from project.data.loader import Batch, collate
from project.storage import layout
from project.storage.files import replace_file
from project.training import VictimTraining


class LossSlices(L.Callback):
    r"""Draw the loss on a plane through each image: $$L(x + a\,s + b\,r)$$, a, b in [-ε, ε].

    s is the sign of the loss's gradient at x, r a random sign for each value, fixed for each
    image; values outside [0, 1] are clipped. With an informative gradient the loss rises smoothly
    along s; ripples and ridges are signs of a masked gradient, which misleads attacks. The slices
    are written to the folder of the run's :class:`TrainingFolder`, whose report shows them.

    Source: Qin et al., "Adversarial Robustness through Local Linearization", NeurIPS 2019, figures
    of loss surfaces, after Li et al., "Visualizing the Loss Landscape of Neural Nets", NeurIPS
    2018 [paper]; the mean over several images and the clipping [ours].

    Args:
        every_n_epochs: epochs from one drawing to the next.
        samples: number of validation images, evenly spaced.
        resolution: odd number of values of a and of b, so that x itself is one; each costs a
            forward pass of the samples.
        eps: half the plane's side; 8/255, the field's usual budget.
        seed: key of the random direction r.
    """

    def __init__(
        self,
        every_n_epochs: int = 1,
        samples: int = 8,
        resolution: int = 11,
        eps: float = 8 / 255,
        seed: int = 0,
    ) -> None:
        if every_n_epochs < 1 or samples < 1 or resolution < 3 or resolution % 2 == 0 or eps <= 0:
            raise InputError(
                "every_n_epochs and samples must be at least 1, resolution odd and at least 3, eps "
                f"greater than 0, got {every_n_epochs}, {samples}, {resolution}, {eps}."
            )
        self.every_n_epochs = every_n_epochs
        self.samples = samples
        self.resolution = resolution
        self.eps = eps
        self.seed = seed
        self._folder = Path()

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Find the run's folder."""
        folders = [
            Path(found.folder)
            for found in trainer.callbacks  # type: ignore[attr-defined]
            if isinstance(found, TrainingFolder)
        ]
        if not folders or not isinstance(pl_module, VictimTraining):
            raise InputError(
                "LossSlices works on a VictimTraining beside a TrainingFolder, got "
                f"{type(pl_module).__name__} and {len(folders)} folders. Add TrainingFolder to the "
                "callbacks, which shows the slices."
            )
        self._folder = folders[0]

    def on_validation_batch_start(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Draw the slices before the first batch, with the weights that validation judges."""
        due = trainer.current_epoch % self.every_n_epochs == 0 and batch_idx == 0
        if not due or trainer.sanity_checking or trainer.state.fn != "fit":
            return
        if not trainer.is_global_zero:
            return
        assert isinstance(pl_module, VictimTraining)
        known = self._samples(trainer)
        with trainer.precision_plugin.forward_context():
            losses = loss_slices(
                pl_module.victim,
                known["image"].to(pl_module.device),
                known["target"].to(pl_module.device),
                Draws(known["index"], self.seed, "LossSlices"),
                eps=self.eps,
                resolution=self.resolution,
            )
        content = io.BytesIO()
        np.savez(content, loss=losses.cpu().numpy(), index=known["index"].numpy(), eps=self.eps)
        path = self._folder / layout.SLICES / f"{layout.epoch_name(trainer.current_epoch)}.npz"
        replace_file(path, content.getvalue())

    def _samples(self, trainer: L.Trainer) -> Batch:
        samples = trainer.datamodule.samples  # type: ignore[attr-defined]
        count = min(self.samples, len(samples))
        return collate([samples[place * len(samples) // count] for place in range(count)])


def loss_slices(
    victim: nn.Module,
    images: Tensor,
    target: Tensor,
    draws: Draws,
    *,
    eps: float,
    resolution: int,
) -> Tensor:
    """Return each image's mean loss on its plane, see :class:`LossSlices`; the victim is unchanged.

    Args:
        victim: maps [0, 1] images to logits (N, K, …).
        images: (N, 3, H, W) in [0, 1].
        target: (N,) or (N, H, W) with 255 = void.
        draws: random draws of the images, for r.
        eps: half the plane's side.
        resolution: number of values of a and of b.

    Returns:
        (N, resolution, resolution) float32, a along the first axis of a plane and b the second.
    """
    with torch.inference_mode(False), torch.enable_grad(), frozen(victim):
        images, target = images.clone().requires_grad_(), target.clone()
        (gradient,) = torch.autograd.grad(_losses(victim, images, target).sum(), images)
        steepest, images = gradient.sign(), images.detach()
        random = (draws.uniform(*images.shape[1:]) - 0.5).sign().to(images)
        offsets = torch.linspace(-eps, eps, resolution).tolist()
        places = (a * steepest + b * random for a in offsets for b in offsets)
        with torch.no_grad():
            losses = [_losses(victim, (images + one).clamp(0, 1), target) for one in places]
        return torch.stack(losses, 1).view(-1, resolution, resolution).float()


def _losses(victim: nn.Module, images: Tensor, target: Tensor) -> Tensor:
    losses: Tensor = mean_over_valid(cross_entropy(victim(images), target), valid_elements(target))
    return losses
