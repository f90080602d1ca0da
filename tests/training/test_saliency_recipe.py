"""The recipe for the embedded shapes trains TRACER itself; its provider loads the checkpoint."""

import json
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Trainer
from torch import Tensor

from project.cli import train_main
from project.data import SalientObjectData, ShapesData
from project.saliency import TRACER
from project.training.saliency_metrics import MaxF, mean_absolute_error

RECIPE = Path(__file__).parents[2] / "configs" / "train" / "shapes_tracer.yaml"

pytestmark = [
    # Lightning calls what jsonargparse has renamed
    pytest.mark.filterwarnings("ignore::jsonargparse._deprecated.JsonargparseDeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.. is deprecated.*"),
    pytest.mark.filterwarnings("ignore:.*is smaller than the logging interval.*"),
    pytest.mark.filterwarnings("ignore:.*Checkpoint directory .* exists and is not empty.*"),
]


def trained(folder: Path, count: int, epochs: int, size: int) -> Trainer:
    callbacks = [
        {"class_path": "BatchNormMomentum"},
        {
            "class_path": "ModelCheckpoint",
            "init_args": {"dirpath": str(folder), "filename": "tracer", "save_weights_only": True},
        },
    ]
    arguments = {
        "data.data.num_train": count,
        "data.data.num_val": 16,
        "data.data.batch_size": 8,
        "data.data.size": size,
        "trainer.max_epochs": epochs,
        "trainer.check_val_every_n_epoch": epochs,
        "trainer.enable_progress_bar": "false",
        "trainer.enable_model_summary": "false",
        "trainer.logger.save_dir": folder,
        "trainer.callbacks": json.dumps(callbacks),
    }
    options = [f"--{name}={value}" for name, value in arguments.items()]
    return train_main(["fit", f"--config={RECIPE}", *options])


def shapes(size: int) -> dict[str, Tensor]:
    data = SalientObjectData(ShapesData(size=size, num_test=16, batch_size=16))
    data.setup("test")
    batch: dict[str, Tensor] = next(iter(data.test_dataloader()[0]))
    return batch


def test_the_checkpoint_loads_into_the_provider_with_the_same_maps(tmp_path: Path):
    module = trained(tmp_path, 8, 1, 32).lightning_module.eval()
    provider = TRACER(checkpoint=str(tmp_path / "tracer.ckpt"), input_size=32)
    images = shapes(32)["image"][:3]
    with torch.no_grad():
        expected = module(images).saliency.sigmoid()
    torch.testing.assert_close(provider(images), expected, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_a_few_steps_beat_every_constant_map(tmp_path: Path):
    trained(tmp_path, 80, 5, 64)
    batch = shapes(64)
    target = batch["target"]
    maps = TRACER(checkpoint=str(tmp_path / "tracer.ckpt"), input_size=64)(batch["image"])
    constants = torch.linspace(0, 1, 11).view(-1, 1, 1, 1, 1).expand(-1, *maps.shape)
    assert mae(maps, target) < min(mae(constant, target) for constant in constants)
    # Every constant map has the max F of a map that is 1 everywhere.
    assert max_f(maps, target) > max_f(torch.ones_like(maps), target) + 0.15


def mae(maps: Tensor, target: Tensor) -> float:
    return float(mean_absolute_error(maps, target).mean())


def max_f(maps: Tensor, target: Tensor) -> float:
    measure = MaxF()
    measure.update(maps, target)
    return float(measure.compute())
