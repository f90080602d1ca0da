"""What kind of layer a module is, where its class does not say so."""

from __future__ import annotations

import hashlib
import re

import torch
from torch import nn


def layer_kind(module: nn.Module) -> type:
    """Return a module's class, and of one that torch makes anew for each module the class below."""
    made = nn.utils.parametrize.is_parametrized(module) or isinstance(module, torch.fx.GraphModule)
    return type(module).__mro__[1] if made else type(module)


def scripted_hash(module: torch.jit.ScriptModule) -> str:
    """Return the SHA-256 of a scripted module's code and attributes, of all its parts."""
    text = module._c.dump_to_str(True, True, False)
    # Without where it was written, where it lies in memory, and how often its class was scripted.
    for volatile in (r" # [^\n]*", r"0x[0-9a-f]+", r"___torch_mangle_\d+\.", r"training = \w+"):
        text = re.sub(volatile, "", text)
    return hashlib.sha256(text.encode()).hexdigest()
