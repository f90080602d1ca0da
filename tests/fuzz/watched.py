"""Cases in a child process that is watched: for what it says, starts and writes, and for hangs."""

import contextlib
import io
import logging
import os
import pickle
import random
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from project.core.errors import plain_errors
from tests.fuzz.ground import Ground
from tests.fuzz.mutations import damaged

RIGHT, TOLD = "right", "told"
_READY = "the intact input has been used"
_MEMORY = 6 << 30  # bytes beyond what the parent has: a declared size must not be believed
_LINES = 12  # of a message: a list of problems is one, a traceback is not
_PROGRAMS = ("os.system", "os.exec", "os.posix_spawn", "os.spawn", "subprocess.Popen", "pty.spawn")
_NETWORK = ("socket.connect", "urllib.Request")


@dataclass(frozen=True)
class Verdict:
    """How a case ended.

    Attributes:
        case: its number; with the seed it makes the case again.
        file: which file was damaged.
        kind: right, told, or the kind of fault.
        said: what the product said, or the traceback.
    """

    case: int
    file: str
    kind: str
    said: str = ""

    @property
    def fault(self) -> bool:
        """Whether it ended in neither a right result nor a plain line."""
        return self.kind not in (RIGHT, TOLD)


def verdicts(ground: Ground, cases: range, seed: int) -> list[Verdict]:
    """Run cases one after another, in a child process that is made anew after a fault."""
    found: list[Verdict] = []
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        intact = Path(name) / "intact"
        intact.mkdir()
        _in_child(lambda: ground.make(intact))
        while left := [case for case in cases if case not in {one.case for one in found}]:
            found += _child(ground, left, seed, Path(name))
    return found


def _in_child(work: Any) -> None:
    """Call in a process of its own: what computes in the parent would hinder its forks."""
    pid = os.fork()
    if pid == 0:
        code, said = 1, io.StringIO()
        logging.disable(logging.WARNING)  # Lightning's stream is the one that it began with
        try:
            torch.set_num_threads(1)
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                work()
            code = 0
        except BaseException:
            print(said.getvalue())
            traceback.print_exc()
        finally:
            os._exit(code)
    if os.waitpid(pid, 0)[1]:
        raise RuntimeError("the intact input cannot be made; see above")


def _child(ground: Ground, cases: list[int], seed: int, folder: Path) -> Iterator[Verdict]:
    """Yield verdicts until the cases or the child are at their end; the latter is a fault."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        try:
            _work(ground, cases, seed, folder, write)
        finally:
            os._exit(0)
    os.close(write)
    waiting = list(cases)
    with os.fdopen(read, "rb") as stream:
        if _next(stream, _patience(ground) * 20) != _READY:
            raise RuntimeError(f"the intact input of {ground.name} cannot be used")
        while waiting:
            verdict = _next(stream, _patience(ground) + 5)
            if isinstance(verdict, str):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                yield Verdict(waiting[0], _drawn(ground, waiting[0], seed, folder)[0], verdict)
                return
            waiting.remove(verdict.case)
            yield verdict
            if verdict.fault:
                break
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def _next(stream: Any, patience: float) -> Any:
    """Return what the child sends, or how it fails to: a hang if silent, a crash if gone."""
    if not select.select([stream], [], [], patience)[0]:
        return "hang"
    try:
        return pickle.load(stream)
    except EOFError:
        return "crash"


def _patience(ground: Ground) -> float:
    """Return the seconds after which a case hangs: more where others use the machine as well."""
    return ground.patience * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def _work(ground: Ground, cases: list[int], seed: int, folder: Path, write: int) -> None:
    os.setpgid(0, 0)
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    with contextlib.suppress(OSError):
        sys.stdin.close()
    own = Path(tempfile.mkdtemp(prefix="case-", dir=folder))
    os.environ["TMPDIR"] = str(own)
    tempfile.tempdir = str(own)
    os.chdir(own)
    watch = _Watch(folder)
    sys.addaudithook(watch)
    here = Path("/proc/self/statm").read_text().split()[0]
    limit = int(here) * os.sysconf("SC_PAGE_SIZE") + _MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    with os.fdopen(write, "wb", buffering=0) as stream, open(os.devnull, "w") as silence:
        with contextlib.redirect_stdout(silence), contextlib.redirect_stderr(silence):
            shutil.copytree(folder / "intact", own / "input")
            intact = ground.use(own / "input")
        pickle.dump(_READY, stream)
        for case in cases:
            pickle.dump(_one(ground, case, seed, folder, own, intact, watch), stream)


def _one(
    ground: Ground, case: int, seed: int, folder: Path, own: Path, intact: Any, watch: "_Watch"
) -> Verdict:
    file, content = _drawn(ground, case, seed, folder)
    shutil.rmtree(own / "input")
    shutil.copytree(folder / "intact", own / "input")
    (own / "input" / file).write_bytes(content)
    watch.seen.clear()
    said = io.StringIO()
    start = time.monotonic()
    kind, more = RIGHT, ""
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            watch.on = True
            with plain_errors():
                result = ground.use(own / "input")
            watch.on = False
            if not ground.right(own / "input", result, intact):
                kind, more = "wrong", repr(result)[:2000]
        except SystemExit as ending:
            watch.on = False
            more = said.getvalue() + (ending.code if isinstance(ending.code, str) else "")
            kind = TOLD if ending.code else "silent exit"
            if ending.code and not more.strip():
                kind = "no word"
            if len(more.strip().splitlines()) > _LINES:
                kind = "long message"
        except BaseException:
            watch.on = False
            kind, more = "traceback", traceback.format_exc()[-3000:]
    if watch.seen:
        kind, more = "started or wrote", "; ".join(watch.seen[:5])
    if time.monotonic() - start > _patience(ground):
        kind = "hang"
    return Verdict(case, file, kind, more)


def _drawn(ground: Ground, case: int, seed: int, folder: Path) -> tuple[str, bytes]:
    """Return the file that a case damages, relative to the input, and its damaged content."""
    draw = random.Random(f"{ground.name} {seed} {case}")
    intact = folder / "intact"
    path = ground.chosen(sorted(ground.targets(intact)), draw)
    return str(path.relative_to(intact)), damaged(path.read_bytes(), draw, ground.words)


class _Watch:
    """An audit hook that notes programs, connections, and files opened to be written elsewhere."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.on = str(folder.resolve()), False
        self.seen: list[str] = []

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on:
            return
        if event in _PROGRAMS or event in _NETWORK:
            self.seen.append(f"{event} {arguments[:2]!r}"[:300])
        elif event == "open" and isinstance(arguments[0], str) and isinstance(arguments[2], int):
            path, flags = os.path.abspath(arguments[0]), arguments[2]
            writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            if writes and not path.startswith((self.folder, "/dev/", "/proc/")):
                self.seen.append(f"writes {path}")
