"""Evaluating segmenters: per-image rows, and one victim's confusion matrix in each pass."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from project.core.answers import NO_PREDICTION, Answers
from project.core.losses import VOID
from project.evaluation.plan import Pass
from project.evaluation.victim_metrics import Facts, VictimMetrics
from project.metrics import Confusion, CountedRate, class_counts, mean_iou, pixel_accuracy
from project.storage.rows import Measure
from project.storage.spill import Spill

Counts = NDArray[np.int64]


class SegmentationJudge:
    """Evaluates one segmenter's answers, pass after pass, against its own clean predictions.

    Args:
        scratch: folder for what is known of the clean images: for each pixel a bit, whether it was
            right. Tens of kilobytes per image, which memory has no room for.
        num_classes: K.
    """

    def __init__(self, scratch: Path, num_classes: int) -> None:
        self._clean = Spill(scratch)
        self._num_classes = num_classes

    def rows(self, answers: Answers, target: Tensor, index: Tensor, clean: bool) -> list[Facts]:
        """Evaluate a batch, and return the victim's columns of its rows.

        Args:
            answers: the segmenter's.
            target: (N, H, W), 255 = void.
            index: (N,), the samples' ids.
            clean: whether the images are clean ones; their verdicts are kept for later passes.

        Returns:
            The victim's columns of each image's row.
        """
        prediction = answers.classes.long()
        valid = (target != VOID).cpu().numpy()
        correct = (prediction == target).cpu().numpy() & valid
        lost = (prediction == NO_PREDICTION).cpu().numpy() & valid
        counts = class_counts(prediction, target, self._num_classes).cpu().numpy()
        rows: list[Facts] = []
        for place, sample in enumerate(index.tolist()):
            if clean:
                self._clean[sample] = (
                    counts[place].tobytes() + np.packbits(correct[place]).tobytes()
                )
            before_counts, before = self._before(sample, counts[place], correct[place].shape)
            judged, pixels = before & ~lost[place], int(valid[place].sum())
            rows.append(
                {
                    "valid_pixels": pixels,
                    "clean_unanswered_pixels": pixels - int(before_counts[2].sum()),
                    "unanswered_pixels": int(lost[place].sum()),
                    "clean_correct_pixels": int(before.sum()),
                    "correct_pixels": int(correct[place].sum()),
                    "judged_pixels": int(judged.sum()),
                    "fooled_pixels": int((judged & ~correct[place]).sum()),
                    **_by_class(counts[place], before_counts),
                }
            )
        return rows

    def _before(
        self, sample: int, like: Counts, shape: tuple[int, ...]
    ) -> tuple[Counts, NDArray[np.bool_]]:
        """Return the counts of a clean image, shaped as these, and which pixels were right."""
        known = self._clean[sample]
        # A copy, since rows wait in memory until they are written, and should not hold the bits.
        counts = np.frombuffer(known, np.int64, like.size).reshape(like.shape).copy()
        bits = np.frombuffer(known, np.uint8, offset=counts.nbytes)
        return counts, np.unpackbits(bits, count=int(np.prod(shape))).reshape(shape).astype(bool)


def _by_class(counts: Counts, clean: Counts) -> Facts:
    """Return counts, (3, K), as columns by class; :mod:`project.statistics.miou` reads them."""
    correct, predicted, labelled = counts
    return {
        "clean_labelled_by_class": clean[2],
        "labelled_by_class": labelled,
        "clean_predicted_by_class": clean[1],
        "clean_correct_by_class": clean[0],
        "predicted_by_class": predicted,
        "correct_by_class": correct,
    }


class SegmentationMetrics(VictimMetrics):
    """Confusion matrix and pixel rates of one victim in one pass.

    Pixels of an image are not independent trials, so their rates have no interval here; intervals
    over images come from the rows, see :mod:`project.evaluation.intervals`.
    """

    def __init__(self, step: Pass, victim: str, device: torch.device, num_classes: int) -> None:
        super().__init__(step, victim)
        self.unanswered = CountedRate().to(device)
        self.confusion = Confusion(num_classes).to(device)
        self.fooled = CountedRate().to(device)

    def update(self, rows: list[Facts], predictions: Tensor, target: Tensor) -> None:
        """Add a batch."""
        self.confusion.update(predictions, target)
        for row in rows:
            self.fooled.update(row["fooled_pixels"], row["judged_pixels"])
            self.unanswered.update(row["unanswered_pixels"], row["valid_pixels"])

    def measures(self) -> list[Measure]:
        """Return the numbers of the data set, computed over all processes."""
        confusion = self.confusion.compute()
        correct, total = int(confusion.diagonal().sum()), int(confusion.sum())
        measures = [
            self.measure("miou", mean_iou(confusion)),
            self.measure("pixel_accuracy", pixel_accuracy(confusion), hits=correct, total=total),
        ]
        if not self.step.clean:
            fooled = self.fooled.compute()
            measures.append(
                self.measure("fooled_pixels", fooled.value, hits=fooled.hits, total=fooled.total)
            )
        return [*measures, *self.lost(self.unanswered)]
