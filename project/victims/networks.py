"""What the makers of victims share: downloads, local weights, identity layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from torch import nn

from project.errors import InputError
from project.victims.weights import WeightsError, load_weights


def require_one_origin(pretrained: bool, checkpoint: str | Path | None) -> None:
    """Refuse weights from two places.

    Raises:
        ValueError: if both a download and a file are asked for.
    """
    if pretrained and checkpoint is not None:
        raise InputError(
            "weights must come from one place, got published ones and "
            f"checkpoint {str(checkpoint)!r}. Leave one out."
        )


def build(make: Callable[[], nn.Module], name: str, downloads: bool) -> nn.Module:
    """Build a network; a failing download becomes one sentence that says what to do.

    Raises:
        WeightsError: if the weights cannot be fetched.
    """
    if not downloads:
        return make()
    try:
        return make()
    except (OSError, RuntimeError) as error:
        raise WeightsError(
            f"the published weights of {name!r} could not be fetched "
            f"({type(error).__name__}: {str(error).strip().splitlines()[0][:200]}). "
            "Connect to the internet once, or give a local file as checkpoint."
        ) from error


def finish(network: nn.Module, identity: Sequence[str], checkpoint: str | Path | None) -> None:
    """Replace the named submodules by ``nn.Identity``, then load the weight file if there is one.

    Raises:
        ValueError: if a name is no submodule.
        WeightsError: if the weights do not fit.
    """
    for name in identity:
        _replace(network, name)
    if checkpoint is not None:
        load_weights(network, checkpoint)


def _replace(network: nn.Module, name: str) -> None:
    parent, _, child = name.rpartition(".")
    try:
        owner = network.get_submodule(parent)
        owner.get_submodule(child)
    except AttributeError as error:
        raise InputError(
            f"identity names {name!r}, which is no submodule of {type(network).__name__} "
            f"({error}). List them with network.named_modules()."
        ) from error
    setattr(owner, child, nn.Identity())
