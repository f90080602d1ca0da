"""Networks that a function of the user's own builds, as victims."""

from __future__ import annotations

import re
import sys
import typing
from importlib import import_module
from inspect import isclass
from pathlib import Path
from typing import Any

from torch import nn

from project.core.errors import InputError, let_memory_errors_pass
from project.core.source_code import PACKAGE, library_of
from project.victims.networks import finish
from project.victims.segmentation import SegmentationVictim
from project.victims.victim import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Channels,
    ClassificationVictim,
    Interpolation,
)

_NAME = re.compile(r"((?:[^\W\d]\w*\.)*[^\W\d]\w*):([^\W\d]\w*)")
_NEVER = {PACKAGE, "lightning", "pytorch_lightning"}


class ImportedClassifier(ClassificationVictim):
    """Any classifier that a function returns, with mean and std: ``module:function``.

    The module is found as Python finds it, such as *mine.py* with ``PYTHONPATH`` set to its folder.
    The function is called without arguments, since a config hands none to functions; write one that
    makes the network as it should be. It returns a network from normalised images (N, 3, h, w) to
    logits (N, K). Weights come from the function, or from ``checkpoint``.

    A function of an installed library must say that it returns a module of torch (``-> Module``),
    or be such a class; nothing of Python's own library, of Mirage or of Lightning is called.

    Args:
        function: ``module:function``, for example ``mine:resnet``.
        num_classes: K.
        mean: per channel in [0, 1] units, subtracted before the network.
        std: likewise, divided by.
        checkpoint: local weight file; see :func:`project.victims.load_weights`.
        input_size: side of the square that images are resized to inside; None keeps their size.
        interpolation: how they are resized.

    Raises:
        InputError: if the name leads to no such function, or that returns no network.
        WeightsError: if the weights cannot be read or fitted.
    """

    def __init__(
        self,
        function: str,
        num_classes: int,
        *,
        mean: Channels = IMAGENET_MEAN,
        std: Channels = IMAGENET_STD,
        checkpoint: str | Path | None = None,
        input_size: int | None = None,
        interpolation: Interpolation = "bilinear",
    ) -> None:
        super().__init__(
            _made(function, checkpoint),
            num_classes,
            mean=mean,
            std=std,
            input_size=input_size,
            interpolation=interpolation,
        )
        self.function = function
        self.checkpoint = checkpoint


class ImportedSegmenter(SegmentationVictim):
    """Any segmenter that a function returns, with mean and std; see :class:`ImportedClassifier`.

    The network answers with (N, K, h, w) at any resolution; see :class:`SegmentationVictim`.

    Args:
        function: ``module:function``, for example ``mine:unet``.
        num_classes: K, without void.
        mean: per channel in [0, 1] units, subtracted before the network.
        std: likewise, divided by.
        checkpoint: local weight file; see :func:`project.victims.load_weights`.
        input_size: side of the square that images are stretched to inside, and the logits back;
            None keeps their size.
        interpolation: how images are resized.
        divisor: heights and widths given to the network are multiples of it.

    Raises:
        InputError: if the name leads to no such function, or that returns no network.
        WeightsError: if the weights cannot be read or fitted.
    """

    def __init__(
        self,
        function: str,
        num_classes: int,
        *,
        mean: Channels = IMAGENET_MEAN,
        std: Channels = IMAGENET_STD,
        checkpoint: str | Path | None = None,
        input_size: int | None = None,
        interpolation: Interpolation = "bilinear",
        divisor: int = 1,
    ) -> None:
        super().__init__(
            _made(function, checkpoint),
            num_classes,
            mean=mean,
            std=std,
            input_size=input_size,
            interpolation=interpolation,
            divisor=divisor,
        )
        self.function = function
        self.checkpoint = checkpoint


def _made(name: str, checkpoint: str | Path | None) -> nn.Module:
    """Return the network that a function makes, with the weights of a file."""
    function = _found(name)
    try:
        network = function()
    except TypeError as error:
        let_memory_errors_pass(error)
        raise InputError(
            f"function {name!r} must make a network without arguments, but raised: {error}. Write "
            "one that gives them."
        ) from error
    if not isinstance(network, nn.Module):
        raise InputError(
            f"function {name!r} must return a module of torch, got a {type(network).__name__}."
        )
    finish(network, [], checkpoint)
    return network


def _found(name: str) -> Any:
    """Import a function by its name, where it may be called."""
    parts = _NAME.fullmatch(name)
    if parts is None:
        raise InputError(f"function must be module:function, such as mine:resnet, got {name!r}.")
    module, own = parts.groups()
    top = module.partition(".")[0]
    if top in _NEVER or top in sys.stdlib_module_names or "__main__" in module.split("."):
        raise InputError(
            f"function must be of a module of yours or of an installed library of networks, got "
            f"{name!r}. Write a function of your own that calls it."
        )
    try:
        found = getattr(import_module(module), own)
    except (ImportError, AttributeError) as error:
        raise InputError(
            f"function {name!r} must be there to be imported, but: {error}. Correct it, or set "
            "PYTHONPATH to the folder of its module."
        ) from error
    if not callable(found):
        raise InputError(f"function {name!r} must be one, got a {type(found).__name__}.")
    home = getattr(found, "__module__", None) or "builtins"
    outside = library_of(home) is not None or home.partition(".")[0] in _NEVER
    if outside and not _makes_networks(found):
        raise InputError(
            f"a function of an installed library must say that it returns a module of torch, but "
            f"{name!r} does not. Write a function of your own that calls it."
        )
    return found


def _makes_networks(found: Any) -> bool:
    """Tell whether a function is a kind of network, or its types say that it returns one."""
    made = found
    if not isclass(found):
        try:
            made = typing.get_type_hints(found).get("return")
        except (NameError, TypeError, AttributeError):  # types that exist for checkers only
            return False
    return isclass(made) and issubclass(made, nn.Module)
