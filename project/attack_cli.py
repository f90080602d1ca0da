"""The command line of attack experiments."""

from __future__ import annotations

import sys
from pathlib import Path

import lightning as L
from lightning.pytorch.cli import LightningArgumentParser, SaveConfigCallback

import project.attacks  # classes are known by their short name once they are imported
import project.saliency
import project.tracking  # noqa: F401
from project.callbacks import AttackCallback, PassProgressBar, RunFolder
from project.cli import MirageCLI, train_main
from project.data import AttackDataModule
from project.evaluation import TransferEvaluation

_CONFIGS = Path(__file__).parents[1] / "configs"
_EMBEDDED = {
    "classification": (
        "data/shapes_classification",
        "victims/shapes_classifiers",
        "attacks/shapes_classification",
    ),
    "segmentation": (
        "data/shapes_segmentation",
        "victims/shapes_segmenters",
        "attacks/segmentation",
    ),
}


class SaveRunConfig(SaveConfigCallback):
    """Save the whole config beside the results, and hand it to the loggers."""

    def save_config(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Write ``config.yaml`` into the run's folder."""
        folders = [
            Path(found.folder)
            for found in trainer.callbacks  # type: ignore[attr-defined]
            if isinstance(found, RunFolder)
        ]
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
            path = str(folder / "config.yaml")
            self.parser.save(self.config, path, skip_check=True, overwrite=True, multifile=False)
        for logger in trainer.loggers:
            logger.log_hyperparams(self.config.as_dict())


class AttackCLI(MirageCLI):
    """Data × victims × attacks × sources, from composable YAML.

    Beside the trainer, the model and the data there are ``attack`` (the attacks, the sources, the
    store), ``run`` (where the results go) and ``train_missing``.
    """

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add what an experiment has beside trainer, model and data."""
        parser.add_lightning_class_args(AttackCallback, "attack")
        parser.add_lightning_class_args(RunFolder, "run")
        parser.add_argument(
            "--train_missing",
            type=dict[str, str],
            default={},
            help="checkpoint file: training config that makes it where it is missing",
        )

    def before_instantiate_classes(self) -> None:
        """Train the victims whose checkpoints are to be made on first use."""
        if self.config.trainer.enable_progress_bar is not False:
            self.trainer_defaults["callbacks"] = [PassProgressBar()]
        for checkpoint, config in self.config.train_missing.items():
            if not Path(checkpoint).is_file():
                print(f"training {checkpoint} (once, by {config})")
                train_main(["fit", "--config", config])


def attack_main(args: list[str] | None = None) -> None:
    """Run an experiment; without any ``--config`` the embedded ones.

    Args:
        args: command line; None is ``sys.argv``.
    """
    args = sys.argv[1:] if args is None else args
    if any(argument.split("=")[0] in ("--config", "-c") for argument in args):
        _run(args)
        return
    for task, configs in _EMBEDDED.items():
        _run(
            [
                *(f"--config={_CONFIGS / name}.yaml" for name in configs),
                f"--run.folder=runs/shapes_{task}",
                f"--run.title=Embedded shapes, {task}",
                "--data.limit=24",
                *args,
            ]
        )


def _run(args: list[str]) -> None:
    cli = AttackCLI(
        TransferEvaluation,
        datamodule_class=AttackDataModule,
        save_config_callback=SaveRunConfig,
        save_config_kwargs={"save_to_log_dir": False},
        trainer_defaults={
            "logger": {"class_path": "project.tracking.MirageWandbLogger"},
            "enable_checkpointing": False,
            "enable_model_summary": False,
        },
        args=args,
        run=False,
    )
    cli.trainer.test(cli.model, datamodule=cli.datamodule, verbose=False)
