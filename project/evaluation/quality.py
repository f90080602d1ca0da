"""How visible the adversarial images of one pass are, and what they cost."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from project.evaluation.plan import Pass
from project.evaluation.victim_metrics import Facts
from project.metrics import PanelComparison, PerImageMean, split_by_mask
from project.storage.rows import COLUMNS, Measure
from project.storage.store import StoredSample


class Quality:
    """Means of what rows tell of an adversarial image: perceptual metrics, flow, mask, steps.

    Papers report quality on fooled images, but an attack that fails on the hard ones then looks
    better than it is; so means over all images (``ssim``) and over those that fool their source
    (``ssim_fooled``) stand side by side.

    Args:
        step: the pass.
        device: of the states.
    """

    def __init__(self, step: Pass, device: torch.device) -> None:
        self.step = step
        self.device = device
        self._means: dict[str, PerImageMean] = {}

    def update(self, rows: list[Facts]) -> None:
        """Add a batch: the source's own rows; segmenters' tell nothing of whole images.

        An image without a value (None) does not count.
        """
        for name in _numbers(rows[0]):
            self._add(name, [row[name] for row in rows])
            if "fooled" in rows[0]:
                self._add(f"{name}_fooled", [row[name] for row in rows if row["fooled"]])

    def measures(self) -> list[Measure]:
        """Return the means, computed over all processes: every process must ask."""
        step = self.step
        computed = {name: mean.compute() for name, mean in self._means.items()}
        return [
            Measure(step.attack, step.source, step.source, name, mean.value, total=mean.finite)
            for name, mean in computed.items()
            if mean.finite + mean.infinite
        ]

    def _add(self, name: str, values: list[float | None]) -> None:
        # Every process has a batch of every pass, so all make the same means in the same order.
        if name not in self._means:
            self._means[name] = PerImageMean().to(self.device)
        known = [value for value in values if value is not None]
        self._means[name].update(torch.tensor(known, dtype=torch.float64))


def _numbers(row: Facts) -> list[str]:
    return [name for name in row if name not in COLUMNS or name == "steps"]


def visibility(
    comparison: PanelComparison,
    clean: Tensor,
    adversarial: Tensor,
    index: Tensor,
    crafted: Sequence[StoredSample],
) -> list[Facts]:
    """Tell how visible each adversarial image of a batch is.

    Args:
        comparison: by what; one of its metrics that cannot compare images so small gives None.
        clean: (N, 3, H, W) in [0, 1].
        adversarial: likewise.
        index: (N,) int64, which samples they are.
        crafted: what is known of each; where an attack has a mask, the change inside and outside
            of it is told apart, None where there is no pixel on a side.

    Returns:
        One number, or None, by name, for each image.
    """
    columns: dict[str, Sequence[float | None]] = {
        metric.name: [None] * len(clean) for metric in comparison.metrics
    }
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
    """Return columns as lists: one copy from the device for all of them."""
    together = torch.stack(list(values.values())).tolist() if values else []
    return dict(zip(values, together, strict=True))
