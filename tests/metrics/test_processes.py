"""States of two processes add up to those of one."""

import os
import pickle
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from project.metrics import Confusion, FeatureSet, Ledger, PerImageMean, Rate
from tests.processes import together


def dealt(metrics, batches):
    rate, mean, ledger, confusion, features = metrics
    for ids in batches:
        index = torch.tensor(ids)
        rate.update(index % 3 == 0)
        mean.update(0.1 / (1 + index.double()))
        ledger.update(index)
        confusion.update((index % 4)[:, None, None], (index % 3)[:, None, None])
        features.update(index, torch.stack([index * 0.1, index.sin()], 1), index % 2 == 0)


def computed(metrics):
    rate, mean, ledger, confusion, features = metrics
    ledger.check(range(7))
    return (
        rate.compute(),
        mean.compute(),
        ledger.compute().tolist(),
        confusion.compute().tolist(),
        [column.tolist() for column in features.compute()],
    )


def metrics():
    return Rate(), PerImageMean(), Ledger(), Confusion(4), FeatureSet(torch.device("cpu"))


DEALS = {"uneven": [[0, 1, 2], [3, 4, 5], [6]], "one process idle": [[0, 1, 2, 3, 4, 5, 6]]}
WORLD = 2


def worker(folder):
    rank = int(os.environ["LOCAL_RANK"])
    dist.init_process_group("gloo", rank=rank)
    for name, batches in DEALS.items():
        mine = metrics()
        dealt(mine, batches[rank::WORLD])
        Path(folder, f"{name} {rank}").write_bytes(pickle.dumps(computed(mine)))
    dist.destroy_process_group()


@pytest.mark.slow
def test_two_processes_compute_what_one_computes_even_if_one_is_idle(tmp_path):
    together(worker, tmp_path)
    for name, batches in DEALS.items():
        alone = metrics()
        dealt(alone, batches)
        expected = computed(alone)
        for rank in range(WORLD):
            assert pickle.loads((tmp_path / f"{name} {rank}").read_bytes()) == expected
