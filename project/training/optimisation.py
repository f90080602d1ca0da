"""Optimisers and learning-rate schedules."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal

import torch
from torch.nn import Parameter
from torch.optim.lr_scheduler import LambdaLR

from project.training.schedules import LearningRateSchedule

Optimizer = Literal["adamw", "sgd", "heavy_ball"]
Schedule = Literal["one_cycle", "cosine", "constant"] | LearningRateSchedule

_WARM_UP = 0.2  # share of the steps on which `one_cycle` rises
_START = 0.04  # share of the peak at which it starts, as in torch's OneCycleLR (1 / 25)


def make_optimizer(
    parameters: Iterator[Parameter],
    name: Optimizer,
    learning_rate: float,
    weight_decay: float,
) -> torch.optim.Optimizer:
    """Return AdamW or SGD with momentum 0.9.

    Args:
        parameters: those that are not frozen are trained.
        name: ``adamw``, or ``sgd`` with Nesterov's momentum; with both, vectors (norms, biases) do
            not decay. ``heavy_ball`` is SGD with Polyak's momentum, and everything decays: what
            torch's SGD does by itself, and most published robust trainings.
        learning_rate: the schedule's peak.
        weight_decay: of what decays.
    """
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    if name == "heavy_ball":
        return torch.optim.SGD(trained, lr=learning_rate, momentum=0.9, weight_decay=weight_decay)
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if name == "adamw":
        return torch.optim.AdamW(groups, lr=learning_rate)
    return torch.optim.SGD(groups, lr=learning_rate, momentum=0.9, nesterov=True)


def make_schedule(
    optimizer: torch.optim.Optimizer,
    schedule: Schedule,
    steps: int,
) -> LambdaLR:
    """Return a schedule to be stepped after every optimiser step.

    Args:
        optimizer: whose learning rate is the peak.
        schedule: ``one_cycle`` rises over the first fifth, then falls along a cosine to zero;
            ``cosine`` only falls; ``constant`` stays; or a
            :class:`~project.training.schedules.LearningRateSchedule`.
        steps: total number of optimiser steps.
    """

    def factor(step: int) -> float:
        progress = min(step / max(steps, 1), 1.0)
        if isinstance(schedule, LearningRateSchedule):
            return schedule.factor(progress)
        if schedule == "constant":
            return 1.0
        if schedule == "cosine":
            return _falling(progress)
        if progress < _WARM_UP:
            return _START + (1 - _START) * _falling(1 - progress / _WARM_UP)
        return _falling((progress - _WARM_UP) / (1 - _WARM_UP))

    return LambdaLR(optimizer, factor)


def _falling(progress: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * progress))
