"""A rank ends with another one that died, and waits for one that lives."""

import os
import signal
import time
from pathlib import Path

import pytest
import torch.distributed as dist

from project.callbacks.lost_ranks import LostRanks, RankWatch
from project.core.errors import InputError
from tests.processes import ranks, status

LOST_AFTER = 3.0
BUSY = 4 * LOST_AFTER

pytestmark = pytest.mark.slow


def _begun(folder: Path) -> tuple[int, RankWatch]:
    rank = int(os.environ["LOCAL_RANK"])
    dist.init_process_group("gloo", rank=rank)
    watch = RankWatch(LOST_AFTER)
    watch.start()
    dist.barrier()
    time.sleep(LOST_AFTER)  # beats are heard
    (folder / f"begun-{rank}").touch()
    return rank, watch


def busy(folder: Path) -> None:
    """Work for very long, without any collective."""
    _begun(folder)
    time.sleep(600)


def one_is_late(folder: Path, late: int) -> None:
    """One rank waits in a collective for another that is busy for long."""
    rank, watch = _begun(folder)
    if rank == late:
        time.sleep(BUSY)
    dist.barrier()
    watch.leave()


def one_leaves(folder: Path, first: int) -> None:
    """One rank is done long before the other."""
    rank, watch = _begun(folder)
    if rank != first:
        time.sleep(BUSY)
    watch.leave()


@pytest.mark.parametrize("killed", [0, 1])
def test_a_rank_that_computes_ends_soon_after_another_was_killed(tmp_path, killed):
    said = tmp_path / "said.txt"
    running = ranks(busy, tmp_path, said=said)
    while len(list(tmp_path.glob("begun-*"))) < 2:
        assert all(one.is_alive() for one in running), said.read_text()
        time.sleep(0.1)
    os.kill(running[killed].pid, signal.SIGKILL)
    began = time.monotonic()
    assert status(running[1 - killed]) == 1
    assert time.monotonic() - began < 10 * LOST_AFTER  # on a machine with other work
    assert f"process {killed} of this run has not been heard of for 3 s" in said.read_text()


@pytest.mark.parametrize("late", [0, 1])
def test_waiting_for_a_rank_that_is_busy_ends_no_run(tmp_path, late):
    assert [status(one) for one in ranks(one_is_late, tmp_path, late)] == [0, 0]


@pytest.mark.parametrize("first", [0, 1])
def test_a_rank_that_is_done_is_not_taken_for_dead(tmp_path, first):
    assert [status(one) for one in ranks(one_leaves, tmp_path, first)] == [0, 0]


def test_times_that_cannot_be_are_refused():
    with pytest.raises(InputError, match="lost_after must be at least 1 second"):
        LostRanks(lost_after=0)
