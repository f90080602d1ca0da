"""What experiments of any size need: peak memory and time by the number of rows.

python -m benchmarks.size run [--rows 100000] [--task segmentation] [--folder FOLDER]
python -m benchmarks.size report [--rows 300000] [--classes 0] [--attacks 10] [--victims 5]
    [--pictures 0] [--folder FOLDER]

run      goes through an experiment's side of so many rows in this process, without victims and
         pictures (benchmarks/drawn_experiment.py). Memory is the greatest resident set beyond what
         the process had after the imports.
report   makes the folder of a finished run with so many drawn rows (ten attacks on every victim,
         judged by all), and builds its report in a process of its own. Of segmenters with --classes
         K, with --pictures N with a gallery of N images. The folder is removed, unless --folder
         says where to keep it; one that is there, such as that of run, is taken as it is.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TypeAlias

import pyarrow.parquet as pq
import torch

from benchmarks.drawn_experiment import VICTIMS, DrawnExperiment
from benchmarks.drawn_run import ATTACKS, draw_run
from project.storage import layout

_UNIT = 1 if sys.platform == "darwin" else 1024  # bytes, of the system's resident sets

_STARTER = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=2)
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
print(usage.ru_maxrss, usage.ru_utime + usage.ru_stime)
"""

Parts: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


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
    part.add_argument("--attacks", type=int, default=len(ATTACKS))
    part.add_argument("--victims", type=int, default=5)
    part.add_argument("--classes", type=int, default=0, help="of segmenters; 0 is classifiers")
    part.add_argument("--pictures", type=int, default=0, help="images of the gallery")
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
        if not folder.exists():
            images = round(options.rows / (options.attacks * options.victims**2))
            sizes = (images, options.victims, options.classes, options.attacks, options.pictures)
            draw_run(folder, *sizes)
        peak, seconds = cost_of([sys.executable, "-m", "project.report", str(folder)])
        rows = pq.ParquetFile(folder / layout.ROWS).metadata.num_rows
        print(f"{rows:,} rows: {peak / 2**20:,.0f} MiB at the peak, {seconds:.1f} s of CPU")


def cost_of(command: list[str]) -> tuple[int, float]:
    """Return the peak memory of a command in bytes, and its CPU seconds.

    Raises:
        CalledProcessError: if it fails.
    """
    # A small process starts it, since to Linux a process begins as large as the one that forked it.
    told = subprocess.run(
        [sys.executable, "-c", _STARTER, *command], check=True, stdout=subprocess.PIPE, text=True
    )
    memory, seconds = told.stdout.split()
    return int(memory) * _UNIT, float(seconds)


if __name__ == "__main__":
    main()
