"""What is killed: small experiments, trainings, studies and grids on embedded data.

Each works in the current folder, and the same call again goes on from what it finds there.
"""

from __future__ import annotations

import os
import secrets
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random

import torch
import yaml
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor

from project.attacks import FGSM, PGD, SSTA, SegPGD
from project.callbacks import (
    AdversarialBatches,
    FreeAdversarialBatches,
    StepRandomness,
    TrainingFolder,
)
from project.cli.first_use import make
from project.grid import grid_main
from project.saliency import Saliency
from project.study.__main__ import analyse, export
from project.study.create import open_or_make
from project.study.database import Database
from project.study.judging import Judging
from project.study.raters import consent, find, invite, invited
from project.study.stimulus_kind import Panel
from project.training import ClassifierTraining
from project.training.checkpoint_files import CheckpointFiles
from project.victims import ClassificationVictim
from project.victims.acceleration import Acceleration
from tests.cli.test_first_use import TINY
from tests.experiment.scene import run, shapes, victims
from tests.experiment.test_processes import config
from tests.study.studies import form_for, make_run
from tests.training.resumed import data, training

_RATERS = 2
_NO_COPIES = Acceleration(fold=False, channels_last=False)
"""A run's facts tell of the copies that it made, and it makes none where nothing is lacking."""


@dataclass(frozen=True)
class Maker:
    """Something that makes files.

    Attributes:
        name: of its kind.
        work: makes them in the current folder, or goes on.
        ranks: processes that work together.
        prepare: what was there before it, made once for each folder.
        promised: after a kill, complains of what was promised and is not there.
    """

    name: str
    work: Callable[[], None]
    ranks: int = 1
    prepare: Callable[[], object] = lambda: None
    promised: Callable[[], list[str]] = list


class Bright(Saliency):
    """Each pixel's brightness, kept in files as a network's maps are."""

    kept = True

    def __call__(self, images: Tensor) -> Tensor:
        """Return the brightness."""
        return images.mean(1, keepdim=True)


def experiment(task: str, ranks: int) -> None:
    """Attack two victims, and make the run's folder."""
    os.environ["MIRAGE_SALIENCY_CACHE"] = "maps"
    attacks = {"ssta": SSTA(steps=2, saliency=Bright()), "fgsm": FGSM(8 / 255)}
    if task == "segmentation":
        attacks = {"segpgd": SegPGD(8 / 255, steps=2), "fgsm": FGSM(8 / 255)}
    # Two ranks share what there is, so each has two batches and the last is short.
    content = shapes(task, num_test=7, batch_size=2)
    many = {"devices": ranks, "strategy": "ddp"} if ranks > 1 else {}
    run(
        Path(),
        data=content,
        victims=victims(task),
        attacks=attacks,
        acceleration=_NO_COPIES,
        **many,
    )


def fit(kind: str, ranks: int) -> None:
    """Train, from the last checkpoint if there is one."""
    attack = PGD(eps=1 / 255, step_size=1 / 255, steps=1)
    module = training(learning_rate=0.02)
    own: list[Callback] = [AdversarialBatches({"pgd": attack})]
    if kind == "plain":
        module, own = _plain(), []
    if kind == "free":
        own = [FreeAdversarialBatches({"pgd": attack}, eps=1 / 255, replays=2)]
    monitor = "val/accuracy" if kind == "plain" else "val/robust_accuracy"
    # Two epochs of four steps, so that the last one is kept whether or not the run was broken off:
    # Lightning keeps it at the end of a run that has kept no other.
    last = ModelCheckpoint(
        "last", every_n_train_steps=2, save_top_k=0, save_last=True, enable_version_counter=False
    )
    best = ModelCheckpoint(
        "best", "victim", monitor=monitor, mode="max", enable_version_counter=False
    )
    trainer = Trainer(
        max_epochs=2,
        accelerator="cpu",
        devices=ranks,
        strategy="ddp" if ranks > 1 else "auto",
        logger=False,
        log_every_n_steps=1,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        plugins=[CheckpointFiles()],
        callbacks=[*own, StepRandomness(), TrainingFolder("run", samples=2), last, best],
    )
    trainer.fit(module, data(num_train=17 * ranks, num_val=24), ckpt_path="last")


def _plain() -> ClassifierTraining:
    module = training()
    assert isinstance(module.victim, ClassificationVictim)
    return ClassifierTraining(module.victim, learning_rate=0.02)


def grid() -> None:
    """Run a grid of two experiments."""
    grid_main(["--grid", "grid.yaml"])


def grid_files() -> None:
    """Write a grid and the configs that it names."""
    for task in ("classification", "segmentation"):
        content = config(task)
        content["model"]["victims"].pop("tiny.r32_x", None)
        del content["attack"]["attacks"], content["model"]["features"]
        content["attack"] |= {"store": "store", "acceleration": vars(_NO_COPIES)}
        content["data"]["init_args"]["num_test"] = 5
        Path(f"{task}.yaml").write_text(yaml.safe_dump(content))
    pgd = {"class_path": "PGD", "init_args": {"steps": 1}, "budgets": ["4/255", "8/255"]}
    described = {
        "folder": "grid",
        "arguments": ["--trainer.logger=false"],
        "attacks": {
            "pgd": pgd | {"relative": {"step_size": "1/2"}},
            "segpgd": {"class_path": "SegPGD", "init_args": {"steps": 1, "eps": "8/255"}},
        },
        "data": {
            "classes": {"configs": ["classification.yaml"], "attacks": ["pgd"]},
            "pixels": {"configs": ["segmentation.yaml"], "attacks": ["segpgd"], "sources": ["b"]},
        },
    }
    Path("grid.yaml").write_text(yaml.safe_dump(described))


def study() -> None:
    """Make a study, have two raters go through it, and analyse it.

    Names and times are drawn by what is there already, so that they are those of an unbroken one.
    """
    draws = Random()
    secrets.token_urlsafe = lambda size=0: draws.randbytes(size).hex()
    secrets.token_hex = lambda size=0: draws.randbytes(size).hex()
    settings = {"images": 4, "pages": 4, "checks": 1}
    database = open_or_make(Path("run"), "study", settings)
    while (there := invited(database)) < _RATERS:
        draws.seed(there)
        invite(database, 1)
    for number in range(_RATERS):
        draws.seed(number)
        rater = find(database, draws.randbytes(16).hex())
        assert rater is not None
        draws.seed(100 + number)
        consent(database, rater.id)
        _judged(database, rater.id)
    export(Path("run"), "study", 0.5)
    analyse(Path("run"), "study", 0.5)


def _judged(database: Database, rater: str) -> None:
    judging = Judging(database, lambda: clock)
    with database.reading() as connection:
        query = "SELECT count(closed_at) FROM pages WHERE rater = ?"
        (clock,) = connection.execute(query, (rater,)).fetchone()
    clock = 1_000_000.0 + 10 * clock
    while page := judging.current(rater):
        clock += 4
        judging.answer(rater, page.key, form_for(database, page.key, _seen))
        clock += 6
        with Path(".promised").open("ab", buffering=0) as file:
            file.write(f"{page.key}\n".encode())


def _seen(panel: Panel) -> bool:
    """Return whether the raters, who pay attention, call a picture modified."""
    return panel.kind == "obvious" or panel.attack == "pgd"


def study_promises() -> list[str]:
    """Return the answers that were taken and are gone."""
    path = Path("run/study.sqlite")
    told = Path(".promised").read_text().split() if Path(".promised").is_file() else []
    if not told:
        return []
    with Database(path).reading() as connection:
        closed = connection.execute("SELECT key FROM pages WHERE closed_at IS NOT NULL")
        there = {key for (key,) in closed}
    return [f"the answer to page {key} is gone" for key in told if key not in there]


def first_use() -> None:
    """Train the victim that an experiment lacks."""
    make(Path("victims/tiny.ckpt"), "tiny.yaml")


def first_use_files() -> None:
    """Write the recipe."""
    Path("tiny.yaml").write_text(yaml.safe_dump(TINY))


def makers() -> dict[str, Maker]:
    """Return all makers by name."""
    found = [
        *(
            Maker(f"{task}-{ranks}", partial(experiment, task, ranks), ranks)
            for task in ("classification", "segmentation")
            for ranks in (1, 2)
        ),
        *(Maker(f"training-{kind}", partial(fit, kind, 1)) for kind in ("plain", "robust", "free")),
        *(Maker(f"training-{kind}-2", partial(fit, kind, 2), 2) for kind in ("robust", "free")),
        Maker("first-use", first_use, prepare=first_use_files),
        Maker("study", study, prepare=lambda: make_run(Path("run")), promised=study_promises),
        Maker("grid", grid, prepare=grid_files),
    ]
    return {one.name: one for one in found}


def prepare_process() -> None:
    """Have a process compute as all others do."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # Lightning's, of a folder that is there already
