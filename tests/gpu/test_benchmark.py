"""The benchmark of GPUs, of which every line runs without one, before it first runs on one."""

import importlib
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
import torch

from tests.gpu.pretended import pretended_gpu
from tests.gpu.test_memory import Allocator

ROOT = Path(__file__).parents[2]
PARTS = (
    *("machine", "waits", "speed", "precision", "transfers", "tests", "graph", "distributed"),
    *("largest", "compiled", "pipeline", "options", "search"),
)
MEASURES = ("machine", "waits", "speed", "precision", "transfers", "graph", "largest", "compiled")


def called(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [str(ROOT / "benchmarks/gpu.sh"), *arguments]
    return subprocess.run(
        command,
        env=os.environ | {"PYTHON": sys.executable} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def rows(page: Path) -> list[list[str]]:
    """Return the cells of a table in Markdown: part, what, target, verdict, figure."""
    lines = [line for line in page.read_text().splitlines() if line.startswith("| ")]
    return [line.strip("| ").split(" | ") for line in lines[1:]]


@pytest.fixture
def module(monkeypatch) -> Callable[[str], Any]:
    """Import from the folder of benchmarks, which is no package."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module


@pytest.mark.slow
def test_every_part_runs_on_a_cpu(tmp_path):
    page = tmp_path / "gpu.md"
    arguments = ["--device", "cpu", "--patience", "20", "--minutes", "60", "--markdown", str(page)]
    done = called(*arguments, TORCH_COMPILE_DISABLE="1")  # another test compiles
    assert done.returncode == 0, done.stdout + done.stderr
    found = rows(page)
    assert tuple(dict.fromkeys(row[0] for row in found)) == PARTS
    assert {row[3] for row in found} == {"figure", "trial", "pass"}
    assert [row[0] for row in found if row[1] == "time"] == list(PARTS)
    for row in found:
        assert row[1] in done.stdout
        assert row[4] in done.stdout


def test_part_that_takes_too_long_is_told_and_the_next_one_begins(tmp_path):
    page = tmp_path / "gpu.md"
    arguments = ["--parts", "waits", "speed", "--patience", "0.001", "--markdown", str(page)]
    done = called("--device", "cpu", *arguments)
    assert done.returncode == 1
    assert [row[:4] for row in rows(page)] == [
        ["waits", "did not end", "ends", "fail"],
        ["speed", "did not end", "ends", "fail"],
    ]
    assert all(row[4].startswith("stopped after") for row in rows(page))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_reason_of_a_failure_is_told(tmp_path):
    page = tmp_path / "gpu.md"
    done = called("--parts", "machine", "--markdown", str(page))
    assert done.returncode == 1
    ((*_, verdict, figure),) = rows(page)
    assert verdict == "fail"
    assert figure == (
        "RuntimeError: torch finds no GPU here. Try --device cpu, which measures nothing."
    )


def test_part_without_time_is_not_begun(module, monkeypatch):
    main = module("gpu.__main__")
    monkeypatch.setattr(main, "_ended", pytest.fail)
    (line,) = main._lines_of("waits", SimpleNamespace(minutes=10.0), -1.0)
    assert (line.passed, line.figure) == (False, "no time is left of 10 minutes")


def test_all_that_a_part_began_ends_with_it(module, tmp_path):
    main, alive = module("gpu.__main__"), tmp_path / "alive"
    child = f"import time\nwhile True: open({str(alive)!r}, 'a').write('.'); time.sleep(0.01)"
    parent = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {child!r}])"
    with (tmp_path / "out").open("w") as out:
        assert main._ended([sys.executable, "-c", parent], out, 3.0) is None
    size = alive.stat().st_size
    assert size > 0
    time.sleep(0.2)
    assert alive.stat().st_size == size


@pytest.mark.parametrize(
    ("passed", "target", "trial", "verdict"),
    [
        (True, "0", False, "pass"),
        (False, "0", False, "fail"),
        (None, "", False, "figure"),
        (False, "0", True, "trial"),
        (False, "ends well", True, "fail"),
    ],
)
def test_verdicts(module, tmp_path, passed, target, trial, verdict):
    page = module("gpu.page").Page(tmp_path / "a/gpu.md", trial)
    page.add("part", module("gpu.run").Line("what | it is", "1", target, passed, "out"))
    assert page.failed == (verdict == "fail")
    text = page.path.read_text()
    assert f"| part | what \\| it is | {target} | {verdict} | 1 |" in text
    assert "## part: what | it is\n\n```text\nout\n```" in text


class Cuda(Allocator):
    """As much of ``torch.cuda`` as the benchmark asks for; the host waits where it says so."""

    def __init__(self) -> None:
        super().__init__()
        self.device: Any = None  # the benchmark's
        self.mode = "default"
        self.busy = True
        self.waits = 0

    def current_device(self) -> int:
        return 0

    def get_device_properties(self, device: torch.device) -> SimpleNamespace:
        return SimpleNamespace(name="pretended", major=9, minor=0)

    def mem_get_info(self, device: torch.device) -> tuple[int, int]:
        return 2**32, 2**33

    def synchronize(self, device: torch.device) -> None:
        self.waits += 1

    def set_sync_debug_mode(self, mode: str) -> None:
        warnings.warn("Synchronization debug mode is a prototype feature", stacklevel=1)
        self.mode = mode

    def wait(self) -> None:
        if self.mode == "warn":
            warnings.warn("called a synchronizing CUDA operation", stacklevel=2)

    def Event(self) -> SimpleNamespace:  # noqa: N802 as torch calls it
        return SimpleNamespace(record=lambda: None, query=lambda: not self.busy)


@pytest.fixture
def cuda(module, monkeypatch) -> Iterator[Cuda]:
    made = Cuda()
    for name in (
        *("init", "current_device", "get_device_properties", "mem_get_info"),
        *("synchronize", "set_sync_debug_mode", "Event", "empty_cache", "memory_allocated"),
        *("reset_peak_memory_stats", "max_memory_allocated"),
    ):
        monkeypatch.setattr(torch.cuda, name, getattr(made, name))
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: 91000)
    monkeypatch.setattr(module("gpu.device"), "_SIDE", 8)
    with mock.patch.object(torch.cuda, "is_available", return_value=True):  # torch itself asks, too
        made.device = module("gpu.device").device_named("cuda")
    with pretended_gpu():
        yield made


def test_waits_are_told_by_their_places(cuda):
    assert cuda.device.waits(lambda: None) == []
    (place,) = cuda.device.waits(cuda.wait)
    assert place.startswith(f"{ROOT / 'benchmarks/gpu/device.py'}:")
    assert cuda.mode == "default"


@pytest.mark.parametrize("busy", [True, False])
def test_host_is_ahead_of_a_device_that_is_busy(cuda, busy):
    cuda.busy = busy
    assert cuda.device.is_ahead(lambda: None) == busy


@pytest.mark.parametrize("part", MEASURES)
def test_every_measure_runs_on_a_pretended_gpu(cuda, module, monkeypatch, tmp_path, part):
    monkeypatch.setattr(torch, "compile", lambda forward, mode, dynamic: forward)
    scales = module("gpu.run")
    run = scales.Run(cuda.device, scales.SCALES["trial"], tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as the benchmark does
        lines = list(getattr(module("gpu.measures"), part)(run))
    assert lines
    assert all(line.what and line.figure for line in lines)
    if part == "waits":
        assert [line.passed for line in lines] == [True] * 9
