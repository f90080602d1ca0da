"""The command line of attack experiments."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.cli import LightningArgumentParser, SaveConfigCallback

import project.attacks  # classes are known by their short name once they are imported
import project.saliency
import project.tracking  # noqa: F401
from project.callbacks import AttackCallback, CostEstimate, EndingAtOnce, RunFolder, pass_progress
from project.callbacks.common import callbacks_of
from project.cli.base import MirageCLI
from project.cli.defaults import completed
from project.cli.first_use import train_together
from project.core.portable import portable_tree
from project.data import AttackDataModule
from project.evaluation import TransferEvaluation
from project.storage import layout
from project.storage.files import replace_file


class SaveRunConfig(SaveConfigCallback):
    """Save the whole config beside the results, and hand it to the loggers."""

    def save_config(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Hand the config to the loggers."""
        for logger in trainer.loggers:
            logger.log_hyperparams(portable_tree(self.config.as_dict()))

    def on_test_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write ``config.yaml`` into the run's folder.

        Not before: by now the experiment is checked, and the results of an earlier run are cleared.
        """
        # Paths as given, unlike in what people share: from this file the run is made again.
        content = self.parser.dump(self.config, skip_check=True).encode()
        for run in callbacks_of(trainer, RunFolder):
            if trainer.is_global_zero:
                replace_file(Path(run.folder) / layout.CONFIG, content)


class AttackCLI(MirageCLI):
    """Data × victims × attacks × sources, from composable YAML.

    Beside the trainer, the model and the data there are ``attack`` (the attacks, the sources, the
    store), ``estimate`` (what it will cost), ``run`` (where the results go) and ``train_missing``.
    """

    command = "attack"

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add what an experiment has beside trainer, model and data."""
        super().add_arguments_to_parser(parser)
        parser.add_lightning_class_args(AttackCallback, "attack")
        parser.add_lightning_class_args(CostEstimate, "estimate")  # before the folder is cleared
        parser.add_lightning_class_args(RunFolder, "run")
        parser.add_argument(
            "--train_missing",
            type=list[dict[str, str]],
            default=[],
            help="checkpoint: training config that makes it where it is missing or unfinished; the "
            "entries of one dictionary are trained at the same time, the dictionaries one after "
            "another",
        )

    def before_instantiate_classes(self) -> None:
        """Train the victims that are to be made on first use and are not there, or not finished."""
        for stage in self.config.train_missing:
            train_together(stage)

    def instantiate_trainer(self, **kwargs: Any) -> L.Trainer:
        """Put the progress before what attacks, and after what may have attacked all beforehand."""
        chosen = self.config_init.trainer
        if chosen.enable_progress_bar is not False:
            kwargs["callbacks"] = [*(chosen.callbacks or []), pass_progress()]
        if self.config.estimate.only:  # leaves images in the store, and no other trace
            self.save_config_callback = None
            kwargs["logger"] = False
        return super().instantiate_trainer(**kwargs)


def attack_main(args: list[str] | None = None) -> None:
    """Run an experiment, whose parts that are not named are embedded ones.

    Args:
        args: command line; None is ``sys.argv``.
    """
    for one in completed(sys.argv[1:] if args is None else args):
        run_experiment(one)


def run_experiment(args: list[str]) -> None:
    """Run the experiment of a command line."""
    cli = experiment(args)
    cli.trainer.test(cli.model, datamodule=cli.datamodule, verbose=False)


def experiment(args: list[str], kind: type[AttackCLI] = AttackCLI) -> AttackCLI:
    """Return the experiment of a command line, with its classes built as the kind builds them."""
    return kind(
        TransferEvaluation,
        datamodule_class=AttackDataModule,
        save_config_callback=SaveRunConfig,
        save_config_kwargs={"save_to_log_dir": False},
        trainer_defaults={
            "logger": {"class_path": "project.tracking.MirageWandbLogger"},
            "enable_checkpointing": False,
            "enable_model_summary": False,
            "callbacks": [EndingAtOnce()],
        },
        args=args,
        run=False,
    )
