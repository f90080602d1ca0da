"""What runs of any size cost: peak memory and CPU time by the number of rows.

python -m benchmarks.size report [--rows 300000] [--classes 0] [--victims 5] [--folder FOLDER]

report   makes the folder of a finished run with so many drawn rows (ten attacks on every victim,
         judged by all), and builds its report in a process of its own. Of segmenters with --classes
         K. The folder is removed, unless --folder says where to keep it; one that is there is taken
         as it is.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.drawn_run import ATTACKS, draw_run


def main() -> None:
    """Measure one part."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parts = parser.add_subparsers(required=True)
    add_report(parts)
    options = parser.parse_args()
    options.measure(options)


def add_report(parts: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the part that measures the report."""
    part = parts.add_parser("report", help="the report of a finished run")
    part.add_argument("--rows", type=float, default=3e5)
    part.add_argument("--victims", type=int, default=5)
    part.add_argument("--classes", type=int, default=0, help="of segmenters; 0 is classifiers")
    part.add_argument("--folder", type=Path)
    part.set_defaults(measure=report)


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
    unit = 1 if sys.platform == "darwin" else 1024
    return usage.ru_maxrss * unit, usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
