"""All metric states of one pass."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

import torch

from project.data import SampleSet
from project.evaluation.classification import ClassificationJudge, ClassificationMetrics
from project.evaluation.plan import Pass
from project.evaluation.quality import Quality
from project.evaluation.segmentation import SegmentationJudge, SegmentationMetrics
from project.evaluation.victim_metrics import VictimMetrics
from project.metrics import Ledger
from project.storage.rows import Measure

Judge = ClassificationJudge | SegmentationJudge


class PassMetrics:
    """Metric states of one pass: each victim's, the images' quality, and the samples evaluated.

    Args:
        step: the pass.
        victims: the victims' names.
        samples: the data, whose task and classes decide which metrics there are.
        device: device of the states.
    """

    def __init__(
        self,
        step: Pass,
        victims: Collection[str],
        samples: SampleSet,
        device: torch.device,
    ) -> None:
        def metrics_of(victim: str) -> VictimMetrics:
            if samples.task == "segmentation":
                return SegmentationMetrics(step, victim, device, samples.num_classes)
            return ClassificationMetrics(step, victim, device)

        self.by_victim = {victim: metrics_of(victim) for victim in victims}
        self.quality = Quality(step, device)
        self.ledger = Ledger().to(device)

    def measures(self, expected: Iterable[int]) -> list[Measure]:
        """Return the numbers over all processes; a collective, so every process must call it.

        Args:
            expected: indices of the samples, each of which must have been judged once.

        Raises:
            LedgerError: if a sample was missed or counted twice, or an unexpected one was judged.
        """
        # All ranks compare the same gathered ids, so all raise or none: no rank is left waiting.
        self.ledger.check(expected)
        judged = [measure for one in self.by_victim.values() for measure in one.measures()]
        return judged + self.quality.measures()


def judges(victims: Collection[str], samples: SampleSet, scratch: Path) -> dict[str, Judge]:
    """Return a judge per victim, which keeps the victim's clean predictions over all passes.

    Args:
        victims: the victims' names.
        samples: the data.
        scratch: folder for what does not fit into memory.
    """
    if samples.task == "segmentation":
        return {victim: SegmentationJudge(scratch, samples.num_classes) for victim in victims}
    return {victim: ClassificationJudge(samples.indices) for victim in victims}
