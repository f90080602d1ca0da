"""The lock of a folder: one run at a time, and none after its death."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from project.storage.lock import LockedError, alone, lock, locked, unlock
from tests.storage.locks import held_by_another

HOLDER = """
import sys, time
from pathlib import Path
from project.storage.lock import lock
lock(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path):
    """Return another process, which holds the lock of the folder ``run``."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "run")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_run_is_refused_and_told_who_the_first_is(tmp_path, holder):
    with pytest.raises(LockedError, match=rf"only one run may write .*process {holder.pid} on "):
        lock(tmp_path / "run")
    lock(tmp_path / "other")
    unlock(tmp_path / "other")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_dead_process_holds_nothing(tmp_path, holder, how):
    os.kill(holder.pid, how)
    holder.wait()
    assert (tmp_path / "run/.run.lock").is_file()  # which it could not remove
    with locked(tmp_path / "run"):
        assert str(os.getpid()) in (tmp_path / "run/.run.lock").read_text()
    assert not (tmp_path / "run/.run.lock").exists()


def test_a_forked_child_that_outlives_its_parent_holds_nothing(tmp_path):
    """A loader's worker may live on for seconds after its parent was killed."""
    script = HOLDER.replace("print(", "import os\nif os.fork() == 0: time.sleep(20)\nprint(", 1)
    command = [sys.executable, "-c", script, str(tmp_path / "run")]
    pipe = {"stdout": subprocess.PIPE, "text": True, "start_new_session": True}
    with subprocess.Popen(command, **pipe) as process:
        assert process.stdout.readline() == "held\n"
        process.kill()
        process.wait()
        try:
            with locked(tmp_path / "run"):
                pass
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # the session it was started in: the child


def test_one_process_may_take_it_again_within(tmp_path):
    with locked(tmp_path):
        with locked(tmp_path):
            pass
        assert (tmp_path / ".run.lock").exists()  # the inner block gave nothing back
    assert not (tmp_path / ".run.lock").exists()


def test_a_file_that_was_removed_while_it_was_opened_is_no_lock(tmp_path, monkeypatch):
    opened = os.open

    def slow(path, *given):
        descriptor = opened(path, *given)
        if not slow.late and str(path).endswith(".run.lock"):
            slow.late = True
            Path(path).unlink()  # as its holder does, who ends in between
        return descriptor

    slow.late = False
    monkeypatch.setattr(os, "open", slow)
    with locked(tmp_path):
        assert (tmp_path / ".run.lock").read_text()
    assert slow.late


def test_who_waits_goes_on_when_the_other_has_ended(tmp_path):
    with held_by_another(tmp_path / "lock", seconds=0.5):
        begun = time.monotonic()
        with alone(tmp_path / "lock", None):
            assert time.monotonic() - begun > 0.3
            assert str(os.getpid()) in (tmp_path / "lock").read_text()
    assert not (tmp_path / "lock").exists()
