"""Free adversarial training: the training's backward pass also updates the perturbation."""

from __future__ import annotations

from typing import Any

import lightning as L
import torch
from torch import Tensor

from project.attacks import Attack
from project.callbacks.training.adversarial_batches import AdversarialBatches
from project.core.errors import InputError
from project.data.datamodule import AttackDataModule
from project.data.loader import Batch
from project.evaluation.distributed import all_gather
from project.threat_models import Linf


class FreeAdversarialBatches(L.Callback):
    r"""Free adversarial training: replay each batch, and attack it by the same backward passes.

    $$\delta \leftarrow \Pi_\epsilon(\delta + \epsilon \, \mathrm{sign} \nabla_\delta L)$$: the
    gradient of the training's loss reaches the weights and, at no extra pass, the perturbation.
    ``adversarial`` (N, 3, H, W) are the perturbed images, in [0, 1] but not rounded. The victim
    is attacked in train mode, as in the paper: there BatchNorm couples the images of a batch, and
    nothing else does. An epoch has ``replays`` times as many steps, so divide ``max_epochs`` by
    it.

    Source: Shafahi et al., "Adversarial Training for Free!", NeurIPS 2019, algorithm 1 [paper].
    There a batch begins with the perturbation of the batch before; here each image begins with
    noise of its own, keyed by (epoch, sample), so that it does not depend on the order of the data
    or on the number of processes [ours]. It is as a random start that the old perturbation helps:
    Wong et al., "Fast is better than free", ICLR 2020, section 4.1.

    Args:
        validation: the attacks of validation and test, by name.
        eps: ε, in units of the [0, 1] range; also the size of a step [paper].
        replays: m, how often each batch comes, at least 2; 8 is the paper's for CIFAR-10, 4 its
            choice for ImageNet.
        seed: the key of the random starts.

    Raises:
        ValueError: if replays is less than 2, since nothing would be attacked.
    """

    def __init__(
        self,
        validation: dict[str, Attack],
        eps: float = 8 / 255,
        replays: int = 8,
        seed: int = 0,
    ) -> None:
        if replays < 2:
            raise InputError(
                f"replays must be at least 2, got {replays}: the first pass over a batch has only "
                "noise to show. For one attack per batch use AdversarialBatches."
            )
        self.validation = validation
        self.eps = eps
        self.replays = replays
        self.seed = seed
        self._threat = Linf(eps)
        self._judge = AdversarialBatches(validation)
        self._shown: tuple[int, list[int]] | None = None
        self._restored: list[tuple[int, list[int], Tensor]] = []
        self._images = torch.empty(0)
        self._perturbation = torch.empty(0)

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Have the datamodule repeat each batch; called before the loaders are made."""
        self._judge.setup(trainer, pl_module, stage)
        if stage != "fit":
            return
        if trainer.accumulate_grad_batches != 1:
            raise InputError(
                "the replays of a batch must be steps of their own, got accumulate_grad_batches "
                f"{trainer.accumulate_grad_batches}. Set it to 1, and batch_size as needed."
            )
        data: AttackDataModule = trainer.datamodule  # type: ignore[attr-defined]
        data.replays = self.replays

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        """Perturb the images by the previous replay's perturbation, in the first one by noise."""
        images, index = batch["image"], batch["index"]
        shown = (trainer.current_epoch, index.tolist())  # the same in all replays of a batch
        if shown != self._shown:
            self._shown = shown
            noise = self._threat.random(
                images, index, self.seed, type(self).__name__, trainer.current_epoch
            )
            known = (kept for epoch, ids, kept in self._restored if (epoch, ids) == shown)
            self._perturbation = next(known, noise)
            self._restored = []
        self._images = images
        self._perturbation = self._perturbation.to(images).detach().requires_grad_()
        batch["adversarial"] = self._threat.apply(images, self._perturbation)

    def on_after_backward(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Take an ascent step along the gradient from the training's backward pass."""
        gradient = self._perturbation.grad
        if gradient is None:
            raise InputError(
                "training for free needs a loss of the adversarial images, got one that ignores "
                "them. Set model.robust to AdversarialLoss."
            )
        moved = self._perturbation.detach() + self.eps * self._threat.ascent(gradient)
        self._perturbation = self._threat.project(self._images, moved)

    def on_validation_batch_start(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Attack an evaluation batch, with random draws that are the same in every epoch."""
        self._judge.on_validation_batch_start(trainer, pl_module, batch, batch_idx)

    on_test_batch_start = on_validation_batch_start

    def state_dict(self) -> dict[str, Any]:
        """Return all ranks' perturbations of their current batches, whose replays can be resumed.

        A collective: every rank must call it, as all do where a checkpoint is saved, though only
        the first rank writes it.
        """
        if self._shown is None:  # resumed, and no batch since
            return {"batches": self._restored}
        return {"batches": all_gather((*self._shown, self._perturbation.detach().cpu()))}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the perturbations: each rank takes that of its own batch."""
        self._restored = state_dict["batches"]
