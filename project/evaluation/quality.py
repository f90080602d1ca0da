"""How visible the adversarial images of one pass are, and what they cost."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from project.evaluation.plan import Pass
from project.evaluation.summary import Facts, column
from project.metrics import PerceptualMetric, PerImageMean
from project.records import COLUMNS, Measure


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
        """Add a batch: the source's own rows; segmenters' tell nothing of whole images."""
        for name in _numbers(rows[0]):
            values = column(rows, name)
            self._mean(name).update(values)
            if "fooled" in rows[0]:
                self._mean(f"{name}_fooled").update(values[column(rows, "fooled")])

    def measures(self) -> list[Measure]:
        """Return the means, computed over all processes: every process must ask."""
        step = self.step
        computed = {name: mean.compute() for name, mean in self._means.items()}
        return [
            Measure(step.attack, step.source, step.source, name, mean.value, total=mean.finite)
            for name, mean in computed.items()
            if mean.finite + mean.infinite
        ]

    def _mean(self, name: str) -> PerImageMean:
        # Every process has a batch of every pass, so all make the same means in the same order.
        if name not in self._means:
            self._means[name] = PerImageMean().to(self.device)
        return self._means[name]


def _numbers(row: Facts) -> list[str]:
    return [name for name in row if name not in COLUMNS or name == "steps"]


def compare(
    metrics: Sequence[PerceptualMetric], clean: Tensor, adversarial: Tensor
) -> dict[str, Tensor]:
    """Return each metric's value of each image, (N,) on the CPU."""
    with torch.no_grad():
        return {metric.name: metric(clean, adversarial).cpu() for metric in metrics}
