"""The callback of attack.py that puts adversarial images into test batches."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.utilities import rank_zero_info

from project.attacks import ATTACKS_VERSION, Attack
from project.callbacks.common import require_folder
from project.callbacks.experiment.fast_sources import FastSources
from project.callbacks.experiment.images_of_a_pass import PassImages, stacked_images
from project.core.errors import InputError, UndescribableError
from project.core.identity import IDENTITY_VERSION, describe
from project.core.numerics import numerics
from project.core.yaml_keys import require_text_keys
from project.data.datamodule import AttackDataModule
from project.data.loader import first_images
from project.evaluation import Pass, TransferEvaluation, plan_passes
from project.storage.clean_answers import CleanAnswers
from project.storage.files import WriteError
from project.storage.saving import Saving
from project.storage.store import Store
from project.victims.acceleration import Acceleration

_COMPARED = 4  # images on which a fast copy's logits are compared with its victim's


class AttackCallback(L.Callback):
    """Attack every batch of a test, or take its adversarial images from the store.

    Plans the passes of an experiment, one test dataloader per (source, attack), and puts into each
    batch ``adversarial`` (N, 3, H, W) and ``crafted``, the stored sample of each image.

    Attributes:
        stores: the store of each pass, during a test.
        copies: descriptions of the fast copies that are attacked, by the source's name.
        pass_images: what makes or loads the images of each pass, from the start of the test on.

    Args:
        attacks: the attacks by name.
        sources: names of the victims to attack; None is every one.
        store: folder of the adversarial images, from which an interrupted run goes on.
        acceleration: options of the fast copies that are attacked. They are compared with the
            victims on real images first, and the original victims judge the outcome.
        max_batch: the most images attacked at a time, where a batch needs more memory than there
            is; None is the whole batch.
        threads: CPU threads of each process, where the images are made on CPUs; None is one for
            each core of the machine. The last bits of a sum depend on the number of threads, so
            it must not follow the number of processes, as Lightning's default does. The former
            number is restored afterwards.
    """

    def __init__(
        self,
        attacks: dict[str, Attack],
        sources: list[str] | None = None,
        store: str = ".cache/store",
        acceleration: Acceleration = Acceleration(),  # noqa: B008 frozen
        max_batch: int | None = None,
        threads: int | None = None,
    ) -> None:
        _require_attacks(attacks)
        require_folder("store", store, store)
        if threads is not None and threads < 1:
            raise InputError(
                f"threads must be at least 1, got {threads}. Leave it out for one per core."
            )
        self.attacks = attacks
        self.sources = sources
        self.store = store
        self.acceleration = acceleration
        self.max_batch = max_batch
        self.threads = threads
        self._plan: list[Pass] = []
        self.stores: dict[Pass, Store] = {}
        self._lacking: set[str] = set()  # sources of which the store lacks images
        self._victims: dict[str, Any] = {}
        self.copies: dict[str, str] = {}
        self.pass_images: dict[Pass, PassImages] = {}
        self.saving = Saving()
        self._threads_before = 0

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Plan the passes and open their stores, before any attack runs."""
        data = trainer.datamodule  # type: ignore[attr-defined]
        if not (isinstance(pl_module, TransferEvaluation) and isinstance(data, AttackDataModule)):
            raise TypeError(
                "AttackCallback works on a TransferEvaluation and one of the project's data "
                f"modules, got {type(pl_module).__name__} and {type(data).__name__}."
            )
        if trainer.strategy.root_device.type == "cpu":
            self._threads_before = torch.get_num_threads()
            torch.set_num_threads(self.threads or _cores())
        self._victims = pl_module.victims
        self._plan = plan_passes(self.attacks, self._victims, self.sources)
        pl_module.plan = self._plan
        data.passes = [str(step) for step in self._plan]
        for attack in self.attacks.values():
            attack.attach(data.samples)
        steps = [step for step in self._plan if not step.clean]
        common = {"data": data.samples.fingerprint()} | _precision(trainer)
        sources = {name: describe(self._victims[name]) for name in {step.source for step in steps}}
        self.stores = {step: self._open(step, sources[step.source], common) for step in steps}
        threads = {"threads": torch.get_num_threads()}  # on which a sum's last bits depend
        pl_module.clean_answers = self._clean_answers(_precision(trainer) | threads)
        self._look_up(data.samples.indices)

    def on_test_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Make the fast copies of the sources, which are on their device and checked by now.

        A source whose images are all in the store gets a copy only if an image cannot be read.
        """
        assert isinstance(pl_module, TransferEvaluation)
        images = first_images(trainer.datamodule.samples, _COMPARED)  # type: ignore[attr-defined]
        fast = FastSources(self._victims, self.acceleration, images.to(pl_module.device))
        self.copies = fast.told
        for source in sorted(self._lacking):
            fast.copy_of(source)  # a wrong one is refused before anything is attacked
        self.pass_images = {
            step: PassImages(
                self.attacks[step.attack],
                partial(fast.copy_of, step.source),
                store,
                self.saving,
                self.max_batch,
            )
            for step, store in self.stores.items()
        }

    def on_test_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Wait until all images are written."""
        self.saving.wait()

    def on_test_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Free the fast copies."""
        self.pass_images = {}

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Restore the process's number of threads."""
        if self._threads_before:
            torch.set_num_threads(self._threads_before)

    def on_exception(
        self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException
    ) -> None:
        """Write what is attacked, and restore the process's number of threads."""
        with contextlib.suppress(WriteError):  # the exception is told
            self.saving.wait()
        self.teardown(trainer, pl_module, "test")  # Lightning skips teardown after an error

    def on_test_batch_start(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        batch: dict[str, Any],
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Add the adversarial images of the pass to the batch."""
        step = self._plan[dataloader_idx]
        if batch_idx == 0:
            self.forget_all_but(step)
        if step.clean:
            return
        with trainer.precision_plugin.forward_context():  # autocast is off in callback hooks
            crafted = self.pass_images[step](batch)
        batch["crafted"] = crafted
        batch["adversarial"] = stacked_images(crafted).to(batch["image"])

    def forget_all_but(self, step: Pass) -> None:
        """Keep in memory what one pass's store holds: of all passes it would grow with the rows."""
        self.saving.wait()
        for other, store in self.stores.items():
            if other != step:
                store.forget()

    def _open(self, step: Pass, source: Any, common: dict[str, Any]) -> Store:
        """Open a pass's store, whose key says all that its images are made from, and no name."""
        attack = self.attacks[step.attack]
        description = {
            "version": ATTACKS_VERSION,
            "identity": IDENTITY_VERSION,
            "attack": describe(attack),
            "source": source,
            "acceleration": describe(self.acceleration),
        } | common
        # Of the classes, since names that a user may change must not decide what is found.
        label = f"{type(attack).__name__}-{type(self._victims[step.source]).__name__}"
        return Store(Path(self.store), label, description)

    def _clean_answers(self, precision: dict[str, Any]) -> dict[str, CleanAnswers]:
        """Return where victims' answers to clean images are kept, of those that can be told."""
        kept = {}
        for name, victim in self._victims.items():
            with contextlib.suppress(UndescribableError):  # which only what is attacked must not be
                description = {"identity": IDENTITY_VERSION, "victim": describe(victim)} | precision
                kept[name] = CleanAnswers(Path(self.store), type(victim).__name__, description)
        return kept

    def _look_up(self, indices: Sequence[int]) -> None:
        """Report how many images the store holds, and note the sources of which it lacks some."""
        self._lacking = set()
        for step, store in self.stores.items():
            count = sum(index in store for index in indices)
            store.forget()
            rank_zero_info(f"{step}: {count} of {len(indices)} images come from the store")
            if count < len(indices):
                self._lacking.add(step.source)


def _precision(trainer: L.Trainer) -> dict[str, Any]:
    """Return what the last bits of all passes depend on."""
    plugin = trainer.precision_plugin
    with plugin.forward_context():  # as the attacks run
        told = {
            "precision": str(trainer.precision),
            "numerics": numerics(trainer.strategy.root_device),
        }
    if type(plugin).__module__.partition(".")[0] != "lightning":
        told["plugin"] = describe(plugin)  # one's own may do anything under a known name
    return told


def _require_attacks(attacks: Mapping[str, Attack]) -> None:
    if not attacks:
        raise InputError("an experiment needs at least one attack, got none.")
    require_text_keys("attacks", attacks)
    wanting = [name for name, attack in attacks.items() if attack.targeted]
    if wanting:
        raise InputError(
            "the attacks of an experiment lead away from the labels, got targeted ones: "
            f"{', '.join(wanting)}. Which classes to aim at, a data set does not say: wrap each in "
            "Aimed, with an aim such as NearestWrongClass."
        )


def _cores() -> int:
    """Return the number of CPU cores that the process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on every system
    return len(affinity(0)) if affinity else os.cpu_count() or 1
