"""Helpers of all victims' constructors: building networks, local weights, identity layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from difflib import get_close_matches
from pathlib import Path

import timm
from torch import nn

from project.core.errors import InputError, first_line, let_memory_errors_pass
from project.victims.downloads import without_waiting
from project.victims.weights import WeightsError, load_weights


def require_one_origin(pretrained: bool, checkpoint: str | Path | None) -> None:
    """Refuse weights from two places.

    Raises:
        ValueError: if both a download and a file are given.
    """
    if pretrained and checkpoint is not None:
        raise InputError(
            "weights must come from one place, got published ones and "
            f"checkpoint {str(checkpoint)!r}. Leave one out."
        )


def timm_names() -> list[str]:
    """List the networks of timm, without and with the tags of their weights."""
    return [*timm.list_models(), *timm.list_pretrained()]


def build(
    make: Callable[[], nn.Module],
    name: str,
    downloads: bool,
    names: Callable[[], Sequence[str]],
) -> nn.Module:
    """Build a network, with one-sentence errors for a wrong name or a failing download.

    Args:
        make: builds the network.
        name: the network's name in its library.
        downloads: whether weights are to be fetched.
        names: lists the names of that library. It is called only if the network could not be built,
            since libraries take other names too, such as timm's ``hf-hub:``.

    Raises:
        ValueError: if the library has no such network.
        WeightsError: if the weights cannot be fetched.
    """
    try:
        with without_waiting() if downloads else nullcontext():
            return make()
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        let_memory_errors_pass(error)
        if not isinstance(error, OSError) and name not in (known := names()):
            close = ", ".join(get_close_matches(name, known)) or "nothing"
            raise InputError(
                f"a network must have a name that its library knows, got {name!r}. Correct it; "
                f"close to it: {close}."
            ) from error
        if not downloads or not isinstance(error, (OSError, RuntimeError)):
            raise
        raise WeightsError(
            f"the published weights of {name!r} could not be fetched "
            f"({type(error).__name__}: {first_line(error)}). "
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
