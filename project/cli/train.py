"""The command line of train.py."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.trainer.states import TrainerFn, TrainerStatus
from lightning.pytorch.utilities.exceptions import SIGTERMException

from project.cli.base import MirageCLI
from project.cli.defaults import completed_training
from project.training import Training
from project.training.finished import mark_finished, recipe_of


def train_main(args: list[str] | None = None) -> Trainer:
    """Train, validate or test a victim or a saliency network.

    Args:
        args: command line, for example ``["fit", "--config", "configs/train/shapes_unet.yaml"]``;
            None is ``sys.argv``. Where it names nothing to train, it is the embedded shapes.

    Returns:
        The trainer after the run, for its metrics and checkpoints.

    Raises:
        SystemExit: with status 143 if SIGTERM has ended the run.
    """
    args = completed_training(sys.argv[1:] if args is None else args)
    try:
        cli = MirageCLI(
            Training,
            trainer_defaults={
                "logger": {"class_path": "CSVLogger", "init_args": {"save_dir": "runs/train"}}
            },
            subclass_mode_model=True,
            args=args,
        )
    except SIGTERMException:  # its own status is 0, as if all were done
        sys.exit(128 + signal.SIGTERM)
    _mark_finished(cli.trainer, args)
    return cli.trainer


def _mark_finished(trainer: Trainer, arguments: list[str]) -> None:
    """Say in the checkpoints of a training that has ended that it has."""
    ended = trainer.state.status == TrainerStatus.FINISHED and trainer.state.fn == TrainerFn.FITTING
    if not (ended and trainer.is_global_zero):
        return
    recipe = recipe_of(arguments)
    for callback in trainer.checkpoint_callbacks:
        if isinstance(callback, ModelCheckpoint):
            kept = {callback.best_model_path, callback.last_model_path, *callback.best_k_models}
            for path in sorted(kept):
                if Path(path).is_file():
                    mark_finished(Path(path), Path(path), recipe)
