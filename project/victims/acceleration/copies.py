"""Making a faster copy of a victim, and comparing it with the original."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple, Self

import torch
from torch import Tensor, nn

from project.core.answers import predicted_classes
from project.core.errors import InputError
from project.core.logits import logits_of
from project.victims.acceleration.checkpointing import checkpoint_blocks
from project.victims.acceleration.compiling import compile_network
from project.victims.acceleration.folding import fold
from project.victims.acceleration.networks import first_inputs, networks
from project.victims.acceleration.options import Acceleration
from project.victims.acceleration.precision import to_bfloat16
from project.victims.victim import Victim

_OFF = Acceleration(fold=False, channels_last=False)
_TOLERANCE = 1e-2
"""Largest difference of logits, as a share of the largest logit, that counts as rounding. TF32's
rounding is below; a wrong copy is far above."""

Change = Callable[[Victim, Tensor], str]


class Accelerated(NamedTuple):
    """A faster copy of a victim, which is attacked in its place.

    Attributes:
        victim: the copy, of the victim's class and with its names of layers; they share nothing.
            The victim itself, where all options are off.
        changes: the changes made, in words.
        difference: difference of the logits on the probe images.
    """

    victim: Victim
    changes: tuple[str, ...]
    difference: LogitDifference


def accelerated(victim: Victim, how: Acceleration, images: Tensor) -> Accelerated:
    """Return a faster copy of a victim, in eval mode and frozen, compared with it.

    Args:
        victim: the original, which is not changed.
        how: the options, which say what to change in the copy.
        images: (N, 3, H, W) in [0, 1], real ones, on the victim's device.

    Raises:
        ValueError: if a change that should be exact up to rounding is not.
    """
    if how == _OFF:
        return Accelerated(victim, (), LogitDifference())
    with torch.inference_mode(False):  # autograd refuses tensors made in inference mode
        fast = _frozen_copy(victim)
        reference = _logits(fast, images)
        told, exact, difference = [], True, LogitDifference()
        for option, change in _changes(how):
            told.append(change(fast, images))
            difference = LogitDifference.between(_logits(fast, images), reference)
            exact &= option != "precision"
            if exact:
                _require_equal(option, difference)
    return Accelerated(fast, tuple(filter(None, told)), difference)


def _changes(how: Acceleration) -> Iterator[tuple[str, Change]]:
    """Yield option names and changes, in the order in which they must be made.

    Those that wrap the forward pass come after those that change its layers.
    """
    if how.fold:
        yield "fold", _fold
    if how.channels_last:
        yield "channels_last", _lay_channels_last
    if how.checkpoint:
        yield "checkpoint", _checkpoint
    if how.precision == "bfloat16":
        yield "precision", _to_bfloat16
    if how.compile != "off":
        yield "compile", partial(_compile, mode=how.compile)


def _fold(fast: Victim, images: Tensor) -> str:
    norms = sum(isinstance(part, nn.BatchNorm2d) for part in fast.modules())
    inputs = first_inputs(fast, images)
    folded = sum(fold(network, given, named) for network, (given, named) in inputs.items())
    return f"{folded} of {norms} BatchNorms folded" if norms else ""


def _lay_channels_last(fast: Victim, images: Tensor) -> str:
    fast.to(memory_format=torch.channels_last)
    return "channels_last"


def _checkpoint(fast: Victim, images: Tensor) -> str:
    count = sum(checkpoint_blocks(network) for network in networks(fast))
    if not count:
        raise InputError(
            "checkpoint keeps what enters the blocks of a network, but "
            f"{type(networks(fast)[0]).__name__} has none (no part with several layers). Switch "
            "acceleration.checkpoint off, and set max_batch instead."
        )
    return f"{count} blocks checkpointed"


def _to_bfloat16(fast: Victim, images: Tensor) -> str:
    for network in networks(fast):
        to_bfloat16(network)
    return "bfloat16"


def _compile(fast: Victim, images: Tensor, mode: str) -> str:
    for network in networks(fast):
        compile_network(network, mode)
    return f"compiled ({mode})"


def _frozen_copy(victim: Victim) -> Victim:
    return copy.deepcopy(victim).eval().requires_grad_(False)


def _logits(victim: Victim, images: Tensor) -> Tensor:
    with torch.no_grad():
        return logits_of(victim(images))


def _require_equal(option: str, difference: LogitDifference) -> None:
    if not difference.relative <= _TOLERANCE:  # NaN is not
        raise InputError(
            f"option {option} must leave the logits as they are up to rounding, {_TOLERANCE} of "
            f"the largest, but {difference}. Switch acceleration.{option} off for this source."
        )


class LogitDifference(NamedTuple):
    """LogitDifference of a copy's logits from those of the victim.

    Attributes:
        absolute: largest difference of any logit.
        relative: the same as a share of the largest logit's size.
        agreement: share of images (for a segmenter, of pixels) with the same predicted class.
    """

    absolute: float = 0.0
    relative: float = 0.0
    agreement: float = 1.0

    @classmethod
    def between(cls, logits: Tensor, reference: Tensor) -> Self:
        """Compare logits (N, K, ...) with those of the victim."""
        absolute = float((logits - reference).abs().max())
        same = predicted_classes(logits) == predicted_classes(reference)
        return cls(
            absolute,
            absolute / max(float(reference.abs().max()), 1e-12),
            float(same.double().mean()),
        )

    def __str__(self) -> str:
        return (
            f"logits differ by at most {self.absolute:.1e} ({self.relative:.1e} of the largest), "
            f"{self.agreement:.2%} of the predicted classes are the same"
        )
