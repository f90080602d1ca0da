"""What tensors, arrays and a network's weights hold, told by hashes."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import torch
from torch import nn

from project.core.errors import UndescribableError


def weights_hash(module: nn.Module) -> str:
    """Return the SHA-256 of all parameters and buffers, with their names, types and shapes.

    What several layers share counts under each of its names, since it matters which share it.
    """
    sha = hashlib.sha256()
    named = [
        *module.named_parameters(remove_duplicate=False),
        *module.named_buffers(remove_duplicate=False),
    ]
    # Sorted, so that the order in which a network registers its layers does not change the hash.
    for name, value in sorted(named, key=lambda one: one[0]):
        array = value.detach().cpu().contiguous()
        sha.update(f"{name} {array.dtype} {tuple(array.shape)}".encode())
        sha.update(_bytes(array))
    return sha.hexdigest()


def tensor_told(thing: torch.Tensor) -> dict[str, Any]:
    """Tell a dense tensor by type, shape and content.

    Raises:
        UndescribableError: if it is of another layout, quantised, or holds nothing.
    """
    if thing.layout is not torch.strided or thing.is_quantized or thing.is_meta:
        raise UndescribableError(
            f"a tensor must be dense to be described, got {thing.layout} on {thing.device}. "
            "Store it dense, or keep it in a private attribute and tell it by fingerprint()."
        )
    array = thing.detach().cpu().resolve_conj().resolve_neg().contiguous()
    return {
        "tensor": str(array.dtype),
        "shape": list(array.shape),
        "sha256": hashlib.sha256(_bytes(array)).hexdigest(),
    }


def array_told(thing: np.ndarray[Any, Any]) -> dict[str, Any]:
    """Tell an array that holds no Python objects by type, shape and content."""
    return {
        "array": thing.dtype.str if thing.dtype.names is None else str(thing.dtype.descr),
        "shape": list(thing.shape),
        "sha256": hashlib.sha256(np.ascontiguousarray(thing).tobytes()).hexdigest(),
    }


def _bytes(array: torch.Tensor) -> bytes:
    return array.flatten().view(torch.uint8).numpy().tobytes() if array.numel() else b""
