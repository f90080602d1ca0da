"""An experiment through the Trainer, with all of its tensors on a pretended GPU."""

from contextlib import nullcontext

import lightning as L
import pytest
import torch
from lightning.pytorch.accelerators import CPUAccelerator
from lightning.pytorch.strategies import SingleDeviceStrategy
from torch import Tensor

from project.attacks import PGD, SSTA, SegPGD, StAdv
from project.saliency import FrequencyTuned
from project.storage.rows import read_rows
from tests.experiment import scene
from tests.gpu.pretended import pretended_gpu

ATTACKS = {
    "classification": {
        "pgd": PGD(4 / 255, 2 / 255, steps=3),
        "ssta": SSTA(steps=3, saliency=FrequencyTuned()),
        "stadv": StAdv(preset="paper", steps=3),
    },
    "segmentation": {"segpgd": SegPGD(4 / 255, 2 / 255, steps=3)},
}


class Watch(L.Callback):
    """Sees where the victims' weights and all tensors of the batches are."""

    def __init__(self) -> None:
        self.seen: set[torch.device] = set()

    def on_test_batch_end(self, trainer, pl_module, outputs, batch, batch_idx, *more):
        tensors = [*pl_module.state_dict().values(), *batch.values()]
        self.seen |= {one.device for one in tensors if isinstance(one, Tensor)}


@pytest.mark.parametrize("task", ATTACKS)
def test_rows_are_those_of_the_cpu(task, tmp_path, monkeypatch):
    monkeypatch.setattr(CPUAccelerator, "setup_device", lambda self, device: None)
    for place, within in (("cpu", nullcontext(torch.device("cpu"))), ("gpu", pretended_gpu())):
        watch = Watch()
        with within as device:
            scene.run(
                tmp_path / place,
                data=scene.shapes(task),
                victims=scene.victims(task),
                attacks=ATTACKS[task],
                more=[watch],
                strategy=SingleDeviceStrategy(device=device),
            )
        assert watch.seen == {device}
    expected, found = (
        read_rows(tmp_path / place / "run/rows.parquet").to_pylist() for place in ("cpu", "gpu")
    )
    assert found == [{name: near(value) for name, value in row.items()} for row in expected]


def near(value):
    """Allow for last bits, as fused Adam rounds in another way."""
    return pytest.approx(value, abs=1e-6, nan_ok=True) if isinstance(value, float) else value
