"""Evaluating classifiers: per-image rows, and rates of one victim in each pass."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from project.attacks.flow.ssta import PAPER_AREA
from project.evaluation.plan import Pass
from project.evaluation.victim_metrics import Facts, VictimMetrics, column
from project.metrics import PerImageMean, Rate
from project.storage.rows import Measure


class ClassificationJudge:
    """Evaluates one classifier's logits, pass after pass, against its own clean predictions."""

    def __init__(self) -> None:
        self._clean: dict[int, dict[str, Any]] = {}

    def rows(self, logits: Tensor, target: Tensor, index: Tensor, clean: bool) -> list[Facts]:
        """Evaluate a batch, and return the victim's columns of its rows.

        Args:
            logits: (N, K).
            target: (N,), the true classes.
            index: (N,), the samples' ids.
            clean: whether the images are clean ones; their verdicts are kept for later passes.

        Returns:
            The victim's columns of each image's row.
        """
        confidence = logits.float().softmax(1).gather(1, target[:, None]).squeeze(1)
        verdicts = zip(
            index.tolist(),
            target.tolist(),
            logits.argmax(1).tolist(),
            confidence.tolist(),
            strict=True,
        )
        rows: list[Facts] = []
        for sample, label, prediction, trust in verdicts:
            row = {"prediction": prediction, "confidence": trust, "correct": prediction == label}
            if clean:
                self._clean[sample] = {f"clean_{name}": value for name, value in row.items()}
            before = self._clean[sample]  # the clean pass dealt this rank the same batches
            fooled = before["clean_correct"] and not row["correct"]
            rows.append({"target": label, **row, **before, "fooled": fooled})
        return rows


class ClassificationMetrics(VictimMetrics):
    """Rates of one victim in one pass."""

    def __init__(self, step: Pass, victim: str, device: torch.device) -> None:
        super().__init__(step, victim)
        self.accuracy = Rate().to(device)
        self.asr = Rate().to(device)
        self.asr_paper = Rate().to(device)
        self.confidence_drop = PerImageMean().to(device)

    def update(self, rows: list[Facts], predictions: Tensor, target: Tensor) -> None:
        """Add a batch, of which only the rows are used."""
        right_before, fooled = column(rows, "clean_correct"), column(rows, "fooled")
        self.accuracy.update(column(rows, "correct"))
        self.asr.update(fooled, right_before)
        self.confidence_drop.update(column(rows, "clean_confidence") - column(rows, "confidence"))
        self.asr_paper.update(fooled, right_before & self._in_paper(rows))

    def measures(self) -> list[Measure]:
        """Return the rates, computed over all processes."""
        if self.step.clean:
            return [self.rate("accuracy", self.accuracy)]
        measures = [
            self.rate("robust_accuracy", self.accuracy),
            self.rate("asr", self.asr),
            self.mean("confidence_drop", self.confidence_drop),
        ]
        paper = self.rate("asr_paper", self.asr_paper)
        return [*measures, paper] if paper.total else measures

    def _in_paper(self, rows: list[Facts]) -> Tensor:
        """Return which images SSTA's paper counts: none on transfer, or without a salient mask."""
        if not self.white_box or "salient_area" not in rows[0]:
            return torch.zeros(len(rows), dtype=torch.bool)
        return column(rows, "salient_area") > PAPER_AREA
