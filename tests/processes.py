"""Processes of their own, forked from one that has imported everything and computed nothing.

Starting one costs next to nothing, where a fresh Python imports for six seconds.
"""

import contextlib
import multiprocessing
import os
import runpy
import sys
import tempfile
from collections.abc import Callable, Sequence
from multiprocessing import connection, forkserver
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch

from tests.ports import free_port

ROOT = Path(__file__).parents[1]
PATIENCE = 300  # seconds, on a machine with other work; a hang takes longer
Work = Callable[..., None]
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["project.cli.attack", "tests.experiment.scene", __name__])


def start(
    work: Work,
    *arguments: object,
    environment: dict[str, str] | None = None,
    said: Path | None = None,
) -> BaseProcess:
    """Start a module's function in the current folder.

    Args:
        work: the function.
        arguments: what it is called with.
        environment: more variables than are set here.
        said: file to which all that it says is added; None leaves it unheard.
    """
    with contextlib.chdir(ROOT):  # where the server finds what it imports
        forkserver.ensure_running()
    variables = os.environ | (environment or {})
    process = _CONTEXT.Process(target=_prepared, args=(variables, said, work, arguments))
    process.start()
    return process


def _prepared(
    variables: dict[str, str], said: Path | None, work: Work, arguments: Sequence[object]
) -> None:
    os.environ.clear()  # of what was set when the server was started
    os.environ.update(variables)
    if said is not None:
        with said.open("a") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
    torch.set_num_threads(1)
    work(*arguments)


def status(process: BaseProcess) -> int | None:
    """Return how a process ended: 0, an error's status, or a signal's negative number."""
    process.join(PATIENCE)
    if process.is_alive():
        process.kill()
        raise AssertionError("the process hangs")
    return process.exitcode


def script(path: str, *arguments: str) -> None:
    """Run a script as ``python PATH ARGUMENTS`` does."""
    sys.argv = [path, *arguments]
    runpy.run_path(path, run_name="__main__")


def ranks(
    work: Work, *arguments: object, devices: int = 2, said: Path | None = None
) -> list[BaseProcess]:
    """Start a function in processes that meet like those of Lightning's own launcher."""
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    meeting |= {"WORLD_SIZE": str(devices), "NODE_RANK": "0"}
    return [
        start(work, *arguments, environment=meeting | {"LOCAL_RANK": str(rank)}, said=said)
        for rank in range(devices)
    ]


def together(work: Work, *arguments: object, devices: int = 2) -> str:
    """Run a function to its end in processes that meet, and return what they said.

    Raises:
        AssertionError: one failed, which ends the others, or they hang.
    """
    with tempfile.TemporaryDirectory() as folder:
        said = Path(folder) / "said.txt"
        processes = ranks(work, *arguments, devices=devices, said=said)
        running = {one.sentinel: one for one in processes}
        while running and (ended := connection.wait(list(running), PATIENCE)):
            if [one for one in map(running.pop, ended) if one.exitcode]:
                break  # the others would wait for it
        for one in running.values():
            one.kill()
        assert not any(map(status, processes)), said.read_text()
        return said.read_text()
