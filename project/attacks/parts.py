"""A batch attacked in parts, one after another, where it needs more memory than there is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from project.core.errors import InputError
from project.threat_models import Masked, ThreatModel

if TYPE_CHECKING:
    from project.attacks.attack import Perturbed

Result = TypeVar("Result", bound="Perturbed")
Part = tuple[Tensor, Tensor, Tensor]
"""Images, targets and sample ids of a part."""


def parts(images: Tensor, target: Tensor, index: Tensor, most: int | None) -> Iterator[Part]:
    """Yield a batch in parts of at most so many images, or as a whole.

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
    """Return what a gradient may pass through; never so a tensor made in inference mode."""
    return values.clone() if values.is_inference() else values


def joined(results: Sequence[Result]) -> Result:
    """Return the results of parts as that of the whole batch.

    Traces of fewer steps than others end in NaN, as do those of images that leave a batch early.
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
    """Return the threat model of all parts: from part to part only a mask differs."""
    first = spaces[0]
    if not isinstance(first, Masked):
        return first
    masks = [space.mask for space in spaces if isinstance(space, Masked)]
    return Masked(first.inner, torch.cat(masks))
