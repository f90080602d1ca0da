"""What kind of layer a module is, where its class does not say so."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import torch
from torch import nn


def layer_kind(module: nn.Module) -> type:
    """Return a module's class, and of one that torch makes anew for each module the class below."""
    made = nn.utils.parametrize.is_parametrized(module) or isinstance(module, torch.fx.GraphModule)
    return type(module).__mro__[1] if made else type(module)


def hooks_of(module: nn.Module) -> list[Any]:
    """Return a module's hooks on both passes and how they are called, in order of registration."""
    forward = [
        list(vars(module)[name].values()) for name in ("_forward_hooks", "_forward_pre_hooks")
    ]
    told = {
        name: list(vars(module).get(name, {}).values())
        for name in ("_backward_hooks", "_backward_pre_hooks")
    }
    if told["_backward_hooks"]:  # torch keeps the flag when they are gone
        told["full"] = [vars(module).get("_is_full_backward_hook")]
    for name, flags in _FLAGS_OF_HOOKS:
        marked = vars(module).get(flags, {})
        told[flags] = [place for place, key in enumerate(vars(module)[name]) if key in marked]
    more = {name: values for name, values in told.items() if values}
    return [*forward, *([more] if more else [])]


_FLAGS_OF_HOOKS = (
    ("_forward_hooks", "_forward_hooks_with_kwargs"),
    ("_forward_hooks", "_forward_hooks_always_called"),
    ("_forward_pre_hooks", "_forward_pre_hooks_with_kwargs"),
)


def scripted_hash(module: torch.jit.ScriptModule) -> str:
    """Return the SHA-256 of a scripted module's code and attributes, of all its parts."""
    text = module._c.dump_to_str(True, True, False)
    # Without where it was written, where it lies in memory, and how often its class was scripted.
    for volatile in (r" # [^\n]*", r"0x[0-9a-f]+", r"___torch_mangle_\d+\.", r"training = \w+"):
        text = re.sub(volatile, "", text)
    return hashlib.sha256(text.encode()).hexdigest()
