"""One set of BatchNorm statistics for all processes."""

from __future__ import annotations

import torch.distributed as dist
from torch import nn


def share_buffers(module: nn.Module) -> None:
    """Give the module of every process the buffers of the first; alone, do nothing.

    DistributedDataParallel does so too, but in the next training forward pass. What comes before
    it, an attack, a probe, a validation, would meet another network in each process, and none but
    the first process's would be in a checkpoint.
    """
    if dist.is_available() and dist.is_initialized():
        for buffer in module.buffers():
            dist.broadcast(buffer, src=0)
