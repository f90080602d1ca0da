"""Full precision for the arithmetic of attacks under autocast, which is meant for networks."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

import torch
from torch import Tensor

Arguments = ParamSpec("Arguments")


def without_autocast(function: Callable[Arguments, Tensor]) -> Callable[Arguments, Tensor]:
    """Compute a function of tensors in their own precision, also under autocast.

    Autocast rounds matrix products and convolutions to half precision. In networks that is what one
    asks for; but of an image in bfloat16 there is not one 8-bit level in two left.
    """

    @wraps(function)
    def exact(*given: Arguments.args, **named: Arguments.kwargs) -> Tensor:
        kind = next((x.device.type for x in given if isinstance(x, Tensor)), "cpu")
        if not (torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)):
            return function(*given, **named)
        with torch.autocast(kind, enabled=False):
            return function(*given, **named)

    return exact
