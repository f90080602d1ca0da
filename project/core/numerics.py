"""What decides the last bits of a computation: libraries, kind of device, precision."""

from __future__ import annotations

import importlib.metadata
from functools import cache
from typing import Any

import torch

_LIBRARIES = ("torchvision", "timm", "segmentation-models-pytorch")  # networks and their parts


def numerics(device: torch.device) -> dict[str, Any]:
    """Return as plain data what results on a device depend on beside code and input.

    Of a GPU its name counts, since each kind has kernels of its own. The number of CPU threads,
    which may change a sum's last bit, is not among it.

    Args:
        device: the device that computes.
    """
    return {
        "versions": _versions(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "default dtype": str(torch.get_default_dtype()),
        "autocast": _autocast(device.type),
        "float32": _float32(device.type),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
    }


@cache
def _versions() -> dict[str, str]:
    installed = {name: importlib.metadata.version(name) for name in _LIBRARIES}
    return {"torch": str(torch.__version__)} | installed


def _autocast(kind: str) -> str:
    if not torch.amp.is_autocast_available(kind) or not torch.is_autocast_enabled(kind):
        return "off"
    return str(torch.get_autocast_dtype(kind))


def _float32(kind: str) -> dict[str, Any]:
    """Return the precision of float32 products on a kind of device: TF32, bfloat16 or full."""
    backends: Any = torch.backends  # which the old and the new way of setting it both change
    general = backends.fp32_precision
    parts = {
        "cpu": [backends.mkldnn.matmul, backends.mkldnn.conv],
        "cuda": [backends.cuda.matmul, backends.cudnn.conv, backends.cudnn.rnn],
    }
    used = (one.fp32_precision for one in parts.get(kind, []))
    told: dict[str, Any] = {"products": [_full(one if one != "none" else general) for one in used]}
    if kind == "cuda":
        cudnn, matmul = backends.cudnn, backends.cuda.matmul
        told["cudnn"] = [cudnn.enabled, cudnn.benchmark, cudnn.deterministic]
        told["sums in half precision"] = [
            str(matmul.allow_fp16_reduced_precision_reduction),
            str(matmul.allow_bf16_reduced_precision_reduction),
        ]
    return told


def _full(precision: str) -> str:
    return "ieee" if precision == "none" else precision
