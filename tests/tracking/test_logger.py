import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import wandb
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.utilities import rank_zero_only

from project.tracking import MirageWandbLogger, track_run
from project.tracking.experiments import experiments
from tests.tracking.offline import read


@pytest.fixture
def no_server(monkeypatch):
    """A W&B whose server refuses the key, and whose disk may be full; gives the modes asked for."""
    asked, init, full = [], wandb.init, set()

    def refuse(**arguments):
        asked.append(arguments["mode"])
        if arguments["mode"] == "online":
            raise wandb.errors.AuthenticationError("invalid key")
        if arguments["mode"] in full:
            raise OSError(28, "No space left on device")
        return init(**arguments)

    monkeypatch.setattr(wandb, "init", refuse)
    monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
    return asked, full


def test_a_refused_key_leaves_the_run_offline_and_whole(no_server, tmp_path):
    logger = MirageWandbLogger(save_dir=str(tmp_path / "save"))
    with pytest.warns(UserWarning, match="cannot be used online .*invalid key.*tracked offline"):
        logger.log_metrics({"x": 1.0})
    logger.finalize("success")
    assert no_server[0] == ["online", "offline"]
    assert read(tmp_path / "save").history["x"] == 1.0


def test_a_disk_without_room_leaves_the_run_untracked(no_server, tmp_path):
    no_server[1].add("offline")
    logger = MirageWandbLogger(save_dir=str(tmp_path / "save"))
    with pytest.warns(UserWarning, match="this run is tracked") as told:
        logger.log_metrics({"x": 1.0})
    followed = [str(one.message).rsplit(" ", 1)[1] for one in told]
    assert followed == ["offline.", "disabled."]
    assert experiments([logger]) == []
    logger.finalize("success")


def test_a_mode_that_was_asked_for_by_name_is_not_replaced(no_server, tmp_path):
    logger = MirageWandbLogger(save_dir=str(tmp_path / "save"), mode="online")
    with pytest.raises(wandb.errors.AuthenticationError):
        _ = logger.experiment
    assert no_server[0] == ["online"]


def test_the_documented_command_lists_a_run_that_was_not_uploaded(tmp_path, monkeypatch):
    docs = (Path(__file__).parents[2] / "docs/tracking.md").read_text()
    [command] = [line for line in docs.splitlines() if line.startswith("wandb sync --dry-run")]
    logger = MirageWandbLogger(save_dir=str(tmp_path / "runs"))
    logger.log_metrics({"x": 1.0})
    logger.finalize("success")
    assert read(tmp_path / "runs").exits == [0]  # waits until the file is whole
    monkeypatch.delenv("WANDB_SILENT")
    listing = [sys.executable, "-m", *shlex.split(command, comments=True)]
    told = subprocess.run(listing, check=True, capture_output=True, text=True, cwd=tmp_path)
    assert "Would sync 1 run" in told.stdout + told.stderr


def test_other_processes_than_the_first_write_nothing(monkeypatch, run, tmp_path):
    monkeypatch.setattr(rank_zero_only, "rank", 1)
    before = set(tmp_path.rglob("*"))
    logger = MirageWandbLogger(save_dir=str(tmp_path / "save"))
    logger.log_hyperparams({"a": 1})
    logger.log_metrics({"x": 1.0})
    track_run([logger], run)
    logger.finalize("success")
    assert set(tmp_path.rglob("*")) == before
    assert wandb.run is None


def test_a_disabled_logger_writes_nothing(run, tmp_path):
    logger = MirageWandbLogger(save_dir=str(tmp_path / "save"), mode="disabled")
    logger.log_metrics({"pgd/a/b/asr": 0.25})
    track_run([logger], run)
    logger.finalize("success")
    written = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert written == set(run.iterdir())


def test_other_loggers_are_passed_over(tmp_path):
    track_run([CSVLogger(tmp_path)], tmp_path / "no run at all")
    assert wandb.run is None


def test_the_next_logger_starts_a_run_of_its_own(tmp_path):
    names = []
    for title in ("first", "second"):
        logger = MirageWandbLogger(name=title, save_dir=str(tmp_path / title))
        logger.log_metrics({"x": 1.0})
        names.append(logger.experiment.id)
        logger.finalize("failed")
        assert read(tmp_path / title).exits == [1]
    assert names[0] != names[1]
