"""All metrics of a panel at once, image sizes and clean sides seen to."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from project.metrics.comparison import PerceptualMetric
from project.metrics.kept import Kept
from project.metrics.windows import checked_pair, eight_bit, in_parts


class PanelComparison:
    """Compare the adversarial images of many attacks with the same clean ones.

    The metrics' clean sides are computed once per image, where there is room to keep them: the
    values are the same without. A metric that cannot compare images so small is left out.

    Args:
        metrics: of the panel.
        memory: bytes of clean sides to keep, on the images' device.
    """

    def __init__(self, metrics: Sequence[PerceptualMetric[Any]], memory: int) -> None:
        self.metrics = metrics
        self._kept = Kept(memory)

    @torch.no_grad()
    def __call__(self, clean: Tensor, adversarial: Tensor, index: Tensor) -> dict[str, Tensor]:
        """Compare a batch, metric by metric.

        Args:
            clean: (N, 3, H, W) in [0, 1].
            adversarial: likewise.
            index: (N,) int64, which samples the clean images are. A batch that comes again must
                have the same samples, as those of an experiment do, to find its sides again.

        Returns:
            One value per image, (N,) float64, by name.
        """
        checked_pair(clean, adversarial, 1, "a comparison")
        metrics = [metric for metric in self.metrics if min(clean.shape[2:]) >= metric.smallest]
        batch = tuple(index.tolist())
        found = []
        for place, (x, y) in enumerate(zip(in_parts(clean), in_parts(adversarial), strict=True)):
            sides = self._kept.get((batch, place), partial(_sides, metrics, x))
            levels = eight_bit(y)
            compared = zip(metrics, sides, strict=True)
            found.append([metric.compare(side, levels) for metric, side in compared])
        columns = [torch.cat(parts) for parts in zip(*found, strict=True)]
        return {metric.name: column for metric, column in zip(metrics, columns, strict=True)}


def _sides(metrics: Sequence[PerceptualMetric[Any]], clean: Tensor) -> list[Any]:
    levels = eight_bit(clean)
    return [metric.prepare(levels) for metric in metrics]
