"""The index of millions of samples is a few arrays: bytes per sample, on a small scale."""

import gc
import pickle
import tracemalloc

import pytest

from project.data import ShardData
from project.data.sample_set import SampleSet
from tests.data.shards.made import write_tar

KEY = 20  # characters of a key
MOST = 60  # bytes per sample beside the key: its end, offset, size, class, and some slack


def samples(root, count: int) -> SampleSet:
    keys = [f"{number:0{KEY}d}" for number in range(count)]
    parts = ((f"{key}.{name}", b"1") for key in keys for name in ("jpg", "cls"))
    write_tar(root / f"{count}.tar", parts)
    return ShardData(str(root), shards=f"{count}.tar", num_classes=2, verify=False).samples


def held(root, count: int) -> int:
    """Return the bytes that a set of so many samples holds on to, once its index is kept."""
    samples(root, count)
    gc.collect()
    tracemalloc.start()
    try:
        found = samples(root, count)
        gc.collect()
        assert len(found) == count
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_further_sample_costs_its_key_and_four_numbers(tmp_path):
    few, many = (held(tmp_path, count) for count in (1000, 5000))
    assert (many - few) / 4000 < KEY + MOST
    few, many = (len(pickle.dumps(samples(tmp_path, count))) for count in (1000, 5000))
    assert (many - few) / 4000 < KEY + MOST
