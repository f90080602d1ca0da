"""What an attack returns, and the results of parts of a batch as one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from project.core.errors import InputError
from project.threat_models import Masked, ThreatModel


@dataclass(frozen=True)
class Perturbed:
    """The result of an attack's search, before it is judged.

    Attributes:
        images: (N, 3, H, W), rounded to 8 bits inside the threat model.
        float_images: (N, 3, H, W) in [0, 1], before rounding.
        perturbation: noise (N, 3, H, W) or flow (N, 2, H, W) in pixels.
        steps: (N,) int64, the number of updates that led to each image.
        facts: (N,) each; further columns of the image's row (mask area, steps of a stage).
        traces: (N, T) each; values recorded step by step.
        mask: (N, 1, H, W) in [0, 1], where the image was allowed to change; None: everywhere.
        threat_model: the threat model of the perturbation, with which smaller ones can be tried;
            None where there is no single one.
    """

    images: Tensor
    float_images: Tensor
    perturbation: Tensor
    steps: Tensor
    facts: dict[str, Tensor] = field(default_factory=dict)
    traces: dict[str, Tensor] = field(default_factory=dict)
    mask: Tensor | None = None
    threat_model: ThreatModel | None = None


@dataclass(frozen=True)
class AttackResult(Perturbed):
    """The result of an attack, and whether it fools the victim that it was made on.

    Attributes:
        success: (N,) bool, judged on the 8-bit images: every valid element (the class, or each
            valid pixel) is wrong, or is the target class.
        success_float: (N,) bool, the same before rounding.
        fooled: (N,) in [0, 1], the share of valid elements where the aim is reached, 8-bit.
    """

    success: Tensor = field(kw_only=True)
    success_float: Tensor = field(kw_only=True)
    fooled: Tensor = field(kw_only=True)


Result = TypeVar("Result", bound="Perturbed")
Part = tuple[Tensor, Tensor, Tensor]
"""Images, targets and sample ids of a part of a batch."""


def parts(images: Tensor, target: Tensor, index: Tensor, most: int | None) -> Iterator[Part]:
    """Yield a batch in parts of at most ``most`` images, or as a whole.

    Args:
        images: (N, 3, H, W).
        target: (N,) or (N, H, W).
        index: (N,).
        most: at least 1; None is all.

    Raises:
        ValueError: if ``most`` is less than 1.
    """
    if most is not None and most < 1:
        raise InputError(f"max_batch must be at least 1, or None for the whole batch, got {most}.")
    count = most or len(images)
    for first in range(0, len(images), count):
        part = slice(first, first + count)
        yield _ordinary(images[part]), _ordinary(target[part]), index[part]


def _ordinary(values: Tensor) -> Tensor:
    """Return a tensor that autograd accepts: tensors made in inference mode must be copied."""
    return values.clone() if values.is_inference() else values


def joined(results: Sequence[Result]) -> Result:
    """Join the results of a batch's parts into one.

    Shorter traces are padded with NaN, as are those of images that stop early.
    """
    first = results[0]
    if len(results) == 1:
        return first
    told = {name: [vars(result)[name] for result in results] for name in vars(first)}
    whole = {name: torch.cat(own) for name, own in told.items() if isinstance(own[0], Tensor)}
    common = set.intersection(*(set(facts) for facts in told["facts"]))
    facts = {name: torch.cat([part[name] for part in told["facts"]]) for name in common}
    traces, space = _joined_traces(results), _joined_spaces(told["threat_model"])
    return type(first)(**whole, facts=facts, traces=traces, threat_model=space)


def _joined_traces(results: Sequence[Perturbed]) -> dict[str, Tensor]:
    examples = {name: values for result in results for name, values in result.traces.items()}
    lengths = [values.shape[1] for result in results for values in result.traces.values()]

    def filled(result: Perturbed, name: str) -> Tensor:
        nothing = examples[name].new_empty(len(result.images), 0)
        values = result.traces.get(name, nothing)
        return F.pad(values, (0, max(lengths) - values.shape[1]), value=torch.nan)

    return {name: torch.cat([filled(result, name) for result in results]) for name in examples}


def _joined_spaces(spaces: Sequence[ThreatModel | None]) -> ThreatModel | None:
    """Join the threat models of a batch's parts, which differ in their masks only."""
    first = spaces[0]
    if not isinstance(first, Masked):
        return first
    masks = [space.mask for space in spaces if isinstance(space, Masked)]
    return replace(first, mask=torch.cat(masks))
