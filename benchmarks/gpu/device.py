"""What is asked of a GPU beside its time; and a stand-in on the CPU, to try the scripts out."""

from __future__ import annotations

import platform
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

Work = Callable[[], object]
_SAID_WHEN_IT_WAITS = "called a synchronizing"
_SIDE = 4096  # of the matrices whose products keep a GPU busy
_MOST_QUEUED = 200
"""Products at once; from about 1,000 on the queue is full, and the host waits."""


class Device(ABC):
    """A device that attacks run on.

    Attributes:
        place: for tensors.
        backend: of torch.distributed.
        accelerator: of Lightning's Trainer.
    """

    place: torch.device
    backend: str
    accelerator: str

    @abstractmethod
    def told(self) -> dict[str, str]:
        """Return what figures depend on."""

    @abstractmethod
    def memory(self) -> int:
        """Return the free memory in bytes."""

    @abstractmethod
    def waits(self, work: Work) -> list[str]:
        """Return the places, FILE:LINE, where the host waits for the device during some work."""

    @abstractmethod
    def is_ahead(self, work: Work) -> bool:
        """Return whether the host is through with work while the device is busy with other."""

    @abstractmethod
    def pinned(self, tensor: Tensor) -> Tensor:
        """Return a copy on the host in memory that the device reads by itself."""

    def release(self) -> None:
        """Give back memory that is kept for later tensors."""

    def synchronize(self) -> None:
        """Wait for the device."""


class Gpu(Device):
    """An NVIDIA GPU, by itself."""

    backend, accelerator = "nccl", "gpu"

    def __init__(self) -> None:
        if not torch.cuda.is_available():
            raise RuntimeError("torch finds no GPU here. Try --device cpu, which measures nothing.")
        torch.cuda.init()  # statistics of memory may be asked for before the first tensor is made
        self.place = torch.device("cuda", torch.cuda.current_device())

    def told(self) -> dict[str, str]:
        """Return what figures depend on."""
        known = torch.cuda.get_device_properties(self.place)
        free, whole = torch.cuda.mem_get_info(self.place)
        return {
            "GPU": f"{known.name}, compute capability {known.major}.{known.minor}",
            "memory": f"{whole / 2**30:.1f} GiB, of which {free / 2**30:.1f} GiB are free",
            "CUDA, cuDNN": f"{torch.version.cuda}, {torch.backends.cudnn.version()}",
            "TF32": f"convolutions {torch.backends.cudnn.conv.fp32_precision}, "
            f"products {torch.backends.cuda.matmul.fp32_precision}",
        }

    def memory(self) -> int:
        """Return the free memory in bytes."""
        return int(torch.cuda.mem_get_info(self.place)[0])

    def waits(self, work: Work) -> list[str]:
        """Return the places where torch sees the host wait."""
        self.synchronize()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            try:
                work()
            finally:
                torch.cuda.set_sync_debug_mode("default")
        waited = [one for one in caught if _SAID_WHEN_IT_WAITS in str(one.message)]
        return [f"{one.filename}:{one.lineno}" for one in waited]

    def is_ahead(self, work: Work) -> bool:
        """Return whether work is handed over before the device is through with products."""
        work()
        self.synchronize()
        start = time.perf_counter()
        work()
        self.synchronize()
        needed = time.perf_counter() - start
        factor = torch.rand(_SIDE, _SIDE, device=self.place)
        product = factor @ factor
        self.synchronize()
        start = time.perf_counter()
        torch.mm(factor, factor, out=product)
        self.synchronize()
        one = time.perf_counter() - start
        done = torch.cuda.Event()
        for _ in range(min(_MOST_QUEUED, 2 + int(3 * needed / one))):
            torch.mm(factor, factor, out=product)
        done.record()
        work()
        ahead = not done.query()
        self.synchronize()
        return ahead

    def pinned(self, tensor: Tensor) -> Tensor:
        """Return a copy in page-locked memory."""
        return tensor.pin_memory()

    def release(self) -> None:
        """Give back memory that torch keeps."""
        torch.cuda.empty_cache()

    def synchronize(self) -> None:
        """Wait for the device."""
        torch.cuda.synchronize(self.place)


class Cpu(Device):
    """A stand-in, on which every part runs and no figure means anything."""

    backend, accelerator = "gloo", "cpu"
    place = torch.device("cpu")

    def told(self) -> dict[str, str]:
        """Return what figures depend on."""
        return {"GPU": f"none: a trial run on {platform.machine()}, whose figures mean nothing"}

    def memory(self) -> int:
        """Return enough for what is tried."""
        return 2**30

    def waits(self, work: Work) -> list[str]:
        """Run it: the host never waits for itself."""
        work()
        return []

    def is_ahead(self, work: Work) -> bool:
        """Run it: the host is never ahead of itself."""
        work()
        return False

    def pinned(self, tensor: Tensor) -> Tensor:
        """Return a copy."""
        return tensor.clone()


def device_named(name: str) -> Device:
    """Return the device of a name, ``cuda`` or ``cpu``."""
    return Gpu() if name == "cuda" else Cpu()
