"""Evaluating classifiers: per-image rows, and rates of one victim in each pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from project.attacks.flow.ssta import PAPER_AREA
from project.core.answers import NO_PREDICTION, Answers
from project.evaluation.plan import Pass
from project.evaluation.victim_metrics import Facts, VictimMetrics, flags
from project.metrics import PerImageMean, Rate
from project.storage.rows import Measure

Places = NDArray[np.intp]
_UNANSWERED, _WRONG, _RIGHT = 1, 2, 3  # of a clean image; 0 where there is no verdict yet


class ClassificationJudge:
    """Evaluates one classifier's answers, pass after pass, against its own clean predictions.

    Args:
        indices: ids of all samples that it may be shown.
    """

    def __init__(self, indices: Sequence[int]) -> None:
        self._clean = CleanVerdicts(indices)

    def rows(self, answers: Answers, target: Tensor, index: Tensor, clean: bool) -> list[Facts]:
        """Evaluate a batch, and return the victim's columns of its rows.

        Args:
            answers: the classifier's.
            target: (N,), the true classes.
            index: (N,), the samples' ids.
            clean: whether the images are clean ones; their verdicts are kept for later passes.

        Returns:
            The victim's columns of each image's row.
        """
        assert answers.confidence is not None
        labels, told = target.tolist(), (answers.classes.tolist(), answers.confidence.tolist())
        verdicts = [_verdict(*one) for one in zip(labels, *told, strict=True)]
        places = self._clean.places(index.tolist())
        if clean:
            self._clean.keep(places, verdicts)
        rows: list[Facts] = []
        # The clean pass dealt this rank the same batches.
        for label, row, before in zip(labels, verdicts, self._clean.at(places), strict=True):
            lost = row["unanswered"] or before["clean_unanswered"]
            fooled = None if lost else before["clean_correct"] and not row["correct"]
            rows.append({"target": label, **row, **before, "fooled": fooled})
        return rows


class CleanVerdicts:
    """One classifier's verdicts on clean images, 17 bytes for each sample of the data set.

    Args:
        indices: the samples' ids.
    """

    def __init__(self, indices: Sequence[int]) -> None:
        self._indices = np.sort(np.asarray(indices, dtype=np.int64))
        # Zeros take no memory until they are written: a process sees a part of the samples.
        self._prediction = np.zeros(len(indices), dtype=np.int64)
        self._confidence = np.zeros(len(indices), dtype=np.float64)
        self._state = np.zeros(len(indices), dtype=np.uint8)

    def places(self, samples: Sequence[int]) -> Places:
        """Return where the verdicts on some samples are, (N,).

        Raises:
            KeyError: if the data set lacks one.
        """
        places = self._indices.searchsorted(samples).clip(max=len(self._indices) - 1)
        unknown = self._indices[places] != samples
        if unknown.any():
            raise KeyError(np.asarray(samples)[unknown].tolist())
        return places

    def keep(self, places: Places, rows: Sequence[Facts]) -> None:
        """Keep the verdicts on some samples' clean images, columns of their rows."""
        lost = np.array([row["unanswered"] for row in rows])
        right = np.array([row["correct"] is True for row in rows])
        self._state[places] = np.where(lost, _UNANSWERED, np.where(right, _RIGHT, _WRONG))
        self._prediction[places] = [row["prediction"] or 0 for row in rows]
        self._confidence[places] = [row["confidence"] or 0.0 for row in rows]

    def at(self, places: Places) -> Iterator[Facts]:
        """Yield the verdicts on some samples' clean images, as columns ``clean_…``.

        Raises:
            KeyError: if there is none on one of them.
        """
        state = self._state[places]
        if not state.all():
            raise KeyError(self._indices[places][state == 0].tolist())
        columns = (state, self._prediction[places], self._confidence[places])
        for told, prediction, trust in zip(*(column.tolist() for column in columns), strict=True):
            lost = told == _UNANSWERED
            yield {
                "clean_unanswered": lost,
                "clean_prediction": None if lost else prediction,
                "clean_confidence": None if lost else trust,
                "clean_correct": None if lost else told == _RIGHT,
            }


def _verdict(label: int, prediction: int, confidence: float) -> Facts:
    """Return one image's columns; without a prediction there is nothing to say but that."""
    if prediction == NO_PREDICTION:
        return {"unanswered": True, "prediction": None, "confidence": None, "correct": None}
    return {
        "unanswered": False,
        "prediction": prediction,
        "confidence": confidence,
        "correct": prediction == label,
    }


class ClassificationMetrics(VictimMetrics):
    """Rates of one victim in one pass."""

    def __init__(self, step: Pass, victim: str, device: torch.device) -> None:
        super().__init__(step, victim)
        self.unanswered = Rate().to(device)
        self.accuracy = Rate().to(device)
        self.asr = Rate().to(device)
        self.asr_paper = Rate().to(device)
        self.small_mask = Rate().to(device)
        self.confidence_drop = PerImageMean().to(device)

    def update(self, rows: list[Facts], predictions: Tensor, target: Tensor) -> None:
        """Add a batch, of which only the rows are used."""
        unanswered = flags(rows, "unanswered")
        self.unanswered.update(unanswered)
        self.accuracy.update(flags(rows, "correct"), ~unanswered)
        both = ~unanswered & ~flags(rows, "clean_unanswered")
        fooled, judged = flags(rows, "fooled"), both & flags(rows, "clean_correct")
        self.asr.update(fooled, judged)
        small, counted = self._small_masks(rows)
        self.asr_paper.update(fooled, judged & counted & ~small)
        self.small_mask.update(small, judged & counted)
        drops = [
            row["clean_confidence"] - row["confidence"]
            for row, known in zip(rows, both.tolist(), strict=True)
            if known
        ]
        self.confidence_drop.update(torch.tensor(drops, dtype=torch.float64))

    def measures(self) -> list[Measure]:
        """Return the rates, computed over all processes.

        Attacks in a salient region also have ``asr_paper``, the success rate as SSTA's paper counts
        it, over the images right when clean whose mask is not small; and ``small_mask``, the share
        of those right when clean that it leaves out.
        """
        if self.step.clean:
            return [self.rate("accuracy", self.accuracy), *self.lost(self.unanswered)]
        measures = [
            self.rate("robust_accuracy", self.accuracy),
            self.rate("asr", self.asr),
            self.mean("confidence_drop", self.confidence_drop),
        ]
        small = self.rate("small_mask", self.small_mask)
        paper = self.rate("asr_paper", self.asr_paper)
        told = [paper, small] if small.total else []
        return [*measures, *told, *self.lost(self.unanswered)]

    def _small_masks(self, rows: list[Facts]) -> tuple[Tensor, Tensor]:
        """Return whose mask is too small for SSTA's paper, and whom it counts at all, (N,) bool.

        It counts none on transfer, and none of an attack without a salient mask.
        """
        counted = self.white_box and "salient_area_180" in rows[0]
        found = [row["salient_area_180"] if counted else 0.0 for row in rows]
        areas = torch.tensor(found, dtype=torch.float64)
        return areas <= PAPER_AREA, torch.full((len(rows),), counted)
