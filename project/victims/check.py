"""The victim check: probe every victim on a small real batch before an experiment starts.

A victim that returns probabilities, is not deterministic or blocks the gradient to its input does
not fail later, but gives wrong numbers. So each failed probe is reported in one sentence.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from project.core.errors import InputError, first_line, let_memory_errors_pass
from project.core.logits import output_told
from project.victims.victim import Task, Victim

_TOLERANCE = 1e-3  # on logits of order 1: batched and single kernels round differently


class VictimCheckError(InputError):
    """One or more victims are not fit for an experiment; the message lists every reason."""


def check_victims(
    victims: Mapping[str, Victim], images: Tensor, task: Task, num_classes: int
) -> None:
    """Check all victims and report all failures at once.

    Args:
        victims: by name.
        images: (N, 3, H, W) in [0, 1], a small real batch, N ≥ 2 to see batch mates interact.
        task: the task of the data.
        num_classes: the data's number of classes, without void.

    Raises:
        VictimCheckError: if any victim fails any probe.
    """
    failures = [
        failure
        for name, victim in victims.items()
        for failure in check_victim(name, victim, images, task, num_classes)
    ]
    if failures:
        raise VictimCheckError("\n".join(failures))


def check_victim(
    name: str, victim: Victim, images: Tensor, task: Task, num_classes: int
) -> list[str]:
    """Return the failures of one victim, each one sentence with a remedy; it is not changed.

    Args:
        name: the victim's name in the config.
        victim: on the device of the images.
        images: (N, 3, H, W) in [0, 1].
        task: the task of the data.
        num_classes: the data's number of classes, without void.

    Raises:
        RuntimeError, MemoryError: torch's or Python's own, if memory runs out.
    """
    with _as_attacked(victim), torch.inference_mode(False):
        try:
            failures = _probe(victim, images.detach().clone(), task, num_classes)
        except InputError as error:  # says itself what is wrong
            failures = [str(error)]
        except (RuntimeError, ValueError, AssertionError) as error:
            let_memory_errors_pass(error)
            failures = [_refusal(images, error)]
    return [f"victim {name!r}: {failure}" for failure in failures]


def misfits(victim: Victim, task: Task, num_classes: int) -> list[str]:
    """Return the reasons why a victim does not suit the data, each one sentence with a remedy."""
    if victim.task != task:
        return [
            f"must do {task}, as the data does, but does {victim.task}. "
            "Take a victim for this task or other data."
        ]
    if victim.num_classes != num_classes:
        return [
            f"must have the data's {num_classes} classes, but has {victim.num_classes}. "
            "Take a victim trained on these classes, or correct num_classes."
        ]
    return []


def _probe(victim: Victim, images: Tensor, task: Task, num_classes: int) -> list[str]:
    """Run all probes; those on which others rely come first, and end the check if they fail."""
    failures = misfits(victim, task, num_classes) or _outside(images)
    if failures:
        return failures
    with torch.no_grad():
        logits = victim(images)
    failures = _shape(victim, images, logits) or _finite(logits)
    if failures:
        return failures
    repeatable = _deterministic(victim, images, logits) or _independent(victim, images, logits)
    return _range(logits) + repeatable + _gradient(victim, images)


def _outside(images: Tensor) -> list[str]:
    if images.min() < 0 or images.max() > 1:
        return [
            f"images must lie in [0, 1], got [{images.min():.3f}, {images.max():.3f}]. "
            "Normalise inside the victim, not in the datamodule."
        ]
    return []


def _refusal(images: Tensor, error: Exception) -> str:
    height, width = images.shape[-2:]
    return (
        f"must take images of {height}×{width}, but raised {type(error).__name__}: "
        f"{first_line(error)}. Set its input_size (or divisor), or resize the data."
    )


def _shape(victim: Victim, images: Tensor, logits: object) -> list[str]:
    pixels = tuple(images.shape[-2:]) if victim.task == "segmentation" else ()
    expected = (len(images), victim.num_classes, *pixels)
    if not isinstance(logits, Tensor):
        return [
            f"the output must be one tensor of logits, got {output_told(logits)}. "
            "Wrap the network so that it returns the logits alone."
        ]
    if tuple(logits.shape) != expected:
        return [
            f"the output must have shape {expected} for images {tuple(images.shape)}, got "
            f"{tuple(logits.shape)}. Correct num_classes or the architecture."
        ]
    return []


def _finite(logits: Tensor) -> list[str]:
    bad = int((~logits.isfinite()).sum())
    if not bad:
        return []
    return [
        f"logits must be finite, got {bad} of {logits.numel()} NaN or infinite. "
        "Check the weights and the precision."
    ]


def _range(logits: Tensor) -> list[str]:
    if logits.shape[1] < 2:
        return []
    sums = logits.float().sum(1)
    if logits.min() < 0 or not torch.allclose(sums, torch.ones_like(sums), atol=1e-3):
        return []
    return [
        "the output must be logits, got probabilities (not negative, summing to 1). "
        "Remove the final softmax."
    ]


def _deterministic(victim: Victim, images: Tensor, logits: Tensor) -> list[str]:
    with torch.no_grad():
        again = victim(images)
    if torch.allclose(again, logits, rtol=1e-5, atol=1e-5):
        return []
    return [
        f"two calls on the same images must agree, logits differ by up to "
        f"{_gap(again, logits):.3g}. Switch off what is random in eval mode."
    ]


def _independent(victim: Victim, images: Tensor, logits: Tensor) -> list[str]:
    with torch.no_grad():
        alone = torch.cat([victim(images[n : n + 1]) for n in range(len(images))])
    scale = max(1.0, float(logits.abs().max()))
    if torch.allclose(alone, logits, rtol=0, atol=_TOLERANCE * scale):
        return []
    return [
        f"an image's logits must not depend on its batch mates, they differ by up to "
        f"{_gap(alone, logits):.3g} alone. Freeze normalisation over the batch."
    ]


def _gradient(victim: Victim, images: Tensor) -> list[str]:
    remedy = "Remove detach, no_grad or rounding from its forward pass."
    inputs = images.clone().requires_grad_()
    with torch.enable_grad():
        output = victim(inputs)
        if not output.requires_grad:
            return [f"the gradient must reach the images, but the output has none. {remedy}"]
        total = output.logsumexp(1).sum()
        (gradient,) = torch.autograd.grad(total, inputs, allow_unused=True)
    if gradient is None:
        return [f"the gradient must reach the images, but it ends before them. {remedy}"]
    if not gradient.isfinite().all():
        return ["the gradient must be finite, got NaN or infinite values. Check the weights."]
    silent = (gradient.flatten(1) == 0).all(1)
    if silent.any():
        return [
            f"the gradient must reach the images, but is zero everywhere on {int(silent.sum())} "
            f"of {len(images)}. {remedy}"
        ]
    return []


def _gap(left: Tensor, right: Tensor) -> float:
    return float((left - right).abs().max())


@contextmanager
def _as_attacked(victim: Victim) -> Iterator[None]:
    """Put every module into eval mode, and restore all flags and buffers afterwards."""
    modes = {module: module.training for module in victim.modules()}
    buffers = {name: value.clone() for name, value in victim.named_buffers()}
    victim.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training
        with torch.no_grad():
            for name, value in victim.named_buffers():
                value.copy_(buffers[name])
