"""What an attack returns, and the results of parts of a batch as one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from project.core.errors import InputError
from project.images.eight_bit import off_levels
from project.metrics.flows import flow_facts
from project.threat_models import Masked, ThreatModel

Result = TypeVar("Result", bound="Perturbed")


@dataclass(frozen=True)
class Perturbed:
    """The result of an attack's search, before it is judged.

    Attributes:
        images: (N, 3, H, W), rounded to 8 bits inside the threat model.
        float_images: (N, 3, H, W) in [0, 1], before rounding.
        perturbation: noise (N, 3, H, W), flow (N, 2, H, W) in pixels, or as the threat model says.
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

    @property
    def flow(self) -> Tensor | None:
        """What moved the images, (N, 2, H, W) in pixels; None where nothing moves."""
        if self.threat_model is not None:
            return self.threat_model.flow(self.perturbation)
        if self.perturbation.shape[1] != 2:
            return None
        return self.perturbation if self.mask is None else self.perturbation * self.mask


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


def measured(found: Result) -> Result:
    """Return a result whose facts tell what its flow measures, if anything moves."""
    flow = found.flow
    return found if flow is None else replace(found, facts=found.facts | flow_facts(flow))


def require_sound(found: Perturbed, images: Tensor, name: str) -> None:
    """Refuse what no attack may return, as an attack of the user's own may.

    Args:
        found: what its ``perturb`` returned.
        images: (N, 3, H, W), the clean images.
        name: the attack's.

    Raises:
        InputError: if images have another shape, are not finite or outside [0, 1]; if those that
            are judged are not of 8-bit values; if anything told of them is not one per image.
    """
    if not isinstance(found, Perturbed):
        raise InputError(f"{name}.perturb must return a Perturbed, got a {type(found).__name__}.")
    for what in ("images", "float_images"):
        shape = tuple(getattr(found, what).shape)
        if shape != tuple(images.shape):
            raise InputError(
                f"{name}.perturb must return {what} of the clean images' shape "
                f"{tuple(images.shape)}, got {shape}."
            )
    columns = {"perturbation": found.perturbation, "steps": found.steps, **found.facts}
    for what, values in columns.items():
        if len(values) != len(images):
            raise InputError(
                f"{name}.perturb must return {what} with one entry per image, {len(images)}, got "
                f"{tuple(values.shape)}."
            )
    extremes = (found.images.aminmax(), found.float_images.aminmax())
    told = [extreme.detach().double() for pair in extremes for extreme in pair]
    off = off_levels(found.images).detach().to(told[0])
    # One copy from the device for all of it.
    low, high, low_float, high_float, off_level = torch.stack([*told, off]).tolist()
    for what, least, most in (("images", low, high), ("float_images", low_float, high_float)):
        if not (least >= 0 and most <= 1):  # never so where NaN
            raise InputError(
                f"{name}.perturb must return {what} in [0, 1], got [{least:.3f}, {most:.3f}]. "
                "Clamp them, and look for divisions by zero where they are nan."
            )
    if not off_level <= _OFF_LEVEL:
        raise InputError(
            f"{name}.perturb must return images of 8-bit values k/255, since those are judged and "
            f"stored, got values up to {off_level:.2f} levels off. Round them with "
            "project.images.eight_bit.to_8bit, or the threat model's round; the float ones "
            "go into float_images."
        )


_OFF_LEVEL = 1e-3
"""How far rounding in float32 may leave a value from its 8-bit level, in levels."""

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
    if most is not None and (isinstance(most, bool) or not isinstance(most, int) or most < 1):
        raise InputError(
            "max_batch must be a whole number, at least 1, or None for the whole batch, got "
            f"{most!r}."
        )
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
