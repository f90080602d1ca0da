"""The command line of train.py."""

from __future__ import annotations

import signal
import sys

from lightning.pytorch import Trainer
from lightning.pytorch.utilities.exceptions import SIGTERMException

from project.cli.base import MirageCLI
from project.training import Training


def train_main(args: list[str] | None = None) -> Trainer:
    """Train, validate or test a victim or a saliency network.

    Args:
        args: command line, for example ``["fit", "--config", "configs/train/shapes_unet.yaml"]``;
            None is ``sys.argv``.

    Returns:
        The trainer after the run, for its metrics and checkpoints.

    Raises:
        SystemExit: with status 143 if SIGTERM has ended the run.
    """
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
    return cli.trainer
