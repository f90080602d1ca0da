"""What experiments of any size need: peak memory and time by the number of rows.

python -m benchmarks.size run [--rows 100000] [--task segmentation] [--folder FOLDER]
python -m benchmarks.size report [--rows 300000] [--classes 0] [--victims 5] [--folder FOLDER]

run      goes through an experiment's side of so many rows in this process, without victims and
         pictures (benchmarks/drawn_experiment.py). Memory is the greatest resident set beyond what
         the process had after the imports.
report   makes the folder of a finished run with so many drawn rows (ten attacks on every victim,
         judged by all), and builds its report in a process of its own. Of segmenters with --classes
         K. The folder is removed, unless --folder says where to keep it; one that is there is taken
         as it is.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from benchmarks.drawn_experiment import VICTIMS, DrawnExperiment
from benchmarks.drawn_run import ATTACKS, draw_run
from project.storage import layout

_UNIT = 1 if sys.platform == "darwin" else 1024  # bytes, of the system's resident sets

Parts = argparse._SubParsersAction[argparse.ArgumentParser]


def main() -> None:
    """Measure one part."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parts = parser.add_subparsers(required=True)
    add_run(parts)
    add_report(parts)
    options = parser.parse_args()
    options.measure(options)


def add_run(parts: Parts) -> None:
    """Add the part that measures the experiment itself."""
    part = parts.add_parser("run", help="an experiment without victims")
    part.add_argument("--rows", type=float, default=1e5)
    part.add_argument("--task", choices=list(VICTIMS), default="classification")
    part.add_argument("--folder", type=Path, help="keep the files there")
    part.set_defaults(measure=run)


def add_report(parts: Parts) -> None:
    """Add the part that measures the report."""
    part = parts.add_parser("report", help="the report of a finished run")
    part.add_argument("--rows", type=float, default=3e5)
    part.add_argument("--victims", type=int, default=5)
    part.add_argument("--classes", type=int, default=0, help="of segmenters; 0 is classifiers")
    part.add_argument("--folder", type=Path)
    part.set_defaults(measure=report)


def run(options: argparse.Namespace) -> None:
    """Print a line for each stage: the greatest memory so far, and its seconds."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as spare:
        folder = options.folder or Path(spare)
        experiment = DrawnExperiment(folder, round(options.rows), options.task)
        print(f"{experiment.rows:,} rows of {experiment.images:,} images, {options.task}")
        print(f"{'MB':>6} {'s':>8} {'CPU s':>8}")
        before, clock, work = peak(), time.perf_counter(), time.process_time()
        for stage in experiment.stages():
            now, worked = time.perf_counter(), time.process_time()
            line = f"{peak() - before:6.0f} {now - clock:8.1f} {worked - work:8.1f}  {stage}"
            print(line, flush=True)
            clock, work = now, worked
        for name in (layout.ROWS, layout.TRACES):
            size = (folder / name).stat().st_size
            print(f"{name}: {size / 1e6:,.1f} MB, {size / experiment.rows:.0f} bytes a row")


def peak() -> float:
    """Return the greatest resident set of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _UNIT / 1e6


def report(options: argparse.Namespace) -> None:
    """Print the peak memory and the CPU time of ``python -m project.report``."""
    with tempfile.TemporaryDirectory() as spare:
        folder = options.folder or Path(spare) / "run"
        images = round(options.rows / (len(ATTACKS) * options.victims**2))
        if not folder.exists():
            draw_run(folder, images, options.victims, options.classes)
        peak, seconds = cost_of([sys.executable, "-m", "project.report", str(folder)])
        rows = images * len(ATTACKS) * options.victims**2
        print(f"{rows:,} rows: {peak / 2**20:,.0f} MiB at the peak, {seconds:.1f} s of CPU")


def cost_of(command: list[str]) -> tuple[int, float]:
    """Return the peak memory of a command in bytes, and its CPU seconds.

    Raises:
        CalledProcessError: if it fails.
    """
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return usage.ru_maxrss * _UNIT, usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
