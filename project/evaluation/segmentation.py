"""Judging segmenters: rows and the confusion matrix of one victim over all passes."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from project.evaluation.plan import Pass
from project.evaluation.summary import Facts, Summary
from project.losses import VOID
from project.metrics import Confusion, CountedRate, mean_iou, pixel_accuracy
from project.records import Measure


class SegmentationJudge:
    """Judge one segmenter's logits, pass after pass, against its own clean predictions."""

    def __init__(self) -> None:
        # One bit per pixel: whether it was right on the clean image.
        self._clean: dict[int, NDArray[np.uint8]] = {}

    def rows(self, logits: Tensor, target: Tensor, index: Tensor, clean: bool) -> list[Facts]:
        """Judge a batch.

        Args:
            logits: (N, K, H, W).
            target: (N, H, W), 255 = void.
            index: (N,).
            clean: whether the images are clean ones; their verdicts are kept for later passes.

        Returns:
            The victim's columns of each image's row.
        """
        valid = (target != VOID).cpu().numpy()
        correct = (logits.argmax(1) == target).cpu().numpy() & valid
        rows: list[Facts] = []
        for place, sample in enumerate(index.tolist()):
            if clean:
                self._clean[sample] = np.packbits(correct[place])
            before = self._unpack(sample, correct[place].shape)
            rows.append(
                {
                    "valid_pixels": int(valid[place].sum()),
                    "clean_correct_pixels": int(before.sum()),
                    "correct_pixels": int(correct[place].sum()),
                    "fooled_pixels": int((before & ~correct[place]).sum()),
                }
            )
        return rows

    def _unpack(self, sample: int, shape: tuple[int, ...]) -> NDArray[np.bool_]:
        bits = np.unpackbits(self._clean[sample], count=int(np.prod(shape)))
        return bits.reshape(shape).astype(bool)


class SegmentationSummary(Summary):
    """Confusion matrix and pixel rates of one victim in one pass."""

    def __init__(self, step: Pass, victim: str, device: torch.device, num_classes: int) -> None:
        super().__init__(step, victim)
        self.confusion = Confusion(num_classes).to(device)
        self.fooled = CountedRate().to(device)

    def update(self, rows: list[Facts], predictions: Tensor, target: Tensor) -> None:
        """Add a batch."""
        self.confusion.update(predictions, target)
        for row in rows:
            self.fooled.update(row["fooled_pixels"], row["clean_correct_pixels"])

    def measures(self) -> list[Measure]:
        """Return the numbers of the data set, computed over all processes."""
        confusion = self.confusion.compute()
        correct, total = int(confusion.diagonal().sum()), int(confusion.sum())
        measures = [
            self.measure("miou", mean_iou(confusion)),
            self.measure("pixel_accuracy", pixel_accuracy(confusion), hits=correct, total=total),
        ]
        if not self.step.clean:
            measures.append(self.rate("fooled_pixels", self.fooled))
        return measures
