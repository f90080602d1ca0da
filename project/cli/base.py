"""The command line: LightningCLI with budgets as fractions and short class names.

``8/255`` is a number in YAML and on the command line; quoted in YAML (``"8/255"``) it stays text.
"""

from __future__ import annotations

import re
import warnings
from argparse import ArgumentError
from datetime import timedelta
from typing import Any, ClassVar, NoReturn

import yaml
from jsonargparse import Namespace, set_parsing_settings
from jsonargparse._loaders_dumpers import get_yaml_default_loader
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback
from lightning.pytorch.plugins import TorchCheckpointIO
from lightning.pytorch.strategies import DDPStrategy
from torch.distributed.constants import default_pg_timeout

from project.callbacks import LostRanks
from project.callbacks.common import callbacks_of
from project.cli.near_names import told
from project.cli.trust import no_programs, require_buildable, restrict
from project.core.errors import InputError
from project.core.portable import at_home
from project.core.yaml_files import harden, not_utf8
from project.training.checkpoint_files import CheckpointFiles

# Of no use to a user: Lightning 2.6 calls what torch 2.14 renames.
warnings.filterwarnings("ignore", message=".*LeafSpec.*", category=FutureWarning)
# What is logged has been summed over processes already.
warnings.filterwarnings("ignore", message=".*recommended to use `self.log.*sync_dist=True.*")

_FRACTION = re.compile(r"^[-+]?\d+(?:\.\d+)?/\d+(?:\.\d+)?$")


def extend_yaml() -> None:
    """Teach jsonargparse's YAML that ``8/255`` is a number, and to refuse what no config needs.

    Its public ``set_loader`` reaches configs but not single values of the command line, so the
    loader class that serves both is extended. PyYAML itself stays as it is.
    """
    loader: Any = get_yaml_default_loader()  # type: ignore[no-untyped-call]
    loader.add_implicit_resolver("!fraction", _FRACTION, list("-+0123456789"))
    loader.add_constructor("!fraction", _fraction)
    harden(loader)


def _fraction(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> float:
    numerator, denominator = loader.construct_scalar(node).split("/")
    if float(denominator) == 0:
        raise yaml.YAMLError(f"a fraction needs a denominator that is not 0, got {node.value}.")
    return float(numerator) / float(denominator)


extend_yaml()
set_parsing_settings(docstring_parse_attribute_docstrings=True)  # --help tells fields as well


class PlainParser(LightningArgumentParser):
    """A parser that tells what is wrong on one line, with what is near to it."""

    _reading: str = ""  # the config that was read last

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """End with status 2 and one line, or raise it where errors are not to end the process."""
        if getattr(self, "_inner_parser", False):  # of a class inside; the outermost tells it all
            super().error(message, ex)
        cause: BaseException | None = ex
        while cause is not None and not isinstance(cause, InputError):
            cause = cause.__cause__
        parser = getattr(ex, "subcommand_parser", None) or self
        one = told(message, parser) if cause is None else str(cause)
        if self._reading and message.startswith("Problems parsing config: "):
            one = re.sub(r'in "<[^>]*>", ', "in ", one.removeprefix("Problems parsing config: "))
            one = f"{self._reading} must be YAML, indented by blanks: {one}."
        if not self.exit_on_error:
            raise ArgumentError(None, one) from ex
        self.exit(2, f"error: {one}\n")

    def parse_path(self, path: Any, *args: Any, **kwargs: Any) -> Namespace:
        """Parse a config, which messages about its contents name."""
        self._reading = str(path)
        try:
            parsed: Namespace = super().parse_path(path, *args, **kwargs)
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
        except UnicodeDecodeError as error:
            raise InputError(not_utf8(path, error)) from error
        return parsed


class MirageCLI(LightningCLI):
    """LightningCLI as both scripts use it.

    Fractions are numbers; a second run into the same folder overwrites the saved config; batches
    are dealt to ranks by the datamodule, so Lightning's own distributed sampler stays off;
    checkpoints are :class:`CheckpointFiles` where the user has not named another plugin for them.

    Args:
        model_class: the LightningModule, or a base class with ``subclass_mode_model``.
        datamodule_class: the datamodule's base class; the config names the subclass.
        trainer_defaults: on top of the defaults here.
        subclass_mode_model: the config names a subclass of ``model_class``.
        save_config_callback: what saves the config of a run.
        save_config_kwargs: its arguments, on top of those here.
        args: command line, None is ``sys.argv``.
        run: with subcommands (fit, validate, test); without, classes are built and nothing runs.
    """

    command: ClassVar[str] = "train"
    """The name of the command, for its help."""

    def __init__(
        self,
        model_class: type[LightningModule],
        *,
        datamodule_class: type[LightningDataModule] = LightningDataModule,
        trainer_defaults: dict[str, Any] | None = None,
        subclass_mode_model: bool = False,
        save_config_callback: type[SaveConfigCallback] = SaveConfigCallback,
        save_config_kwargs: dict[str, Any] | None = None,
        args: list[str] | None = None,
        run: bool = True,
    ) -> None:
        restrict()
        super().__init__(
            model_class,
            datamodule_class,
            parser_class=PlainParser,
            save_config_callback=save_config_callback,
            save_config_kwargs={"overwrite": True, **(save_config_kwargs or {})},
            trainer_defaults={"use_distributed_sampler": False, **(trainer_defaults or {})},
            seed_everything_default=0,
            subclass_mode_model=subclass_mode_model,
            subclass_mode_data=True,
            args=args,
            run=run,
            auto_configure_optimizers=False,
        )

    def init_parser(self, **kwargs: Any) -> LightningArgumentParser:
        """Make a parser whose errors do not drown in the list of all options."""
        usage = "%(prog)s --config FILE [--config FILE ...] [--KEY VALUE ...]"
        return super().init_parser(**{"prog": f"mirage {self.command}", "usage": usage, **kwargs})

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add ``ranks``: how long processes wait for each other."""
        parser.add_lightning_class_args(LostRanks, "ranks")

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse the given arguments, or ``sys.argv`` where there are none.

        Raises:
            InputError: if they would build what no config may, before anything is built.
        """
        with no_programs():
            self.config = parser.parse_args(args)
        require_buildable(self.config)
        for name, value in list(self.config.items()):
            self.config[name] = at_home(value)

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Have checkpoints written whole, and ranks wait, unless the user has ways of their own."""
        trainer = super().instantiate_trainer(**kwargs)
        # Not among the defaults: there, a user's plugin of any kind would take its place.
        if type(trainer.strategy.checkpoint_io) is TorchCheckpointIO:
            trainer.strategy.checkpoint_io = CheckpointFiles()
        strategy = trainer.strategy
        if isinstance(strategy, DDPStrategy) and strategy._timeout == default_pg_timeout:
            (ranks,) = callbacks_of(trainer, LostRanks)
            strategy._timeout = timedelta(seconds=ranks.wait)  # Lightning's half hour ends waiting
        return trainer

    def _parse_ckpt_path(self) -> None:
        """Leave the file to the trainer: what is trained is in the config alone."""

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """Offer fit, validate and test."""
        return {
            name: skipped
            for name, skipped in LightningCLI.subcommands().items()
            if name != "predict"
        }
