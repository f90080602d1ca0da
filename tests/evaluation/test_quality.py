"""Means over the rows' numbers, whichever process has seen which number."""

import os

import pytest
import torch
import torch.distributed as dist

from project.evaluation.plan import Pass
from project.evaluation.quality import Quality
from tests.processes import together

ROWS = (
    [{"ssim": 0.5, "salient_area": 0.25, "fooled": True}, {"ssim": 0.25, "fooled": False}],
    [{"ssim": None, "flow": 2.0, "fooled": True}],
)


def means(batches):
    quality = Quality(Pass("ssta", "vit"), torch.device("cpu"))
    for rows in batches:
        quality.update(rows)
    return {one.metric: (one.value, one.total) for one in quality.measures()}


def worker(folder):
    rank = int(os.environ["LOCAL_RANK"])
    dist.init_process_group("gloo", rank=rank)
    torch.save(means(ROWS[rank : rank + 1]), f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def test_a_number_that_some_rows_lack_is_a_mean_over_the_others():
    assert means(ROWS) == {
        "ssim": (0.375, 2),
        "ssim_fooled": (0.5, 1),
        "salient_area": (0.25, 1),
        "salient_area_fooled": (0.25, 1),
        "flow": (2.0, 1),
        "flow_fooled": (2.0, 1),
    }


@pytest.mark.slow
def test_processes_that_see_different_numbers_do_not_wait_for_each_other(tmp_path):
    together(worker, tmp_path)
    assert all(torch.load(tmp_path / f"{rank}.pt") == means(ROWS) for rank in (0, 1))
