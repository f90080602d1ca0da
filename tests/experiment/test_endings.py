"""Processes of an experiment end when they are told to, or when another of them is gone."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing import connection
from pathlib import Path

import pytest
import yaml

from project.cli.attack import attack_main
from tests.experiment.scene import BATCH, IMAGES, results, stored, visible
from tests.ports import free_port
from tests.processes import PATIENCE, ROOT, ranks, script, start, status

JOB = "4242"
_SCRIPT = """
import os, sys
from pathlib import Path
from project.cli.attack import attack_main
from project.core.errors import plain_errors
if __name__ == "__main__":
    Path("rank" + os.environ.get("LOCAL_RANK", "0")).write_text(str(os.getpid()))
    with plain_errors("The store is kept."):
        attack_main(sys.argv[1:])
"""
# Tasks that end with a status of their own when they are told to end.
_BUSY = "trap 'exit {status}' TERM; touch begun; while true; do sleep 0.1; done"
COMMAND = ["--config=config.yaml", "--attack.store=store", "--run.folder=run"]


def config() -> dict:
    victim = {"class_path": "tests.experiment.scene.FittedClassifier"}
    patient = {"class_path": "tests.experiment.doomed.Patient", "init_args": {"eps": 0.02}}
    shapes = {"task": "classification", "size": 32, "num_test": IMAGES, "batch_size": BATCH}
    return {
        "data": {"class_path": "ShapesData", "init_args": shapes},
        "model": {"victims": {"a": victim}, "metrics": ["ssim"]},
        "attack": {"attacks": {"patient": patient}, "threads": 1},
        "trainer": {"accelerator": "cpu", "devices": 1, "enable_progress_bar": False},
    }


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Return the current folder, with an experiment that waits while there is a file ``wait``."""
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config()))
    (tmp_path / "attack.py").write_text(_SCRIPT)
    (tmp_path / "wait").touch()
    monkeypatch.chdir(tmp_path)
    for name, value in {
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT),
        "WANDB_MODE": "disabled",
        "PATH": f"{tmp_path}:{Path(sys.executable).parent}:{os.environ['PATH']}",
    }.items():
        monkeypatch.setenv(name, value)
    return tmp_path


def wait_until(seen: Callable[[], object], running: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not seen():
        assert running(), "the process has ended"
        assert time.monotonic() < deadline, "the process hangs"
        time.sleep(0.05)


def assert_a_rerun_makes_the_files_of_an_unbroken_run(folder: Path) -> None:
    (folder / "wait").unlink()
    unbroken = ["--config=config.yaml", "--attack.store=whole/store", "--run.folder=whole/run"]
    for command in (COMMAND, unbroken):
        attack_main([*command, "--trainer.logger=false"])
    assert results(folder) == results(folder / "whole")
    assert visible(folder / "store") == stored(folder / "whole/store")


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.filterwarnings("ignore::jsonargparse._deprecated.JsonargparseDeprecationWarning")
def test_no_process_outlives_another_that_was_killed(folder, rank):
    said = folder / "said"
    os.mkfifo(said)
    devices = ["--trainer.devices=2", "--trainer.strategy=ddp"]
    meeting = {"MASTER_PORT": str(free_port())}
    process = start(script, "attack.py", *COMMAND, *devices, environment=meeting, said=said)
    with said.open("rb", buffering=0) as pipe:
        wait_until(lambda: list(folder.glob("store/*/00000000.*.zip")), process.is_alive)
        os.kill(int((folder / f"rank{rank}").read_text()), signal.SIGKILL)
        while connection.wait([pipe], PATIENCE) and pipe.read(1000):
            pass  # until nobody has the pipe any more
        assert connection.wait([pipe], 0), "a process hangs"
    assert status(process) != 0
    assert_a_rerun_makes_the_files_of_an_unbroken_run(folder)


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_no_process_outlives_another_where_nobody_watches(folder, rank):
    """Each of the two was started by itself, as by a shell on each machine."""
    said = folder / "said.txt"
    devices = ["--trainer.devices=2", "--trainer.strategy=ddp", "--ranks.lost_after=3"]
    running = ranks(script, "attack.py", *COMMAND, *devices, said=said)
    wait_until(
        lambda: list(folder.glob("store/*/00000000.*.zip")),
        lambda: all(one.is_alive() for one in running),
    )
    time.sleep(3)  # both are stuck in their next batch, and have been heard of
    began = time.monotonic()
    os.kill(running[rank].pid, signal.SIGKILL)
    assert status(running[1 - rank]) == 1
    assert time.monotonic() - began < 60, said.read_text()  # on a machine with other work


@pytest.mark.slow
@pytest.mark.parametrize("devices", [1, 2])
@pytest.mark.filterwarnings("ignore::jsonargparse._deprecated.JsonargparseDeprecationWarning")
def test_ctrl_c_is_status_130_and_one_line_and_the_same_command_goes_on(folder, devices):
    more = ["--trainer.devices=2", "--trainer.strategy=ddp"] if devices == 2 else []
    said, meeting = folder / "said", {"MASTER_PORT": str(free_port())}
    process = start(script, "attack.py", *COMMAND, *more, environment=meeting, said=said)
    wait_until(lambda: list(folder.glob("store/*/00000000.*.zip")), process.is_alive)
    pids = [int((folder / f"rank{rank}").read_text()) for rank in range(devices)]
    for pid in pids:  # as a terminal does
        os.kill(pid, signal.SIGINT)
    assert status(process) == 128 + signal.SIGINT
    told = said.read_text()
    assert told.count("stopped by Ctrl-C. The store is kept.") == 1
    assert "Traceback" not in told
    assert_a_rerun_makes_the_files_of_an_unbroken_run(folder)


def command(path: Path, lines: str) -> None:
    """Put a command of SLURM's on the path."""
    path.write_text(f"#!/usr/bin/env bash\n{lines}\n")
    path.chmod(0o755)


@pytest.fixture
def submit(folder, monkeypatch) -> Callable[[str], subprocess.Popen]:
    """Return what starts the script for SLURM, with an ``srun`` that does as told."""
    job = {"JOB_ID": JOB, "JOB_NAME": "mirage", "NNODES": "1", "NTASKS": "1", "PROCID": "0"}
    job |= {"NTASKS_PER_NODE": "1", "LOCALID": "0", "NODEID": "0", "NODELIST": "127.0.0.1"}
    for name, value in job.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    command(folder / "scontrol", 'echo "$@" > requeued')

    def submitted(srun: str) -> subprocess.Popen:
        command(folder / "srun", srun)
        return subprocess.Popen([str(ROOT / "configs/launch/slurm.sh"), *COMMAND])

    return submitted


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::jsonargparse._deprecated.JsonargparseDeprecationWarning")
def test_job_whose_time_is_up_is_queued_again_and_goes_on(folder, submit, monkeypatch):
    job = submit('shift; exec "$@"')
    wait_until(lambda: list(folder.glob("store/*/00000000.*.zip")), lambda: job.poll() is None)
    job.send_signal(signal.SIGUSR1)
    assert job.wait(PATIENCE) == 128 + signal.SIGTERM
    assert (folder / "requeued").read_text() == f"requeue {JOB}\n"
    (folder / "srun").unlink()
    monkeypatch.delenv("SLURM_NTASKS")  # by which Lightning knows a task of SLURM's
    assert_a_rerun_makes_the_files_of_an_unbroken_run(folder)


@pytest.mark.parametrize(
    ("srun", "asked", "status"),
    [
        ("exit 0", False, 0),
        ("exit 1", False, 1),  # an error would come again
        (_BUSY.format(status=0), True, 0),  # done just then
        (_BUSY.format(status=1), True, 1),
    ],
)
def test_job_that_is_done_or_has_failed_is_not_queued_again(folder, submit, srun, asked, status):
    job = submit(srun)
    if asked:
        wait_until((folder / "begun").exists, lambda: job.poll() is None)
        job.send_signal(signal.SIGUSR1)
    assert job.wait(PATIENCE) == status
    assert not (folder / "requeued").exists()
