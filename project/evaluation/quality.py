"""How visible the adversarial images of one pass are."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from project.evaluation.plan import Pass
from project.evaluation.summary import Facts, column
from project.metrics import PerceptualMetric, PerImageMean
from project.records import Measure


class Quality:
    """Means of perceptual metrics, over all images and over those that fool their source.

    Papers report quality on fooled images, but an attack that fails on the hard ones then looks
    better than it is; so both stand side by side.

    Args:
        step: the pass.
        names: of the metrics.
        device: of the states.
    """

    def __init__(self, step: Pass, names: Sequence[str], device: torch.device) -> None:
        self.step = step
        self.all = {name: PerImageMean().to(device) for name in names}
        self.fooled = {name: PerImageMean().to(device) for name in names}

    def update(self, values: dict[str, Tensor], rows: list[Facts]) -> None:
        """Add a batch.

        Args:
            values: (N,) of each metric.
            rows: the source's own verdicts; segmenters' tell nothing of whole images.
        """
        judged = "fooled" in rows[0]
        fooled = column(rows, "fooled") if judged else torch.zeros(len(rows), dtype=torch.bool)
        for name, value in values.items():
            self.all[name].update(value)
            self.fooled[name].update(value[fooled])

    def measures(self) -> list[Measure]:
        """Return the means, computed over all processes: every process must ask."""
        step = self.step
        measures = []
        for suffix, means in (("", self.all), ("_fooled", self.fooled)):
            for name, mean in means.items():
                computed = mean.compute()
                if suffix and not computed.finite + computed.infinite:
                    continue
                measures.append(
                    Measure(
                        step.attack,
                        step.source,
                        step.source,
                        name + suffix,
                        computed.value,
                        total=computed.finite,
                    )
                )
        return measures


def compare(
    metrics: Sequence[PerceptualMetric], clean: Tensor, adversarial: Tensor
) -> dict[str, Tensor]:
    """Return each metric's value of each image, (N,) on the CPU."""
    with torch.no_grad():
        return {metric.name: metric(clean, adversarial).cpu() for metric in metrics}
