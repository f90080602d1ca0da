"""The callback that writes a run's folder: rows, measures, gallery and report."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any, Literal

import lightning as L
from torch import Tensor

from project.attacks.core.attack import Traits
from project.callbacks.common import callbacks_of, lock_for_all, require_folder, versions
from project.callbacks.experiment.adversarial_set import write_adversarial_set
from project.callbacks.experiment.attack import AttackCallback
from project.callbacks.experiment.console import summary_table
from project.callbacks.experiment.cost_estimate import CostEstimate
from project.core.portable import portable, started_command
from project.evaluation import CLEAN, TransferEvaluation, victims_sharing_networks
from project.report import build_report
from project.report.gallery import Attacked, GalleryKeeper
from project.report.masking import flagged_sentences
from project.report.pictures import Bytes
from project.report.run import Run
from project.report.unanswered import unanswered_sentences
from project.storage import layout
from project.storage.checksums import list_checksums
from project.storage.files import replace_file
from project.storage.lock import unlock
from project.storage.rows import remove_path, write_measures
from project.storage.store import StoredSample
from project.tracking import refuse_victims, track_run
from project.victims.check import VictimCheckError

_RESULTS = (
    layout.CHECKSUMS,  # first, so that a crash calls no file damaged
    *(*layout.RECORDS, *layout.SUMMARIES, layout.GALLERY, layout.ADVERSARIAL_SET),
)
_PACKAGES = (
    *("mirage-attacks", "torch", "torchvision", "lightning", "torchmetrics", "timm"),
    *("segmentation-models-pytorch", "lpips", "numpy", "pillow"),
)


class RunFolder(L.Callback):
    """Write an experiment's results to a folder, and hand them to the loggers.

    Args:
        folder: the run's folder; results of an earlier run there are replaced. Environment
            variables are expanded, such as the WANDB_RUN_ID that each run of a sweep has.
        title: heading of the report.
        gallery: number of images to keep pictures of, evenly spaced over the data set, or ``all``.
    """

    def __init__(
        self,
        folder: str = "runs/attack",
        title: str = "Attack experiment",
        gallery: int | Literal["all"] = 6,
    ) -> None:
        self.folder = os.path.expandvars(folder)
        require_folder("folder", self.folder, folder)
        self.title = title
        self.gallery = gallery
        self._shown: set[int] = set()
        self._scratch: Path | None = None  # once it is this run's

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Lock the folder, unless the run ends with an estimate and writes nothing.

        Raises:
            LockedError: on every rank, if another run writes into it.
        """
        if not any(found.only for found in callbacks_of(trainer, CostEstimate)):
            lock_for_all(trainer, Path(self.folder))

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Give the folder back."""
        unlock(Path(self.folder))

    def on_test_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Choose the gallery's images, and clear the results of an earlier run.

        The victims are checked by now: an experiment that is refused deletes no results.
        """
        samples = trainer.datamodule.samples  # type: ignore[attr-defined]
        count = len(samples) if self.gallery == "all" else min(self.gallery, len(samples))
        self._shown = {samples.indices[place * len(samples) // count] for place in range(count)}
        assert isinstance(pl_module, TransferEvaluation)
        self._scratch = pl_module.scratch = Path(self.folder) / layout.UNFINISHED
        if trainer.is_global_zero:
            for name in _RESULTS:
                remove_path(Path(self.folder) / name)
        # A killed run's; every rank, since each machine may have a disk of its own.
        shutil.rmtree(self._scratch, ignore_errors=True)
        trainer.strategy.barrier()  # no rank may write anything before the old is gone

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
        step, keeper = pl_module.plan[dataloader_idx], GalleryKeeper(Path(self.folder))
        sources = {one.source for one in pl_module.plan if not one.clean}
        for place, index in enumerate(batch["index"].tolist()):
            if index not in self._shown:
                continue
            classes = {}
            if batch["target"].ndim > 1:
                classes = {name: _bytes(found[place]) for name, found in outputs.items()}
            if step == CLEAN:
                own = {name: found for name, found in classes.items() if name in sources}
                _keep_clean(keeper, batch, place, own)
            else:
                made: StoredSample = batch["crafted"][place]
                seen = classes.get(step.source)
                attacked = Attacked(made.image, made.flow, made.mask, seen)
                keeper.keep(step.attack, step.source, index, attacked)

    def on_test_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write rows, measures and the report, and hand them to the loggers."""
        assert isinstance(pl_module, TransferEvaluation)
        if not trainer.is_global_zero:
            return
        folder = Path(self.folder)
        pl_module.results.write_rows(folder / layout.ROWS)
        write_measures(folder / layout.MEASURES, pl_module.measures)
        if pl_module.results.has_traces:
            pl_module.results.write_traces(folder / layout.TRACES)
        facts = self._facts(trainer, pl_module)
        replace_file(folder / layout.FACTS, json.dumps(facts, indent=1).encode())
        report = build_report(folder)
        attacking = callbacks_of(trainer, AttackCallback)
        stores = {step: store for one in attacking for step, store in one.stores.items()}
        indices = trainer.datamodule.samples.indices  # type: ignore[attr-defined]
        write_adversarial_set(folder / layout.ADVERSARIAL_SET, stores, indices)
        list_checksums(folder)
        print("\n" + summary_table(pl_module.measures, facts["task"]))
        for sentence in unanswered_sentences(Run.read(folder)):
            print(f"warning: {sentence}")
        for notice in facts["notices"]:
            print(f"note: {notice}")
        for name, told in facts["copies"].items():
            print(f"note: {name} is attacked through a copy: {told}")
        for sentence in flagged_sentences(folder):
            print(f"warning: {sentence}")
        print(f"report: {report}")
        track_run(trainer.loggers, folder)  # last: an upload may be slow, or never end

    def on_exception(
        self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException
    ) -> None:
        """Give the folder back, and log the refusal if the check of the victims refused some."""
        if self._scratch is not None and trainer.is_global_zero:
            shutil.rmtree(self._scratch, ignore_errors=True)
        self.teardown(trainer, pl_module, "test")  # Lightning skips teardown after an error
        if isinstance(exception, VictimCheckError):
            refuse_victims(trainer.loggers, str(exception))

    def _facts(self, trainer: L.Trainer, module: TransferEvaluation) -> dict[str, Any]:
        data = trainer.datamodule  # type: ignore[attr-defined]
        attacking = callbacks_of(trainer, AttackCallback)
        config = Path(self.folder) / layout.CONFIG
        return {
            "title": self.title,
            "task": data.samples.task,
            "images": len(data.samples),
            "precision": str(trainer.precision),
            "batch_size": data.dealt_batch_size(data.samples),
            "class_names": list(data.samples.class_names),
            "command": started_command(),
            "config": portable(config.read_text()) if config.is_file() else "",
            "notices": [portable(told) for told in (*data.notices, *module.notices)],
            "data": data.samples.fingerprint(),
            "copies": {n: portable(told) for one in attacking for n, told in one.copies.items()},
            "versions": versions(*_PACKAGES),
            "weights": {name: victim.fingerprint() for name, victim in module.victims.items()},
            "kin": victims_sharing_networks(module.victims),
            "attacks": _traits(trainer),
        }


def _traits(trainer: L.Trainer) -> dict[str, Traits]:
    """Return the traits of the run's attacks, by name."""
    found = callbacks_of(trainer, AttackCallback)
    return {name: attack.traits() for one in found for name, attack in one.attacks.items()}


def _keep_clean(
    keeper: GalleryKeeper, batch: dict[str, Any], place: int, predictions: dict[str, Bytes]
) -> None:
    image = batch["image"][place].mul(255).round().permute(1, 2, 0)
    target = batch["target"][place]
    labels = _bytes(target) if target.ndim else None
    keeper.keep_clean(int(batch["index"][place]), _bytes(image), labels, predictions)


def _bytes(values: Tensor) -> Bytes:
    return values.byte().cpu().numpy()
