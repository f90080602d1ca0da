"""Training victims on first use: one is there once its training has ended, under its own recipe.

python -m project.cli.first_use CHECKPOINT CONFIG

trains in a hidden folder beside the checkpoint, which gets its name, and the mark of its recipe,
when all is done. A training that was killed starts anew. Of several processes that need the same
checkpoint one trains, and the others wait; the system frees the lock of a process that has died.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from project.cli.base import MirageCLI
from project.core.errors import InputError, plain_errors
from project.storage.lock import alone
from project.storage.rows import remove_path
from project.training import Training
from project.training.finished import mark_finished, recipe_of, why_unfinished

_ROOT = Path(__file__).parents[2]
_QUIET = "--trainer.enable_progress_bar=false"
# What launchers tell their processes; a training is one of its own.
_LAUNCHERS = ("SLURM_", "TORCHELASTIC_", "PMI_", "OMPI_", "MASTER_")
_RANK = ("RANK", "LOCAL_RANK", "GROUP_RANK", "NODE_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE")


def train_together(configs: Mapping[str, str]) -> None:
    """Train victims at the same time, each in a process of its own on its share of the cores.

    Args:
        configs: training configs by the checkpoint that they make. What is there and finished is
            left alone.

    Raises:
        InputError: if a training fails, with the end of what it said.
    """
    missing = {}
    for made, config in configs.items():
        reason = why_unfinished(Path(made), _recipe(config))
        if reason:
            print(f"training {made} (once, by {config}: {reason}) …", flush=True)
            missing[made] = config
    threads = str(max(1, (os.cpu_count() or 1) // max(1, len(missing))))
    running = {made: _started(made, config, threads) for made, config in missing.items()}
    for checkpoint, process in running.items():
        said, _ = process.communicate()
        if process.returncode:
            raise InputError(f"training {checkpoint} failed:\n{said[-2000:]}")


def make(checkpoint: Path, config: str) -> None:
    """Train a checkpoint, unless it is there by now.

    What is in its place, of an older version or another recipe, is kept as ``NAME.replaced.ckpt``.

    Raises:
        InputError: if the config's training writes another file.
    """
    with alone(checkpoint.with_name(f".{checkpoint.name}.lock"), None):  # the other may make it
        recipe = _recipe(config)
        if not why_unfinished(checkpoint, recipe):
            return
        _remove_abandoned(checkpoint)
        with tempfile.TemporaryDirectory(
            prefix=f".{checkpoint.stem}.", suffix=".part", dir=checkpoint.parent
        ) as scratch:
            trained_into(Path(scratch), checkpoint, config)
            made = Path(scratch) / checkpoint.name
            if not made.is_file():
                raise InputError(
                    f"{config} must make {checkpoint}, but its training wrote no such file. Give "
                    "its ModelCheckpoint that dirpath and filename, or correct train_missing."
                )
            if checkpoint.is_file():
                os.replace(checkpoint, checkpoint.with_suffix(f".replaced{checkpoint.suffix}"))
            mark_finished(made, checkpoint, recipe)


def trained_into(folder: Path, checkpoint: Path, config: str) -> None:
    """Train by a config, with the checkpoint of that name in another folder."""

    class ElsewhereCLI(MirageCLI):
        """The command line of a training whose checkpoint goes elsewhere until it has ended."""

        def before_instantiate_classes(self) -> None:
            """Put the checkpoint into the folder."""
            for callback in self.config.fit.trainer.callbacks or []:
                settings: Any = callback.get("init_args")
                if settings is not None and settings.get("filename") == checkpoint.stem:
                    settings.dirpath = str(folder)

    defaults = {"logger": {"class_path": "CSVLogger", "init_args": {"save_dir": "runs/train"}}}
    arguments = ["fit", "--config", config, _QUIET]
    ElsewhereCLI(Training, trainer_defaults=defaults, subclass_mode_model=True, args=arguments)


def _recipe(config: str) -> str:
    return recipe_of(["fit", "--config", config, _QUIET])


def _started(checkpoint: str, config: str, threads: str) -> subprocess.Popen[str]:
    own = {
        name: value
        for name, value in os.environ.items()
        if name not in _RANK and not name.startswith(_LAUNCHERS)
    }
    path = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")]))
    return subprocess.Popen(
        [sys.executable, "-m", "project.cli.first_use", checkpoint, config],
        env=own | {"OMP_NUM_THREADS": threads, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _remove_abandoned(checkpoint: Path) -> None:
    """Remove the folders of trainings that were killed; the lock says that none is alive."""
    for folder in checkpoint.parent.glob(f".{checkpoint.stem}.*.part"):
        remove_path(folder)


def main(arguments: list[str] | None = None) -> None:
    """Make the checkpoint that a command line names."""
    checkpoint, config = sys.argv[1:] if arguments is None else arguments
    with plain_errors():
        make(Path(checkpoint), config)


if __name__ == "__main__":
    main()
