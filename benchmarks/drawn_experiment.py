"""An experiment without victims and pictures: what it writes, and what it holds in memory.

Rows and traces of 10 attacks × 5 sources × 5 victims (of segmenters × 4 × 4) on as many images as
it takes are judged, counted, written, and merged by the very code that experiments use. Logits,
metrics and traces are random numbers, and a segmenter's photo has 64 pixels. Of what is written a
report can be built.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from benchmarks.drawn_run import ATTACKS
from project.core.answers import answers_of
from project.evaluation.intervals import with_intervals
from project.evaluation.pass_metrics import PassMetrics, judges
from project.evaluation.plan import CLEAN, Pass, plan_passes
from project.evaluation.result_parts import ResultParts
from project.storage import layout
from project.storage.checksums import list_checksums
from project.storage.rows import write_measures
from project.storage.traces import Trace

VICTIMS = {"classification": [f"net_{k}" for k in range(5)], "segmentation": list("abcd")}
CLASSES = {"classification": 10, "segmentation": 21}
METRICS = ("ssim", "psnr", "lpips_squeeze", "lpips_alex", "l2", "linf", "mse", "uqi", "scc", "l0")
STEPS = 10
BATCH = 64


class DrawnExperiment:
    """An experiment without victims: what it would write, and what it would hold in memory.

    Args:
        folder: of the run.
        rows: about how many there are to be.
        task: classification or segmentation.
    """

    def __init__(self, folder: Path, rows: int, task: str = "classification") -> None:
        self.folder = folder
        self.victims = VICTIMS[task]
        self.plan = plan_passes(sorted(ATTACKS), self.victims, None)
        cells = (len(self.plan) - 1) * len(self.victims)
        self.images = max(1, round(rows / cells))
        self.rows = self.images * cells
        self.samples: Any = SimpleNamespace(
            task=task, num_classes=CLASSES[task], indices=range(self.images)
        )
        self._draw = torch.Generator().manual_seed(0)

    def stages(self) -> Iterator[str]:
        """Go through the experiment, and yield the name of each stage when it is over."""
        device = torch.device("cpu")
        results = ResultParts(self.folder / layout.UNFINISHED)
        self._judges = judges(self.victims, self.samples, results.folder)
        counts = [PassMetrics(step, self.victims, self.samples, device) for step in self.plan]
        for step, of_pass in zip(self.plan, counts, strict=True):
            for start in range(0, self.images, BATCH):
                index = torch.arange(start, min(start + BATCH, self.images))
                self._judge(step, of_pass, index, results)
        yield "judging and writing parts"
        measures = [one for of_pass in counts for one in of_pass.measures(self.samples.indices)]
        results.collect()
        yield "numbers of the data set"
        if self.samples.task == "segmentation":
            measures = with_intervals(measures, results.cells())
            yield "intervals"
        results.write_rows(self.folder / layout.ROWS)
        yield "rows merged"
        results.write_traces(self.folder / layout.TRACES)
        yield "traces merged"
        write_measures(self.folder / layout.MEASURES, measures)
        facts = {"task": self.samples.task, "images": self.images, "attacks": ATTACKS}
        (self.folder / layout.FACTS).write_text(json.dumps(facts))
        list_checksums(self.folder)
        results.close()
        yield "checksums"

    def _judge(
        self, step: Pass, counts: PassMetrics, index: torch.Tensor, results: ResultParts
    ) -> None:
        """Do with a batch what the evaluation does, but for the victims."""
        shape = () if self.samples.task == "classification" else (8, 8)
        target = index.view(-1, *[1] * len(shape)).expand(-1, *shape) % self.samples.num_classes
        known = self._known(step, index)
        found = {}
        for name in self.victims:
            size = (len(index), self.samples.num_classes, *shape)
            logits = torch.randn(size, generator=self._draw)
            verdicts = self._judges[name].rows(
                answers_of(logits, target), target, index, step == CLEAN
            )
            rows = [one | {"victim": name} | row for one, row in zip(known, verdicts, strict=True)]
            counts.by_victim[name].update(rows, logits.argmax(1), target)
            found[name] = rows
            if name == step.source:
                counts.quality.update(rows)
        counts.ledger.update(index)
        if step != CLEAN:
            values = torch.rand(2, len(index), STEPS, generator=self._draw).numpy()
            told = zip(index.tolist(), np.moveaxis(values, 1, 0), strict=True)
            traces = [
                Trace(*step, n, {"objective": one, "step_size": other}) for n, (one, other) in told
            ]
            results.add(step, found, traces)

    def _known(self, step: Pass, index: torch.Tensor) -> list[dict[str, Any]]:
        facts: list[dict[str, Any]] = [{} for _ in index]
        if step != CLEAN:
            drawn = torch.rand(len(index), len(METRICS), generator=self._draw).tolist()
            own = {"success": True, "success_float": True, "steps": STEPS}
            facts = [own | dict(zip(METRICS, one, strict=True)) for one in drawn]
        common = {"task": self.samples.task, "attack": step.attack, "source": step.source}
        return [
            {"index": n, "name": f"photo_{n:08d}", **common, **facts[place]}
            for place, n in enumerate(index.tolist())
        ]
