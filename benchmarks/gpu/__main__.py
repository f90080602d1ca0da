"""Everything that docs/performance.md leaves open without a GPU, within ten minutes on one.

benchmarks/gpu.sh [--quick] [--parts waits speed …] [--minutes 10] [--markdown runs/gpu.md]

Each part runs in a process of its own, with a time limit: one that fails or takes too long is told
with the reason, and the others go on. Printed is a line per figure: what came, what should have
come, and a verdict (pass, fail, or figure where there is no target). The same is written as
Markdown, line by line, so that a run that is stopped leaves what it knew. The exit status is 1 if
any line fails. What needs more memory than the GPU has is made smaller.

With ``--device cpu`` all parts run at tiny sizes, and nothing is measured: a trial of the scripts.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO

import torch

from gpu import commands, measures
from gpu.commands import last_line
from gpu.device import device_named
from gpu.page import Page
from gpu.run import SCALES, Line, Run

Part = Callable[[Run], Iterator[Line]]
PARTS: dict[str, tuple[Part, int]] = {
    "machine": (measures.machine, 40),
    "waits": (measures.waits, 60),
    "speed": (measures.speed, 60),
    "precision": (measures.precision, 45),
    "transfers": (measures.transfers, 30),
    "tests": (commands.tests, 120),
    "graph": (measures.graph, 90),
    "distributed": (commands.distributed, 60),
    "largest": (measures.largest, 75),
    "compiled": (measures.compiled, 100),
    "pipeline": (commands.pipeline, 60),
    "options": (commands.options, 75),
    "search": (commands.search, 30),
}
"""Each part with the most seconds that it may take, in order of worth: what comes last may find
that no time is left."""
_ENDS = 15  # seconds that the last part needs to be told


def main() -> None:
    """Run the parts one after another, or one of them."""
    options = _options()
    if options.alone:
        _alone(options)
        return
    end = time.monotonic() + 60 * options.minutes - _ENDS
    page = Page(options.markdown, options.device == "cpu")
    for name in options.parts:
        limit = min(PARTS[name][1] * options.patience, end - time.monotonic())
        for line in _lines_of(name, options, limit):
            page.add(name, line)
    page.close()
    sys.exit(page.failed)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="gpu.sh", description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument(
        "--quick", action="store_true", help="smaller, in about a third of the time"
    )
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=list(PARTS))
    parser.add_argument("--minutes", type=float, default=10.0, help="for all together")
    parser.add_argument("--patience", type=float, default=1.0, help="× the limit of each part")
    parser.add_argument("--markdown", type=Path, default=Path("runs/gpu.md"), help="file to write")
    parser.add_argument("--alone", choices=list(PARTS), help=argparse.SUPPRESS)
    parser.add_argument("--lines", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def _alone(options: argparse.Namespace) -> None:
    """Run one part here, and append its lines to a file."""
    warnings.filterwarnings("ignore")
    torch.manual_seed(0)
    scale = "trial" if options.device == "cpu" else "quick" if options.quick else "full"
    with tempfile.TemporaryDirectory() as folder:
        run = Run(device_named(options.device), SCALES[scale], Path(folder))
        for line in PARTS[options.alone][0](run):
            with options.lines.open("a") as file:
                file.write(json.dumps(asdict(line)) + "\n")


def _lines_of(name: str, options: argparse.Namespace, limit: float) -> Iterator[Line]:
    """Run one part in a process of its own; yield its lines, and what it took or what ended it."""
    if limit <= 0:
        yield Line("not begun", f"no time is left of {options.minutes:g} minutes", "runs", False)
        return
    with tempfile.TemporaryDirectory() as folder:
        lines, out = Path(folder) / "lines", Path(folder) / "out"
        lines.touch()
        command = [sys.executable, "-m", "gpu", "--alone", name, "--lines", str(lines)]
        command += ["--device", options.device, *["--quick"] * options.quick]
        started = time.monotonic()
        with out.open("w") as file:
            status = _ended(command, file, limit)
        took = time.monotonic() - started
        for text in lines.read_text().splitlines():
            yield Line(**json.loads(text))
        if status == 0:
            yield Line("time", f"{took:.0f} s")
            return
        told = out.read_text(errors="replace")
        reason = f"stopped after {took:.0f} s" if status is None else last_line(told)
        yield Line("did not end", reason, "ends", False, told)


def _ended(command: list[str], out: IO[str], limit: float) -> int | None:
    """Run a command and return its exit status, None if it and all that it began were stopped."""
    process = subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True)
    try:
        return process.wait(limit)
    except subprocess.TimeoutExpired:
        return None
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


if __name__ == "__main__":
    main()
