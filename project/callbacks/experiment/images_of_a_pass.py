"""Making the adversarial images of one pass, or taking them from the store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from project.attacks import Attack, AttackResult
from project.evaluation.origins import CleanOrigins
from project.images.eight_bit import channels_first, channels_last, from_levels, to_levels
from project.storage.saving import Saving
from project.storage.store import Store, StoredSample


class PassImages:
    """Makes the adversarial images of one attack on one source batch by batch, or loads them.

    Attributes:
        made: number of images attacked so far, and not taken from the store.

    Args:
        attack: the attack.
        source: returns the network to attack, the fast copy of a victim; called only if a batch
            must be attacked.
        store: the pass's store.
        saving: what writes into stores, of all passes.
        max_batch: the most images attacked at a time; None is the whole batch.
    """

    def __init__(
        self,
        attack: Attack,
        source: Callable[[], nn.Module],
        store: Store,
        saving: Saving,
        max_batch: int | None = None,
    ) -> None:
        self.attack = attack
        self.source = source
        self.store = store
        self.saving = saving
        self.max_batch = max_batch
        self.made = 0

    def lacks(self, indices: list[int]) -> bool:
        """Return whether a batch must be attacked, since the store does not hold all of it."""
        self.saving.settle(self.store, indices)
        return not all(index in self.store for index in indices)

    def __call__(self, batch: dict[str, Any]) -> list[StoredSample]:
        """Return a batch's adversarial images from the store, or attack it and store them.

        They are written beside what comes next.

        Args:
            batch: ``image``, ``target`` and ``index``.

        Raises:
            WriteError: if a batch before this one cannot be written.
        """
        indices: list[int] = batch["index"].tolist()
        self.saving.settle(self.store, indices)
        origins = CleanOrigins(batch["image"], batch["target"])
        stored = self.store.load(indices, origins.now, origins.before)
        if stored is not None:
            return stored
        result = self.attack.run(
            self.source(), batch["image"], batch["target"], batch["index"], self.max_batch
        )
        crafted = stored_samples(result)
        self.saving.add(self.store, indices, crafted, origins.now)
        self.made += len(indices)
        return crafted


def stored_samples(result: AttackResult) -> list[StoredSample]:
    """Convert an attack's result to stored samples; flow, mask and traces serve pictures only."""
    images = [channels_last(planes) for planes in to_levels(result.images).cpu().numpy()]
    masks = None if result.mask is None else to_levels(result.mask).cpu().numpy()[:, 0]
    flows = _flows(result)
    facts = _facts(result)
    traces = {
        name: values.to("cpu", torch.float32).numpy() for name, values in result.traces.items()
    }
    return [
        StoredSample(
            image=images[place],
            facts={name: values[place] for name, values in facts.items()},
            flow=None if flows is None else flows[place],
            mask=None if masks is None else masks[place],
            traces={name: values[place] for name, values in traces.items()},
        )
        for place in range(len(images))
    ]


def stacked_images(crafted: list[StoredSample]) -> Tensor:
    """Return stored images as a batch, (N, 3, H, W) in [0, 1]."""
    return from_levels(torch.from_numpy(channels_first([sample.image for sample in crafted])))


def _facts(result: AttackResult) -> dict[str, list[float]]:
    own = {"success": result.success, "success_float": result.success_float, "steps": result.steps}
    told = {name: values.double() for name, values in result.facts.items()}
    return {name: values.tolist() for name, values in (own | told).items()}


def _flows(result: AttackResult) -> NDArray[np.float16] | None:
    flow = result.flow
    return None if flow is None else flow.cpu().numpy().astype(np.float16)
