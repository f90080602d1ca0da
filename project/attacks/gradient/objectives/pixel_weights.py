"""Objectives that weigh the pixels of a cross-entropy: of SegPGD, CosPGD and TranSegPGD."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from project.attacks.gradient.objectives.objective import Objective, Step, weighted_split
from project.core.errors import InputError
from project.core.losses import kl_divergence, mean_over_valid
from project.core.per_image import per_image


@dataclass(frozen=True)
class AdversarialSplit(Objective):
    r"""Weigh pixels by whether they are fooled yet, shifting from the correct to the wrong ones.

    $$\frac{1-\lambda_t}{N} \sum_{P_T} CE_i + \frac{\lambda_t}{N} \sum_{P_F} CE_i,\quad
    \lambda_t = \frac{t-1}{2T}$$, P_T still correct, P_F already wrong.

    Source: Gu et al., "SegPGD", ECCV 2022, eq. (4) and algorithm 1 [paper].
    """

    stationary = False

    def __call__(self, step: Step) -> Tensor:
        """Return the weighted cross-entropy, (N,)."""
        share = (step.number - 1) / (2 * step.total)
        return weighted_split(step, step.resisting, share)


@dataclass(frozen=True)
class CosineWeighted(Objective):
    r"""Weigh pixels by how closely the prediction points at the label.

    $$\frac{1}{N} \sum_i \cos(p_i, e_{y_i})\, CE_i,\quad \cos(p, e_y) = p_y / \|p\|_2$$, p the
    softmax. A pixel's weight falls as its prediction moves away from the label. Where targeted, the
    weight is 1 − cos: pixels that are not yet at their target count most.

    Source: Agnihotri et al., "CosPGD: an efficient white-box adversarial attack for pixel-wise
    prediction tasks", ICML 2024 [paper]; the targeted weight [code]; one-hot vectors are never
    made: their cosine is p_y / ‖p‖.
    """

    def __call__(self, step: Step) -> Tensor:
        """Return the weighted cross-entropy, (N,)."""
        losses = step.cross_entropy
        length = step.logits.detach().softmax(1).square().sum(1).sqrt()
        cosine = (-losses.detach()).exp() / length
        weight = 1 - cosine if step.targeted else cosine
        return mean_over_valid(weight * losses, step.valid)


HardWeight = Literal["correct", "wrong"]
Divergence = Literal["adversarial_clean", "clean_adversarial"]


@dataclass(frozen=True)
class TwoStage(Objective):
    r"""Weigh pixels first by adversarial property, then by transferability.

    Stage 1: $$\frac{1-\gamma}{N} \sum_{P_T} CE_i + \frac{\gamma}{N} \sum_{P_F} CE_i$$, P_T still
    correct, P_F already wrong. Stage 2: $$\frac{1-\beta}{N} \sum_{P_H} CE_i +
    \frac{\beta}{N} \sum_{P_L} CE_i$$, P_H the pixels whose divergence between adversarial and
    clean prediction is above the mean over the image's valid pixels, P_L the rest.

    Source: Jia et al., "TranSegPGD", arXiv 2312.02207 [paper]; γ = β = 0.1 and the direction of
    the divergence [port]; the switch after half of the steps [ours].
    """

    stationary = False

    gamma: float = 0.1
    """Weight γ of the pixels that stage 1 does not emphasise, in [0, 1]."""
    beta: float = 0.1
    """Weight β of the pixels that stage 2 does not emphasise, in [0, 1]."""
    stage_switch: float | Literal["all_fooled"] = 0.5
    """Share of the steps that stage 1 takes, in [0, 1]; or ``all_fooled``: each image enters stage
    2 once no valid pixel of it resists, and does not return."""
    hard_weight: HardWeight = "correct"
    """Which pixels stage 1 emphasises: the ``correct`` ones, which are hard to attack (the paper's
    abstract), or the ``wrong`` ones (another reading)."""
    divergence: Divergence = "adversarial_clean"
    """Direction of the divergence: KL(adversarial ‖ clean) or KL(clean ‖ adversarial)."""

    def __post_init__(self) -> None:
        for name, value in (
            ("gamma", self.gamma),
            ("beta", self.beta),
            ("stage_switch", self.stage_switch),
        ):
            if value != "all_fooled" and not 0 <= float(value) <= 1:
                raise InputError(f"{name} must lie in [0, 1], got {value}.")

    def __call__(self, step: Step) -> Tensor:
        """Return the weighted cross-entropy of each image's stage, (N,).

        Traces, (N,) each: ``stage``, 1 or 2; the shares of valid pixels ``resisting`` (P_T) and
        ``transferable`` (P_H, NaN in stage 1).
        """
        second = self._in_second_stage(step)
        step.traces["stage"] = 1.0 + second.float()
        step.traces["resisting"] = mean_over_valid(step.resisting.float(), step.valid)
        second = per_image(second, step.target)
        emphasised = self._hard(step)
        if self._anyone(step, second):
            transferable = self._transferable(step)
            emphasised = torch.where(second, transferable, emphasised)
            share = mean_over_valid(transferable.float(), step.valid)
            step.traces["transferable"] = share.masked_fill(~second.flatten(), torch.nan)
        gamma = step.logits.new_full(second.shape, self.gamma)
        return weighted_split(step, emphasised, gamma.masked_fill(second, self.beta))

    def facts(self, traces: dict[str, Tensor]) -> dict[str, Tensor]:
        """Count the steps of each stage (in parts where views of one step differ in stage)."""
        return {
            "stage1_steps": (2 - traces["stage"]).nansum(1),
            "stage2_steps": (traces["stage"] - 1).nansum(1),
        }

    def _in_second_stage(self, step: Step) -> Tensor:
        if self.stage_switch == "all_fooled":
            fooled = ~step.resisting.reshape(len(step.target), -1).any(1)
            step.memory["fooled"] = step.memory.get("fooled", fooled) | fooled
            return step.memory["fooled"]
        return torch.full(step.target.shape[:1], self._late(step), device=step.target.device)

    def _anyone(self, step: Step, second: Tensor) -> bool:
        """Return whether any image is in stage 2; only ``all_fooled`` waits for the device."""
        return bool(second.any()) if self.stage_switch == "all_fooled" else self._late(step)

    def _late(self, step: Step) -> bool:
        return step.number > float(self.stage_switch) * step.total

    def _hard(self, step: Step) -> Tensor:
        return step.resisting if self.hard_weight == "correct" else step.valid & ~step.resisting

    def _transferable(self, step: Step) -> Tensor:
        pair = (step.logits.detach(), step.clean_logits())
        divergence = kl_divergence(
            *(pair if self.divergence == "adversarial_clean" else pair[::-1])
        )
        mean = mean_over_valid(divergence, step.valid)
        return (divergence > per_image(mean, divergence)) & step.valid
