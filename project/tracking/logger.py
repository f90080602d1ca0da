"""The W&B logger of attack.py and train.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import wandb
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities import rank_zero_only, rank_zero_warn

from project.tracking.login import Mode, resolved
from project.tracking.never_fatal import never_fatal

_TO_START, _TO_FINISH = 20, 300  # seconds
_INSTEAD = {"online": "offline", "offline": "disabled"}


class MirageWandbLogger(WandbLogger):
    """W&B logger that never waits long for a network, and never ends a run.

    Only the first process has an experiment.

    Args:
        project: W&B project.
        name: the run's name; None lets W&B choose one.
        save_dir: folder for W&B's local files.
        mode: ``auto`` is the environment's WANDB_MODE, else online if there is an API key
            (WANDB_API_KEY, or ``wandb login`` was run), else offline; and if that fails, as with
            a key that is refused, it falls back from online to offline, from there to disabled.
            ``wandb sync`` uploads an offline run later. ``disabled`` writes nothing.
    """

    def __init__(
        self,
        project: str = "mirage",
        name: str | None = None,
        save_dir: str = "runs",
        mode: Mode = "auto",
    ) -> None:
        self.project = project
        self.mode = mode
        super().__init__(
            name=name,
            save_dir=save_dir,
            project=project,
            mode=resolved(mode),
            resume=None,
            settings=wandb.Settings(
                quiet=True,  # the outcome is printed, and in the report
                init_timeout=_TO_START,
                finish_timeout=_TO_FINISH,  # what is not uploaded by then, `wandb sync` uploads
            ),
        )
        # W&B warns of this argument, which Lightning always passes, whatever its value.
        self._wandb_init.pop("anonymous", None)

    @property
    def experiment(self) -> Any:
        """W&B's run; on every process but the first, a dummy that does nothing."""
        while True:
            try:
                return super().experiment
            except (wandb.Error, OSError) as error:
                self._ask_for_less(error)

    @rank_zero_only
    @never_fatal()
    def log_hyperparams(self, params: Any) -> None:
        """Log the config."""
        super().log_hyperparams(params)

    @rank_zero_only
    @never_fatal()
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log the metrics of a step."""
        super().log_metrics(metrics, step)

    @rank_zero_only
    @never_fatal()
    def finalize(self, status: str) -> None:
        """Finish the run, so that its files are complete and the next run is not logged into it."""
        super().finalize(status)
        if self._experiment is not None:
            self._experiment.finish(exit_code=0 if status == "success" else 1)
            self._experiment = None  # a later use opens a new run

    def _ask_for_less(self, error: Exception) -> None:
        """Fall back from online to offline, and from there to disabled, if the mode is ``auto``."""
        refused = self._wandb_init["mode"]
        if self.mode != "auto" or refused not in _INSTEAD:
            raise error
        self._wandb_init["mode"] = _INSTEAD[refused]
        rank_zero_warn(
            f"Weights & Biases cannot be used {refused} ({type(error).__name__}: {error}); "
            f"this run is tracked {_INSTEAD[refused]}.",
            category=UserWarning,
        )
