"""Recomputing a sample's adversarial image as its run made it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import lightning as L
import torch
import yaml
from torch import Tensor

from project.callbacks import AttackCallback
from project.callbacks.common import callbacks_of
from project.cli.attack import AttackCLI, experiment
from project.core.errors import InputError
from project.data import SampleSet
from project.evaluation import Pass, TransferEvaluation
from project.explain.difference import Difference
from project.explain.finished import FinishedRun
from project.storage import layout
from project.storage.store import Store, StoredSample, StoreError, read_manifest


@dataclass(frozen=True)
class Again:
    """A sample's stored and recomputed adversarial images, and the source's logits.

    Attributes:
        stored: the run's adversarial image.
        made: the image recomputed now.
        target: the class, or (H, W) classes with 255 = void.
        clean: (K,) or (K, H, W), the source's logits of the clean image.
        adversarial: likewise, of the image recomputed now.
        class_names: K names.
        together: number of samples attacked at a time now.
        of: number of samples that the run attacked at a time.
    """

    stored: StoredSample
    made: StoredSample
    target: Tensor
    clean: Tensor
    adversarial: Tensor
    class_names: Sequence[str]
    together: int
    of: int

    @property
    def difference(self) -> Difference:
        """The difference of the recomputed image from the stored one."""
        return Difference.between(self.made, self.stored)


def made_again(
    run: FinishedRun, step: Pass, index: int, batch: bool = False, arguments: Sequence[str] = ()
) -> Again:
    """Attack a sample again, by the run's config reduced to one pass over few samples.

    Args:
        run: the run.
        step: the attack and source.
        index: the sample's index.
        batch: attack all samples that the run attacked together with it; else it alone.
        arguments: further arguments, as for ``attack.py``, such as the data's new folder.

    Raises:
        ValueError: if data, weights or the store are no longer what they were.
        FileNotFoundError: if any of them is no longer where it was.
    """
    with TemporaryDirectory() as scratch:
        config = Path(scratch) / layout.CONFIG
        config.write_text(yaml.safe_dump(_of_one_pass(run.config, step)))
        cli = experiment(["--config", str(config), *arguments], _SingleCLI)
        whole = run.batch(index, run.facts.get("batch_size", cli.datamodule.batch_size))
        wanted = whole if batch else [index]
        _serve_only(cli.datamodule.samples, wanted)
        cli.datamodule.verify = False  # few samples: a bad one raises when it is read
        (attacking,) = callbacks_of(cli.trainer, AttackCallback)
        witness = _Witness(step, index, Path(attacking.store))
        attacking.store = scratch  # an empty store, so the image is recomputed
        cli.trainer.callbacks = [attacking, witness]  # type: ignore[attr-defined]
        cli.trainer.test(cli.model, datamodule=cli.datamodule, verbose=False)
        names = cli.datamodule.class_names
    return Again(**witness.seen, class_names=names, together=len(wanted), of=len(whole))


class _SingleCLI(AttackCLI):
    """An experiment's command line without training, since a retrained victim would be another."""

    def before_instantiate_classes(self) -> None:
        """Train no missing victims."""


class _Witness(L.Callback):
    """Records one sample's recomputed image and the source's logits, and its stored image."""

    def __init__(self, step: Pass, index: int, root: Path) -> None:
        self.step = step
        self.index = index
        self.root = root
        self.seen: dict[str, Any] = {}

    def on_test_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Load the stored image first, since without it a long attack would be in vain."""
        (attacking,) = callbacks_of(trainer, AttackCallback)
        own = attacking.pass_images[self.step].store
        self.seen["stored"] = _stored(Store(self.root, own.label, own.description), self.index)

    def on_test_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: dict[str, Any],
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Record the attack's image, and the source's logits."""
        assert isinstance(pl_module, TransferEvaluation)
        if "crafted" not in batch:
            return
        place = batch["index"].tolist().index(self.index)
        source = pl_module.victims[self.step.source]
        both = torch.stack([batch["image"][place], batch["adversarial"][place]])
        with trainer.precision_plugin.forward_context():
            clean, adversarial = source(both).float().cpu()
        target = batch["target"][place].cpu()
        made = batch["crafted"][place]
        self.seen |= {"made": made, "target": target, "clean": clean, "adversarial": adversarial}


def _of_one_pass(config: dict[str, Any], step: Pass) -> dict[str, Any]:
    """Return a run's config reduced to one attack on one victim, in one process."""
    alone = {"devices": 1, "num_nodes": 1, "strategy": "auto", "logger": False, "callbacks": None}
    attack, victim = config["attack"]["attacks"][step.attack], config["model"]["victims"]
    return config | {
        "trainer": config["trainer"] | alone | {"enable_progress_bar": False},
        "model": config["model"]
        | {"victims": {step.source: victim[step.source]}, "metrics": [], "features": None},
        "attack": config["attack"] | {"attacks": {step.attack: attack}, "sources": [step.source]},
    }


def _serve_only(samples: SampleSet, wanted: Sequence[int]) -> None:
    missing = sorted(set(wanted).difference(samples.indices))
    if missing:
        raise InputError(
            f"the data must hold the run's samples, but has no sample {missing[0]} now: it serves "
            f"{len(samples)}. Name the data set that was attacked, for example --data.root DIR."
        )
    samples.skip(set(samples.indices).difference(wanted))


def _stored(store: Store, index: int) -> StoredSample:
    """Return a sample from a store.

    Raises:
        ValueError: if the store does not hold it, with the likely reason.
    """
    found = store.load([index])
    if found is None:
        raise InputError(
            f"the run's adversarial images must be in its store, but {store.folder} holds no "
            f"readable one of sample {index}: {_reason(store)}. Run the command of "
            f"{layout.FACTS} again."
        )
    return found[0]


def _reason(store: Store) -> str:
    """Return why a store lacks images: it is gone, or its key has changed, and what changed it."""
    nearest, changed = "", list(store.description)
    for manifest in sorted(store.root.glob(f"*/{layout.MANIFEST}")):
        try:
            _, then = read_manifest(manifest.parent)
        except StoreError:
            continue
        others = [name for name, value in store.description.items() if then.get(name) != value]
        if 0 < len(others) < len(changed):
            nearest, changed = manifest.parent.name, others
    if not nearest:
        return "it was emptied or moved"
    return f"{nearest} is of another {' and another '.join(changed)}"
