"""The callback that leaves a run's folder behind: rows, measures, gallery and report."""

from __future__ import annotations

import io
import json
import os
import shlex
import sys
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from project.attacks.attack import Traits
from project.callbacks.attacking import AttackCallback
from project.callbacks.console import summary_table
from project.callbacks.versions import versions
from project.evaluation import CLEAN, TransferEvaluation, kin
from project.records import remove_path, write_measures, write_rows
from project.replacing import replace_file
from project.report import build_report
from project.report.masking import flagged_sentences
from project.store import StoredSample
from project.traces import write_traces
from project.tracking import track_run
from project.victims import Victim

_RESULTS = (
    *("rows.parquet", "metrics.csv", "run.json", "traces.parquet", "report.html", "gallery"),
    *("comparison.csv", "comparison.md", "pareto.svg"),
    *("transfer.csv", "transfer.md", "transfer.svg", "transfer.png"),
    *("masking.csv", "masking.md"),
)
_PACKAGES = ("mirage-attacks", "torch", "lightning", "torchmetrics", "timm", "lpips")


class RunFolder(L.Callback):
    """Write what an experiment found to a folder, and hand it to the loggers.

    Args:
        folder: where to; results of an earlier run there are replaced. Environment variables are
            filled in, such as the WANDB_RUN_ID that each run of a sweep has.
        title: heading of the report.
        gallery: how many images to show, evenly spaced over the data set.
    """

    def __init__(
        self, folder: str = "runs/attack", title: str = "Attack experiment", gallery: int = 6
    ) -> None:
        self.folder = os.path.expandvars(folder)
        self.title = title
        self.gallery = gallery
        self._shown: set[int] = set()
        self._clean_predictions: dict[tuple[str, int], Tensor] = {}

    def on_test_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Choose the gallery, and clear what an earlier run left.

        The victims are checked by now: an experiment that is refused costs no results.
        """
        samples = trainer.datamodule.samples  # type: ignore[attr-defined]
        count = min(self.gallery, len(samples))
        self._shown = {samples.indices[place * len(samples) // count] for place in range(count)}
        if trainer.is_global_zero:
            for name in _RESULTS:
                remove_path(Path(self.folder) / name)
        trainer.strategy.barrier()

    def on_test_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: dict[str, Any],
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Write the pictures of the images that the gallery shows."""
        assert isinstance(pl_module, TransferEvaluation)
        step = pl_module.plan[dataloader_idx]
        for place, index in enumerate(batch["index"].tolist()):
            if index not in self._shown:
                continue
            predictions = {name: classes[place].cpu() for name, classes in outputs.items()}
            if step == CLEAN:
                self._clean_predictions |= {
                    (name, index): classes for name, classes in predictions.items()
                }
                continue
            folder = Path(self.folder) / "gallery" / step.attack / step.source / f"{index:08d}"
            _save_images(folder, batch["image"][place], batch["crafted"][place])
            if batch["target"].ndim > 1:
                _save_classes(folder / "target.png", batch["target"][place])
                clean = self._clean_predictions[step.source, index]
                _save_classes(folder / "prediction_clean.png", clean)
                _save_classes(folder / "prediction_adversarial.png", predictions[step.source])

    def on_test_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write rows, measures and the report, and hand them to the loggers."""
        assert isinstance(pl_module, TransferEvaluation)
        if not trainer.is_global_zero:
            return
        folder = Path(self.folder)
        write_rows(folder / "rows.parquet", pl_module.rows)
        write_measures(folder / "metrics.csv", pl_module.measures)
        if pl_module.traces:
            write_traces(folder / "traces.parquet", pl_module.traces)
        facts = self._facts(trainer, pl_module)
        replace_file(folder / "run.json", json.dumps(facts, indent=1).encode())
        report = build_report(folder)
        track_run(trainer.loggers, folder)
        print("\n" + summary_table(pl_module.measures, facts["task"]))
        for notice in facts["notices"]:
            print(f"note: {notice}")
        for sentence in flagged_sentences(folder):
            print(f"warning: {sentence}")
        print(f"report: {report}")

    def _facts(self, trainer: L.Trainer, module: TransferEvaluation) -> dict[str, Any]:
        data = trainer.datamodule  # type: ignore[attr-defined]
        config = Path(self.folder) / "config.yaml"
        return {
            "title": self.title,
            "task": data.samples.task,
            "images": len(data.samples),
            "class_names": list(data.samples.class_names),
            "command": shlex.join(["python", *sys.argv]),
            "config": config.read_text() if config.is_file() else "",
            "notices": [*data.notices, *module.notices],
            "versions": versions(*_PACKAGES),
            "weights": {name: _weights(victim) for name, victim in module.victims.items()},
            "kin": kin(module.victims),
            "attacks": _traits(trainer),
        }


def _traits(trainer: L.Trainer) -> dict[str, Traits]:
    """Return what the run's attacks are, by name."""
    callbacks = trainer.callbacks  # type: ignore[attr-defined]
    found = [callback for callback in callbacks if isinstance(callback, AttackCallback)]
    return {name: attack.traits() for one in found for name, attack in one.attacks.items()}


def _weights(victim: Victim) -> str:
    return victim.fingerprint()[:16]


def _save_images(folder: Path, clean: Tensor, crafted: StoredSample) -> None:
    pixels = clean.mul(255).round().byte().permute(1, 2, 0).cpu().numpy()
    _save_png(folder / "clean.png", pixels)
    _save_png(folder / "adversarial.png", crafted.image)
    if crafted.flow is not None:
        packed = io.BytesIO()
        np.save(packed, crafted.flow)
        replace_file(folder / "flow.npy", packed.getvalue())
    if crafted.mask is not None:
        _save_png(folder / "mask.png", crafted.mask)


def _save_classes(path: Path, classes: Tensor) -> None:
    _save_png(path, classes.byte().cpu().numpy())


def _save_png(path: Path, pixels: NDArray[np.uint8]) -> None:
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, "PNG")
    replace_file(path, encoded.getvalue())
