"""The callback that detects catastrophic overfitting to the training's own attack."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Literal, get_args

import lightning as L
import torch
from lightning.pytorch.utilities import rank_zero_warn

from project.attacks import Attack
from project.callbacks.training.adversarial_batches import AdversarialBatches
from project.callbacks.training.held_out import HeldOut
from project.callbacks.training.training_scene import training_scene
from project.core.choices import choose
from project.core.errors import InputError
from project.data.loader import Batch
from project.training import VictimTraining
from project.victims import Victim

OnCollapse = Literal["warn", "stop", "fall_back"]
_CONSEQUENCE = {
    "warn": "goes on all the same",
    "stop": "stops; the best checkpoint stays",
    "fall_back": "goes on with {attacks} instead",
}


class OverfittingProbe(L.Callback):
    """Compare a strong attack with the training's own, on held-out images, every few steps.

    Catastrophic overfitting: training on one-step adversarial images, a victim suddenly learns to
    fool the one step; its accuracy under the training's attack rises while that under a stronger
    one falls to nothing. Logs ``probe/robust_accuracy``, ``probe/training_attack_accuracy`` and
    ``probe/gap``, the second less the first: shares of right images, or of right valid pixels; and
    ``probe/collapse``, 1 where a collapse begins. Of several training attacks each image meets the
    one that makes most of it wrong; all attack with their whole budget. The probe uses the current
    weights, not their average.

    Source: the phenomenon: Wong et al., "Fast is better than free", ICLR 2020; Andriushchenko &
    Flammarion, "Understanding and Improving Fast Adversarial Training", NeurIPS 2020 [paper]; a
    slice that is held out, where theirs is a training batch [ours].

    Args:
        attack: the strong attack, untargeted: of many steps, and best with the budget of the
            training's.
        every_n_steps: optimiser steps between probes. A PGD-20 on 64 images costs what 20 steps
            of a PGD-3 training with 16 do.
        samples: images of the probe, evenly spaced over the validation split; of 64, a share is
            known to within 0.06, one standard deviation.
        on_collapse: only warn, stop the training, or fall back to other training attacks.
        fallback: the training's attacks after a collapse, by name, for example a PGD of several
            steps; validation keeps its own attacks.
        rule: decides whether a probe is a collapse, None is ``CollapseRule()``.

    Raises:
        ValueError: if the attack is targeted, a number is not positive, or there is a fallback
            without ``fall_back``, or the other way round.
    """

    def __init__(
        self,
        attack: Attack,
        every_n_steps: int = 100,
        samples: int = 64,
        on_collapse: OnCollapse = "warn",
        fallback: dict[str, Attack] | None = None,
        rule: CollapseRule | None = None,
    ) -> None:
        if attack.targeted or every_n_steps < 1 or samples < 1:
            raise InputError(
                "a probe needs an untargeted attack, every_n_steps and samples of at least 1; got "
                f"targeted {attack.targeted}, {every_n_steps}, {samples}."
            )
        _check_consequence(on_collapse, fallback)
        self.attack = attack
        self.every_n_steps = every_n_steps
        self.samples = samples
        self.on_collapse: OnCollapse = on_collapse
        self.fallback = fallback
        self.rule = CollapseRule() if rule is None else rule
        self._last = 0
        self._fallen_back = False
        self._held_out: HeldOut | None = None

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Find the training's attacks, and attach the probe's to the held-out images."""
        if stage != "fit":
            return
        _, data = training_scene(self, trainer, pl_module)
        self._data = data
        self._training = _adversarial_batches(trainer)
        self._training.prepare(self.fallback or {}, data)
        self.attack.attach(data.samples)
        self._watch()

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Restore the fallback attacks if the interrupted run had fallen back."""
        if self._fallen_back:
            self._fall_back()

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
    ) -> None:
        """Probe every ``every_n_steps`` optimiser steps."""
        assert isinstance(pl_module, VictimTraining)
        step = trainer.global_step  # unchanged by a batch that only accumulates, hence ``_last``
        if step % self.every_n_steps == 0 and step > self._last:
            self._last = step
            self._probe(trainer, pl_module.victim)

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the probes so far, for a checkpoint."""
        rule = self.rule.state_dict()
        return {"last": self._last, "fallen_back": self._fallen_back, "rule": rule}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state of an interrupted run's probes."""
        self._last = state_dict["last"]
        self._fallen_back = state_dict["fallen_back"]
        self.rule.load_state_dict(state_dict["rule"])

    def _probe(self, trainer: L.Trainer, victim: Victim) -> None:
        if self._held_out is None:
            place = (trainer.global_rank, trainer.world_size)
            self._held_out = HeldOut(self._data, self.samples, *place)
        robust = self._held_out.accuracy(trainer, victim, [self.attack])
        training = self._held_out.accuracy(trainer, victim, self._watched)
        _log(trainer, robust, training)
        if self.rule(robust, training):
            self._collapsed(trainer, robust, training)

    def _collapsed(self, trainer: L.Trainer, robust: float, training: float) -> None:
        consequence = _CONSEQUENCE[self.on_collapse].format(attacks=", ".join(self.fallback or {}))
        rank_zero_warn(
            f"Catastrophic overfitting at step {trainer.global_step}: {robust:.0%} of the held-out "
            f"slice is right under {self.attack.name}, though {training:.0%} is under the "
            f"training's own attack. Training {consequence}."
        )
        _tell(trainer, {"probe/collapse": 1.0})
        if self.on_collapse == "stop":
            trainer.should_stop = True
        if self.on_collapse == "fall_back":
            self._fall_back()

    def _fall_back(self) -> None:
        assert self.fallback is not None
        self._fallen_back = True
        self._training.fall_back(self.fallback)
        self._watch()

    def _watch(self) -> None:
        """Copy the training's attacks, and attach the copies to the held-out images."""
        self._watched = deepcopy(list(self._training.attacks.values()))
        for attack in self._watched:
            attack.attach(self._data.samples)


def _check_consequence(on_collapse: str, fallback: dict[str, Attack] | None) -> None:
    choose("on_collapse", get_args(OnCollapse), on_collapse)
    if (on_collapse == "fall_back") != bool(fallback):
        raise InputError(
            "on_collapse 'fall_back' needs attacks to fall back to, and nothing else does; got "
            f"{on_collapse!r} with {len(fallback or {})} attacks. Correct on_collapse or fallback."
        )


def _log(trainer: L.Trainer, robust: float, training: float) -> None:
    """Log at once: Lightning's own logging would drop what falls between its intervals."""
    values = {
        "probe/robust_accuracy": robust,
        "probe/training_attack_accuracy": training,
        "probe/gap": training - robust,
    }
    trainer.callback_metrics.update({name: torch.tensor(value) for name, value in values.items()})
    _tell(trainer, values)


def _tell(trainer: L.Trainer, values: dict[str, float]) -> None:
    for logger in trainer.loggers:
        logger.log_metrics(values, step=trainer.global_step)


def _adversarial_batches(trainer: L.Trainer) -> AdversarialBatches:
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, AdversarialBatches):
            return callback
    raise InputError(
        "OverfittingProbe watches the attacks of AdversarialBatches, got a trainer without that "
        "callback. Add it, or leave the probe out."
    )


class CollapseRule:
    r"""Collapse: robust accuracy lost half of its best, unnoticed by the training's own attack.

    With R under a strong attack, T under the training's own, and b the probe of the best R so far,
    it is a collapse where $$R \le (1 - l)\, R_b$$ and $$(T - R) - (T_b - R_b) \ge w$$. Either alone
    would mistake something else for it: a learning rate too high ruins both accuracies, and an
    honest one-step attack is always somewhat weaker than a strong one.

    Source: the rule is [ours]. Wong et al., "Fast is better than free", ICLR 2020, stop where
    robust accuracy on a training batch is 0.2 lower than an epoch before [code]; that misses a
    collapse from a small accuracy, and one that takes several probes.

    Args:
        lost: l, in (0, 1]; half of it is beyond the noise of a probe with 64 images.
        widened: w, in (0, 1]; three standard deviations of a difference between such probes.
    """

    def __init__(self, lost: float = 0.5, widened: float = 0.2) -> None:
        if not (0 < lost <= 1 and 0 < widened <= 1):
            raise InputError(
                f"lost and widened are shares in (0, 1], got {lost} and {widened}. Smaller ones "
                "report a collapse sooner, and sooner without one."
            )
        self.lost = lost
        self.widened = widened
        self._best = (0.0, 0.0)
        self._collapsed = False

    def __call__(self, robust: float, training: float) -> bool:
        """Take one probe; return whether a collapse begins with it.

        A collapse is reported once, and again only after robust accuracy came at least halfway
        back.

        Args:
            robust: R, in [0, 1].
            training: T, in [0, 1].
        """
        if robust >= self._best[0]:
            self._best = (robust, training)
        best, gap = self._best[0], self._best[1] - self._best[0]
        now = robust <= (1 - self.lost) * best and (training - robust) - gap >= self.widened
        begins = now and not self._collapsed
        lasts = self._collapsed and robust < (1 - self.lost / 2) * best
        self._collapsed = now or lasts
        return begins

    def state_dict(self) -> dict[str, Any]:
        """Return the best probe so far and whether a collapse lasts, for a checkpoint."""
        return {"best": self._best, "collapsed": self._collapsed}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the best probe and the collapse of an interrupted run."""
        self._best, self._collapsed = state["best"], state["collapsed"]
