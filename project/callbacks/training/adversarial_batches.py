"""The callback of adversarial training that attacks each batch before the step."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Literal, get_args

import lightning as L
import torch
from torch import Tensor, nn

from project.attacks import Attack
from project.attacks.core.attack import frozen
from project.attacks.core.best_so_far import BestSoFar
from project.attacks.core.query import fooled_share, query
from project.callbacks.training.curriculum import Curriculum
from project.callbacks.training.moved_samples import MovedSamples
from project.callbacks.training.training_scene import training_scene
from project.core.choices import choose
from project.core.errors import InputError
from project.core.losses import cross_entropy, mean_over_valid, valid_elements
from project.core.randomness import Draws, derived_seed
from project.data.datamodule import AttackDataModule
from project.data.loader import Batch
from project.training import VictimTraining

Combine = Literal["max", "average", "random"]


class AdversarialBatches(L.Callback):
    """Adversarial training: put ``adversarial`` (N, 3, H, W) into every batch.

    The attacks see the victim with its current weights, in eval mode, and leave it as it was. The
    draws of a training batch are keyed by (epoch, sample), those of validation and test by the
    sample alone, so neither depends on the number of processes or on where a run was interrupted.
    Logs ``train/attack_strength``, the share of the budget in use.

    Args:
        attacks: the training's attacks by name; untargeted.
        validation: the attacks of validation and test, None is ``attacks`` too. Always at the
            whole budget; of several, each image meets the one that makes most of it wrong.
        combine: how several attacks are combined in training: ``max``, for each image the one of
            the greatest mean loss; ``average``, all of them, in a batch that is as many times
            larger; ``random``, one per batch, the same on all processes, so that none waits.
        curriculum: schedule of the growing budget; None is the whole budget from the start.

    Raises:
        ValueError: if there is no attack, or a targeted one, or one that cannot grow though there
            is a curriculum.
    """

    def __init__(
        self,
        attacks: dict[str, Attack],
        validation: dict[str, Attack] | None = None,
        combine: Combine = "max",
        curriculum: Curriculum | None = None,
    ) -> None:
        if not attacks or validation == {}:
            raise InputError("training on adversarial images needs at least one attack, got none.")
        _refuse_targeted(attacks)
        _refuse_targeted(validation or {})
        self.attacks = attacks
        self.validation = validation
        self.combine: Combine = choose("combine", get_args(Combine), combine)
        self.curriculum = curriculum
        # Copies, since they are attached to the evaluation set, the others to the training set.
        self._judges = list(deepcopy(validation or attacks).values())

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Attach the attacks to the data, and check that a curriculum can scale them."""
        training, data = training_scene(self, trainer, pl_module)
        for attack in self._judges:
            attack.attach(data.samples)
        if stage != "fit":
            return
        if training.robust is None:
            raise InputError(
                "adversarial images in training need a loss that uses them, got none. Set "
                "model.robust, for example to AdversarialLoss, or leave the callback out."
            )
        self.prepare(self.attacks, data)

    def prepare(self, attacks: dict[str, Attack], data: AttackDataModule) -> None:
        """Attach attacks to the training set, and check that they are fit to train on.

        Raises:
            ValueError: if one is targeted, or cannot be scaled though there is a curriculum.
        """
        _refuse_targeted(attacks)
        samples = data.train_samples
        for attack in attacks.values():
            attack.attach(samples if data.augment is None else MovedSamples(samples))
            if self.curriculum is not None:
                attack.scaled(self.curriculum.start)  # raises now rather than in mid-training

    def fall_back(self, attacks: dict[str, Attack]) -> None:
        """Train on other attacks, already prepared, from now on; validation keeps its own."""
        self.attacks = attacks

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        """Attack a training batch, with random draws keyed by epoch and sample."""
        assert isinstance(pl_module, VictimTraining)
        strength = self._strength(trainer)
        pl_module.log("train/attack_strength", strength)
        attacks = self._attacks_of(batch, strength, trainer.current_epoch, batch_idx)
        with trainer.precision_plugin.forward_context():  # autocast is off in callback hooks
            found = attacked(pl_module.victim, batch, attacks)
            if self.combine == "average":
                batch.update(all_of(found, batch))
            else:
                worst = worst_of(found, pl_module.victim, batch["target"], mean_loss)
                batch["adversarial"] = worst

    def on_validation_batch_start(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Attack an evaluation batch, with random draws that are the same in every epoch."""
        assert isinstance(pl_module, VictimTraining)
        victim = pl_module.victim
        with trainer.precision_plugin.forward_context():
            found = attacked(victim, batch, self._judges)
            batch["adversarial"] = worst_of(found, victim, batch["target"], share_wrong)

    on_test_batch_start = on_validation_batch_start

    def _strength(self, trainer: L.Trainer) -> float:
        if self.curriculum is None:
            return 1.0
        return self.curriculum.factor(trainer.global_step / trainer.estimated_stepping_batches)

    def _attacks_of(
        self, batch: Batch, strength: float, epoch: int, batch_idx: int
    ) -> list[Attack]:
        """Return the attacks of one training batch: all of them, or the one that is drawn."""
        attacks = list(self.attacks.values())
        if self.combine == "random":
            seeds = [attack.seed for attack in attacks]
            draws = Draws(batch["index"], "which attack", *seeds, epoch, batch_idx)
            attacks = [attacks[draws.shared(len(attacks))]]
        if strength != 1:
            attacks = [attack.scaled(strength) for attack in attacks]
        return [attack.reseeded(derived_seed(attack.seed, epoch)) for attack in attacks]


def _refuse_targeted(attacks: dict[str, Attack]) -> None:
    targeted = [name for name, attack in attacks.items() if attack.targeted]
    if targeted:
        raise InputError(
            "the attacks of a training lead away from the labels, got targeted ones: "
            f"{', '.join(targeted)}. Wrap each in Aimed, with an aim such as NearestWrongClass."
        )


Harm = Callable[[Tensor, Tensor], Tensor]
"""A measure of harm: from logits (N, K, …) and target (N, …) to one number per image, (N,)."""


def mean_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Return each image's mean cross-entropy over its valid elements, (N,)."""
    return mean_over_valid(cross_entropy(logits, target), valid_elements(target))


def share_wrong(logits: Tensor, target: Tensor) -> Tensor:
    """Return the share of each image's valid elements that is misclassified, (N,)."""
    return fooled_share(logits, target, targeted=False)


def attacked(victim: nn.Module, batch: Batch, attacks: list[Attack]) -> list[Tensor]:
    """Return each attack's adversarial images of a batch, (N, 3, H, W)."""
    images, target, index = batch["image"], batch["target"], batch["index"]
    return [attack(victim, images, target, index) for attack in attacks]


def worst_of(candidates: list[Tensor], victim: nn.Module, target: Tensor, harm: Harm) -> Tensor:
    r"""Choose for each image the most harmful candidate: $$\max_k L(f(x'_k), y)$$.

    Source: Tramèr & Boneh, "Adversarial Training and Robustness for Multiple Perturbations",
    NeurIPS 2019, the "max" strategy [paper].

    Args:
        candidates: at least one batch of adversarial images (N, 3, H, W); a single one is returned
            without a forward pass.
        victim: evaluated in eval mode, without gradient, and left as it was.
        target: (N,) or (N, H, W).
        harm: the measure to maximise; among equals the first candidate is taken.

    Returns:
        (N, 3, H, W).
    """
    if len(candidates) == 1:
        return candidates[0]
    best = BestSoFar(candidates[0], candidates[0].new_zeros(len(target)))
    with torch.no_grad(), frozen(victim):
        for images in candidates:
            harms = harm(query(victim, images, target), target)
            best.offer(images, harms.masked_fill(harms.isnan(), torch.inf))  # NaN is the worst
    return best.found


def all_of(candidates: list[Tensor], batch: Batch) -> Batch:
    r"""Repeat the batch once per candidate, so that a mean is $$\frac{1}{K} \sum_k L(f(x'_k), y)$$.

    Source: Tramèr & Boneh, NeurIPS 2019, the "avg" strategy [paper].

    Args:
        candidates: K batches of adversarial images (N, 3, H, W).
        batch: the batch that they were made from.

    Returns:
        {image, target, index, adversarial} of K · N samples, candidate after candidate.
    """
    repeated = {name: torch.cat([values] * len(candidates)) for name, values in batch.items()}
    return repeated | {"adversarial": torch.cat(candidates)}
