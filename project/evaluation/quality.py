"""Visibility of a pass's adversarial images, and the attack's cost in steps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import chain

import numpy as np
import torch
from torch import Tensor

from project.evaluation.distributed import all_gather
from project.evaluation.plan import Pass
from project.evaluation.victim_metrics import Facts
from project.metrics import PanelComparison, PerImageMean, split_by_mask
from project.storage.rows import COLUMNS, Measure
from project.storage.store import StoredSample


class Quality:
    """Means over images of the rows' numbers: perceptual metrics, flow, mask, steps.

    Papers report quality on fooled images, but an attack that fails on the hard ones then looks
    better than it is; so means over all images (``ssim``) and over those that fool their source
    (``ssim_fooled``) stand side by side.

    Args:
        step: the pass.
        device: device of the states.
    """

    def __init__(self, step: Pass, device: torch.device) -> None:
        self.step = step
        self.device = device
        self._means: dict[str, PerImageMean] = {}

    def update(self, rows: list[Facts]) -> None:
        """Add a batch: the source's own rows.

        An image without a value (None, or no such number) does not count. Segmenters' rows have no
        ``fooled``, so they get no means over fooled images.
        """
        for name in _numbers(rows):
            self._add(name, [row.get(name) for row in rows])
            if "fooled" in rows[0]:
                self._add(f"{name}_fooled", [row.get(name) for row in rows if row["fooled"]])

    def measures(self) -> list[Measure]:
        """Return the means over all processes; a collective, so every process must call it."""
        # Which numbers there are, a batch decides: where not all of its images have a mask, it has
        # none about masks. Every process must compute the same means in the same order.
        names = dict.fromkeys(chain.from_iterable(all_gather(list(self._means))))
        for name in names:
            self._add(name, [])
        step = self.step
        computed = {name: self._means[name].compute() for name in names}
        return [
            Measure(step.attack, step.source, step.source, name, mean.value, total=mean.finite)
            for name, mean in computed.items()
            if mean.finite + mean.infinite
        ]

    def _add(self, name: str, values: list[float | None]) -> None:
        if name not in self._means:
            self._means[name] = PerImageMean().to(self.device)
        known = [value for value in values if value is not None]
        self._means[name].update(torch.tensor(known, dtype=torch.float64))


def _numbers(rows: list[Facts]) -> list[str]:
    """Return the names of all numbers, those of the first row first."""
    names = dict.fromkeys(name for row in rows for name in row)
    return [name for name in names if name not in COLUMNS or name == "steps"]


def visibility(
    comparison: PanelComparison,
    clean: Tensor,
    adversarial: Tensor,
    index: Tensor,
    crafted: Sequence[StoredSample],
) -> list[Facts]:
    """Measure how visible each adversarial image of a batch is.

    Args:
        comparison: the perceptual metrics; one that cannot compare images so small gives None.
        clean: (N, 3, H, W) in [0, 1].
        adversarial: likewise.
        index: (N,) int64, the samples' ids.
        crafted: the stored samples; where all have a mask, the change inside and outside of it is
            measured too, None where there is no pixel on a side.

    Returns:
        For each image, a number or None by the metric's name.
    """
    columns: dict[str, Sequence[float | None]] = {
        metric.name: [None] * len(clean) for metric in comparison.metrics
    }
    if comparison.metrics:
        columns |= _lists(comparison(clean, adversarial, index))
    masks = [sample.mask for sample in crafted if sample.mask is not None]
    if len(masks) == len(clean):
        mask = torch.from_numpy(np.stack(masks) > 0).unsqueeze(1).to(clean.device)
        split = _lists(split_by_mask(clean, adversarial, mask))
        columns |= {
            name: [None if math.isnan(value) else value for value in values]
            for name, values in split.items()
        }
    return [
        {name: values[place] for name, values in columns.items()} for place in range(len(clean))
    ]


def _lists(values: dict[str, Tensor]) -> dict[str, list[float]]:
    """Convert columns to lists with a single copy from the device."""
    together = torch.stack(list(values.values())).tolist() if values else []
    return dict(zip(values, together, strict=True))
