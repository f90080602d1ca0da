"""The peak of a GPU's memory, from an allocator that is pretended as strictly as the real one."""

import pytest
import torch

from project.largest_batch.__main__ import largest_fitting
from project.largest_batch.memory import peak_bytes, peaks

GPU = torch.device("cuda")
ROOM = 1000


class Allocator:
    """Counts bytes that are held at once, and refuses what torch's refuses."""

    def __init__(self) -> None:
        self.known = False
        self.now = self.peak = self.emptied = 0

    def init(self) -> None:
        self.known = True

    def reset_peak_memory_stats(self, device: torch.device) -> None:
        if not self.known:
            raise RuntimeError("Invalid device argument 0: did you call init?")
        self.peak = self.now

    def memory_allocated(self, device: torch.device) -> int:
        return self.now

    def max_memory_allocated(self, device: torch.device) -> int:
        return self.peak

    def empty_cache(self) -> None:
        self.emptied += 1

    def hold(self, size: int) -> None:
        self.init()
        if self.now + size > ROOM:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        self.now += size
        self.peak = max(self.peak, self.now)

    def use(self, size: int) -> None:
        self.hold(size)
        self.now -= size


@pytest.fixture
def allocator(monkeypatch):
    made = Allocator()
    for name in (
        *("init", "reset_peak_memory_stats", "memory_allocated", "max_memory_allocated"),
        "empty_cache",
    ):
        monkeypatch.setattr(torch.cuda, name, getattr(made, name))
    return made


def test_first_peak_of_a_process_is_measured(allocator):
    assert peak_bytes(lambda: allocator.use(300), GPU) == 300


def test_peak_is_above_what_was_held_before(allocator):
    allocator.hold(400)
    allocator.use(500)
    assert peak_bytes(lambda: allocator.use(300), GPU) == 300


def test_largest_batch_is_found_by_trying(allocator):
    allocator.hold(100)
    peak = peaks(lambda count: allocator.use(70 * count), GPU)
    assert peak(13) == float("inf")
    assert largest_fitting(lambda count: peak(count) <= ROOM, 64) == 12
    assert allocator.now == 100
    assert allocator.emptied > 4  # after each try, so that the next one finds all memory
