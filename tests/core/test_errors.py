"""Faults of the input and the machine are one line and a status, others are tracebacks."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from project.core.errors import InputError, plain_errors
from project.core.yaml_keys import require_text_keys
from tests.processes import ROOT

FAULTS = [
    (errno.ENOSPC, "No space left on device", "Free some space"),
    (errno.EROFS, "Read-only file system", "Name a folder that can be written"),
    (errno.EACCES, "Permission denied", "ask for permission"),
    (errno.EMFILE, "Too many open files", "ulimit -n 4096"),
    (errno.ENAMETOOLONG, "File name too long", "Shorten the name"),
    (errno.EIO, "Input/output error", "The disk or its connection fails"),
    (errno.ELOOP, "Too many levels of symbolic links", "Remove the link that leads to itself"),
    (errno.ENXIO, "No such device or address", "Remove what stands there"),
    (errno.EFBIG, "File too large", "ulimit -f"),
]


def told(error: BaseException) -> str:
    with pytest.raises(SystemExit) as left, plain_errors():
        raise error
    assert isinstance(left.value.code, str)  # printed, with status 1
    assert "\n" not in left.value.code
    return left.value.code


@pytest.mark.parametrize(("number", "fault", "remedy"), FAULTS)
def test_fault_of_the_machine_is_told_with_a_remedy(number, fault, remedy):
    line = told(OSError(number, os.strerror(number), "runs/config.yaml"))
    assert line.startswith(f"error: {fault} (runs/config.yaml). ")
    assert remedy in line


@pytest.mark.parametrize(("number", "fault", "remedy"), FAULTS)
def test_fault_behind_another_error_is_told(number, fault, remedy):
    error = RuntimeError("the logger failed")
    error.__cause__ = OSError(number, os.strerror(number), "n" * 250)
    line = told(error)
    assert fault in line
    assert remedy in line
    assert len(line) < 300


def test_faults_that_libraries_tell_in_words_are_told():
    assert "ulimit" in told(RuntimeError("unable to mmap 8 bytes: Too many open files (24)"))
    assert "NUL" in told(ValueError("embedded null byte"))
    assert "memory ran out" in told(MemoryError())


def test_what_fails_to_be_dropped_after_a_fault_says_nothing_more(capsys):
    class Half:
        def __del__(self) -> None:
            raise AttributeError("never finished")

    def work() -> None:
        half = Half()
        raise OSError(errno.EMFILE, f"Too many open files by {type(half).__name__}")

    with pytest.raises(SystemExit, match="Too many open files"), plain_errors():
        work()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("error", [ValueError("ours"), KeyError("ours"), OSError("ours")])
def test_error_that_may_be_our_own_keeps_its_traceback(error):
    with pytest.raises(type(error), match="ours"), plain_errors():
        raise error


@pytest.mark.parametrize("name", ["n" * 250, "ä" * 60, "a\0b", "a\nb", "", 1, None])
def test_name_that_no_file_can_have_is_refused(name):
    with pytest.raises(InputError, match=r"names? in attacks must"):
        require_text_keys("attacks", ["pgd", name])


def test_ordinary_names_are_names():
    require_text_keys("attacks", ["pgd 4", "pgd@4", "ä/b", "n" * 100])


SLEEPER = """
import sys, threading, time
from project.core.errors import plain_errors
with plain_errors("All is kept."):
    print("ready", flush=True)
    {work}
"""
WORK = {
    "in Python": "time.sleep(60)",
    "tidying up with a status of its own": (
        "try: time.sleep(60)\n    except KeyboardInterrupt: sys.exit(1)"
    ),
}


def interrupted(work: str, **variables: str) -> tuple[int, str]:
    """Return the status of a process after Ctrl-C, and what it said."""
    process = subprocess.Popen(
        [sys.executable, "-c", SLEEPER.format(work=work)],
        cwd=ROOT,
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    try:
        _, said = process.communicate(timeout=20)
    finally:
        process.kill()
    return process.returncode, said


@pytest.mark.parametrize("work", WORK.values(), ids=WORK)
def test_ctrl_c_is_status_130_and_one_line(work):
    assert interrupted(work) == (130, "\nstopped by Ctrl-C. All is kept.\n")


def test_ctrl_c_ends_what_python_cannot_reach():
    stuck = "while True:\n        try: time.sleep(60)\n        except KeyboardInterrupt: pass"
    assert interrupted(stuck) == (130, "\nstopped by Ctrl-C. All is kept.\n")


def test_ctrl_c_is_left_to_the_first_of_several_processes():
    status, said = interrupted("time.sleep(1.5)", LOCAL_RANK="1")
    assert (status, said) == (0, "")


def test_reader_that_has_gone_is_no_traceback(tmp_path: Path):
    code = (
        "from project.core.errors import plain_errors\n"
        "with plain_errors():\n    for _ in range(100000): print('x' * 100)"
    )
    python = f'{sys.executable} -c "{code}" 2> {tmp_path}/said'
    command = f"{python} | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 128 + signal.SIGPIPE
    assert (tmp_path / "said").read_text() == ""
