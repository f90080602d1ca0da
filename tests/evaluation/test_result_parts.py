"""Rows and traces reach the first process, wherever the parts lie, and memory does not grow."""

import os
import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch.distributed as dist

from benchmarks.drawn_experiment import VICTIMS, DrawnExperiment
from project.evaluation import result_parts as module
from project.evaluation.plan import Pass
from project.evaluation.result_parts import ResultParts
from project.storage.traces import Trace
from tests.processes import together

PASSES = [Pass("pgd", "a"), Pass("fgsm", "b"), Pass("none", "b")]
BATCHES = [[0, 1, 2], [3, 4, 5], [6]]
CELLS = 2 * 2  # of one attack, two sources and two victims
POOLS = []  # which must outlive all that was allocated in them


def dealt(results: ResultParts, batches: list[list[int]]) -> None:
    """Add what these batches of each pass give; of one pass the second rank has nothing."""
    for step in PASSES:
        for batch in batches if step.attack != "none" else [one for one in batches if 0 in one]:
            keys = {"attack": step.attack, "source": step.source}
            rows = {
                victim: [keys | {"victim": victim, "index": n, "ssim": n / 7} for n in batch]
                for victim in "ab"
            }
            values = [np.full(3, n, np.float32) for n in batch]
            traces = [Trace(*step, n, {"loss": one}) for n, one in zip(batch, values, strict=True)]
            results.add(step, rows, traces if step.attack == "pgd" else [])


def files(results: ResultParts, folder: Path) -> list[bytes]:
    results.write_rows(folder / "rows")
    results.write_traces(folder / "traces")
    return [(folder / name).read_bytes() for name in ("rows", "traces")]


def worker(folder: Path, shared: bool) -> None:
    rank = int(os.environ["LOCAL_RANK"])
    dist.init_process_group("gloo", rank=rank)
    own = folder / ("scratch" if shared else f"scratch-{rank}")
    results = ResultParts(own, rank)
    dealt(results, BATCHES[rank::2])
    results.collect()
    if rank == 0:
        assert results.has_traces
        files(results, folder)
    results.close()
    dist.barrier()
    assert shared or not own.exists()
    dist.destroy_process_group()


@pytest.mark.slow
@pytest.mark.parametrize("shared", [True, False])
def test_two_processes_write_the_files_of_one_on_one_disk_or_two(tmp_path, shared):
    together(worker, tmp_path, shared)
    alone = ResultParts(tmp_path / "alone")
    dealt(alone, BATCHES)
    alone.collect()
    expected = files(alone, tmp_path / "alone")
    assert [(tmp_path / name).read_bytes() for name in ("rows", "traces")] == expected
    assert not list(tmp_path.glob("scratch*"))


def test_parts_lie_in_a_folder_of_their_own_which_goes_with_them():
    results = ResultParts()
    dealt(results, BATCHES)
    results.collect()
    assert list(results.folder.iterdir())
    results.close()
    assert not results.folder.exists()
    abandoned = ResultParts()
    dealt(abandoned, BATCHES)
    folder = abandoned.folder
    del abandoned
    assert not folder.exists()


def peak(folder: Path, images: int, task: str) -> float:
    """Return the most bytes that an experiment of so many images held, of Python's and Arrow's."""
    default = pa.default_memory_pool()
    POOLS.append(pa.proxy_memory_pool(default))
    pa.set_memory_pool(POOLS[-1])
    tracemalloc.start()
    try:
        for _ in DrawnExperiment(folder, images * CELLS, task).stages():
            pass
        return POOLS[-1].max_memory() + tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        pa.set_memory_pool(default)


@pytest.mark.parametrize("task", list(VICTIMS))
def test_a_further_hundred_thousand_rows_take_few_megabytes(tmp_path, monkeypatch, task):
    monkeypatch.setattr(module, "_ROWS", 32)  # buffers that few rows fill
    monkeypatch.setattr(module, "_TRACES", 16)
    monkeypatch.setattr("project.storage.parts._AT_ONCE", 2**14)
    for name in ("rows._ROW_GROUP", "rows._WIDE_ROW_GROUP", "traces._ROW_GROUP"):
        monkeypatch.setattr(f"project.storage.{name}", 128)
    monkeypatch.setattr("benchmarks.drawn_experiment.ATTACKS", {"one": {}})
    monkeypatch.setitem(VICTIMS, task, ["a", "b"])
    # Intervals need one cell at a time, whose size is that of the data set.
    monkeypatch.setattr(
        "benchmarks.drawn_experiment.with_intervals", lambda measures, cells: measures
    )
    _, few, many = (peak(tmp_path, images, task) for images in (64, 256, 1024))
    # A list of dictionaries takes 100 MB or more.
    assert (many - few) / ((1024 - 256) * CELLS) * 100_000 < 20e6
