"""Tracking with Weights & Biases: online only for who is logged in, else into local files.

What is tracked is read from the run's folder, so the dashboard shows what the report shows.
"""

from __future__ import annotations

import netrc
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import wandb
from lightning.pytorch.loggers import Logger, WandbLogger
from lightning.pytorch.utilities import rank_zero_only

from project.records import Measure
from project.report.gallery import Sample
from project.report.masking import Finding, flagged_sentences, read_findings
from project.report.pictures import strip
from project.report.run import Run

Mode = Literal["auto", "online", "offline", "disabled"]
MOST_PICTURES = 32  # per attack; a dashboard shows a handful at a time
_FILES = (
    *("rows.parquet", "metrics.csv", "run.json", "report.html"),
    *("traces.parquet", "comparison.csv", "comparison.md", "pareto.svg"),
    *("transfer.csv", "transfer.md", "transfer.svg", "transfer.png"),
    *("masking.csv", "masking.md"),
)


class MirageWandbLogger(WandbLogger):
    """W&B logger that never waits for a network or a log-in that is not there.

    Args:
        project: W&B project.
        name: of the run; None lets W&B choose one.
        save_dir: folder for W&B's local files.
        mode: ``auto`` is what the environment's WANDB_MODE says, else online if an API key is at
            hand (WANDB_API_KEY, or ``wandb login`` was run), else offline; ``wandb sync`` uploads
            an offline run later. ``disabled`` writes nothing.
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
            settings=wandb.Settings(quiet=True),  # the outcome is printed, and in the report
        )
        # W&B warns of this argument, which Lightning always passes, whatever its value.
        self._wandb_init.pop("anonymous", None)

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Close the run, so that its files are whole and the next run does not end up in it."""
        super().finalize(status)
        if self._experiment is not None:
            self._experiment.finish(exit_code=0 if status == "success" else 1)
            self._experiment = None


def resolved(mode: Mode) -> str:
    """Return W&B's own mode: ``auto`` becomes what the environment or the log-in says."""
    if mode != "auto":
        return mode
    return os.environ.get("WANDB_MODE") or ("online" if logged_in() else "offline")


def logged_in() -> bool:
    """Return whether W&B credentials are on this machine; asks no network."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    host = urlsplit(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).netloc
    files = [os.environ.get("NETRC"), "~/.netrc", "~/_netrc"]
    for path in [Path(name).expanduser() for name in files if name]:
        try:
            return netrc.netrc(str(path)).authenticators(host) is not None
        except FileNotFoundError:
            continue
        except (netrc.NetrcParseError, OSError):
            return False
    return False


def track_run(loggers: Iterable[Logger], run: Path) -> None:
    """Log a finished run's folder: config, transfer matrix, measures, gallery, checks and files.

    Args:
        loggers: of the trainer; those that are not W&B's are passed over.
        run: the folder, see :mod:`project.report`.
    """
    found = experiments(loggers)
    if not found:
        return
    finished, checks = Run.read(run), read_findings(run)
    tables = {"transfer": transfer_table(finished), "measures": measures_table(finished)}
    if checks:
        tables["masking"] = findings_table(checks)
    for experiment in found:
        experiment.config.update({"run": _facts(finished)}, allow_val_change=True)
        experiment.log(tables | heat_maps(run) | dict(pictures(finished)))
        log_files(experiment, "evaluation", run, _FILES)
        warn(experiment, flagged_sentences(run))


def experiments(loggers: Iterable[Logger]) -> list[Any]:
    """Return the W&B runs among a trainer's loggers, without disabled ones."""
    found: list[Any] = [x.experiment for x in loggers if isinstance(x, WandbLogger)]
    return [experiment for experiment in found if not experiment.disabled]


def log_files(experiment: Any, kind: str, folder: Path, names: Iterable[str]) -> None:
    """Log those of some files of a folder that there are, as one artifact."""
    artifact = wandb.Artifact(f"run-{experiment.id}", type=kind)
    for name in names:
        if (folder / name).is_file():
            artifact.add_file(str(folder / name), name)
    experiment.log_artifact(artifact)


def warn(experiment: Any, flagged: list[str]) -> None:
    """Put the number of flagged checks into the summary; online, tell whoever watches the run."""
    experiment.summary["masking/flagged"] = len(flagged)
    if flagged and not experiment.offline:
        experiment.alert("Gradients may be masked", "\n".join(flagged), level="WARN")


def transfer_table(run: Run) -> wandb.Table:
    """Return the transfer matrices: a row per attack and source, a column per victim.

    ASR for classification, mIoU for segmentation, in [0, 1]; the first row is the victims' clean
    accuracy or mIoU.
    """
    segmentation = run.task == "segmentation"
    metric, clean = ("miou", "clean_miou") if segmentation else ("asr", "clean_accuracy")
    rows = [
        [attack, source, *(_value(run.measure(metric, attack, source, v)) for v in run.victims)]
        for attack in run.attacks
        for source in run.sources(attack)
    ]
    before = [clean, "", *(_value(run.clean(clean, victim)) for victim in run.victims)]
    return wandb.Table(columns=["attack", "source", *run.victims], data=[before, *rows])


def measures_table(run: Run) -> wandb.Table:
    """Return metrics.csv as a table."""
    return wandb.Table(columns=list(Measure._fields), data=[list(m) for m in run.measures])


def findings_table(checks: list[Finding]) -> wandb.Table:
    """Return masking.csv as a table."""
    return wandb.Table(columns=list(Finding._fields), data=[list(one) for one in checks])


def heat_maps(folder: Path) -> dict[str, wandb.Image]:
    """Return the picture of the transfer matrices, where the report has drawn one."""
    path = folder / "transfer.png"
    return {"transfer_heat_map": wandb.Image(str(path))} if path.is_file() else {}


def pictures(run: Run) -> Iterator[tuple[str, list[wandb.Image]]]:
    """Yield each attack's gallery, a strip of pictures per sample, under ``gallery/ATTACK``."""
    for attack in run.attacks:
        found = [sample for sample in run.gallery if sample.attack == attack][:MOST_PICTURES]
        if found:
            yield f"gallery/{attack}", [_strip(sample) for sample in found]


def _facts(run: Run) -> dict[str, Any]:
    """Return run.json without the config's text, whose values the trainer logs."""
    return {name: value for name, value in run.facts.items() if name != "config"}


def _value(measure: Measure | None) -> float | None:
    return None if measure is None else measure.value


def _strip(sample: Sample) -> wandb.Image:
    shown = [(picture.label, picture.image) for picture in sample.pictures()]
    return wandb.Image(strip(shown), caption=f"{sample.source}, image {sample.index}")
