"""The callback that puts adversarial images into batches."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor

from project.attacks import ATTACKS_VERSION, Attack, AttackResult
from project.data.datamodule import AttackDataModule
from project.describe import describe
from project.errors import InputError
from project.evaluation import Pass, TransferEvaluation, plan_passes
from project.store import Store, StoredSample


class AttackCallback(L.Callback):
    """Attack every batch of a test, or take its images from the store.

    Plans the passes of an experiment, one test dataloader per (source, attack), and puts into each
    batch ``adversarial`` (N, 3, H, W) and ``crafted``, what is known of each image.

    Args:
        attacks: by name.
        sources: which victims to attack; None is every one.
        store: folder of the adversarial images, from which an interrupted run goes on.
        threads: CPU threads of each process, where the images are made on CPUs; None is one for
            each core of the machine. The last bits of a sum depend on the number of threads, so
            it must not follow the number of processes, as Lightning would have it.
    """

    def __init__(
        self,
        attacks: dict[str, Attack],
        sources: list[str] | None = None,
        store: str = ".cache/store",
        threads: int | None = None,
    ) -> None:
        if not attacks:
            raise InputError("an experiment needs at least one attack, got none.")
        wanting = [name for name, attack in attacks.items() if attack.targeted]
        if wanting:
            raise InputError(
                "the attacks of an experiment lead away from the labels, got targeted ones: "
                f"{', '.join(wanting)}. Which classes to aim at, a data set does not say: wrap "
                "each in Aimed, with an aim such as NearestWrongClass."
            )
        self.attacks = attacks
        self.sources = sources
        self.store = store
        self.threads = threads
        self._plan: list[Pass] = []
        self._stores: dict[Pass, Store] = {}
        self._victims: dict[str, Any] = {}

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Plan the passes and open their stores, before any attack runs."""
        data = trainer.datamodule  # type: ignore[attr-defined]
        if not (isinstance(pl_module, TransferEvaluation) and isinstance(data, AttackDataModule)):
            raise TypeError(
                "AttackCallback works on a TransferEvaluation and one of the project's data "
                f"modules, got {type(pl_module).__name__} and {type(data).__name__}."
            )
        if trainer.strategy.root_device.type == "cpu":
            torch.set_num_threads(self.threads or _cores())
        self._victims = pl_module.victims
        self._plan = plan_passes(self.attacks, self._victims, self.sources)
        pl_module.plan = self._plan
        data.passes = [str(step) for step in self._plan]
        for attack in self.attacks.values():
            attack.attach(data.samples)
        self._stores = {
            step: self._open(step, data.samples.fingerprint(), str(trainer.precision))
            for step in self._plan
            if not step.clean
        }
        self._announce(data.samples.indices)

    def on_test_batch_start(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        batch: dict[str, Any],
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Add the adversarial images of the pass to the batch."""
        step = self._plan[dataloader_idx]
        if step.clean:
            return
        indices: list[int] = batch["index"].tolist()
        store = self._stores[step]
        crafted = store.load(indices)
        if crafted is None:
            with trainer.precision_plugin.forward_context():
                result = self.attacks[step.attack].run(
                    self._victims[step.source], batch["image"], batch["target"], batch["index"]
                )
            crafted = [_sample(result, place) for place in range(len(indices))]
            store.save(indices, crafted)
        batch["crafted"] = crafted
        batch["adversarial"] = _images(crafted).to(batch["image"])

    def _open(self, step: Pass, data: str, precision: str) -> Store:
        description = {
            "version": ATTACKS_VERSION,
            "attack": describe(self.attacks[step.attack]),
            "source": describe(self._victims[step.source]),
            "data": data,
            "precision": precision,
        }
        return Store(Path(self.store), f"{step.attack}-{step.source}", description)

    def _announce(self, indices: list[int]) -> None:
        for step, store in self._stores.items():
            found = sum(index in store for index in indices)
            rank_zero_info(f"{step}: {found} of {len(indices)} images come from the store")


def _cores() -> int:
    """Return how many cores this machine lends to the process."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on every system
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _sample(result: AttackResult, place: int) -> StoredSample:
    """Return one image of a result as it is stored; flow, mask and traces for pictures only."""
    facts: dict[str, float] = {
        "success": bool(result.success[place]),
        "success_float": bool(result.success_float[place]),
        "steps": int(result.steps[place]),
        **{name: float(values[place]) for name, values in result.facts.items()},
    }
    mask = None if result.mask is None else result.mask[place, 0]
    flow = result.perturbation[place] if result.perturbation.shape[1] == 2 else None
    if flow is not None and mask is not None:
        flow = flow * mask  # what moved the image
    return StoredSample(
        image=_to_uint8(result.images[place]).transpose(1, 2, 0),
        facts=facts,
        flow=None if flow is None else flow.cpu().numpy().astype(np.float16),
        mask=None if mask is None else _to_uint8(mask),
        traces={name: _floats(values[place]) for name, values in result.traces.items()},
    )


def _to_uint8(values: Tensor) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return values.mul(255).round().to("cpu", torch.uint8).numpy()


def _floats(values: Tensor) -> np.ndarray[Any, np.dtype[np.float32]]:
    return values.to("cpu", torch.float32).numpy()


def _images(crafted: list[StoredSample]) -> Tensor:
    stacked = np.stack([sample.image for sample in crafted]).transpose(0, 3, 1, 2)
    return torch.from_numpy(np.ascontiguousarray(stacked)).float().div(255)
