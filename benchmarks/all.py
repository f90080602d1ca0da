"""Every figure of docs/performance.md that one machine can check, in one command.

python benchmarks/all.py [--rounds 5] [--device cuda]

Runs the other scripts one after another, each in a process of its own (about half an hour on two
CPU cores); the page says what each table is. Packages to compare with are optional:
``pip install 'mirage-attacks[peers]'``.

All of them run with glibc told to keep freed memory: what it gives back it has to fetch again, page
by page, and how often that happens follows from the order of allocations. It is up to 4 % of a
loop's time on a CPU, most of its noise, and says nothing of the loop.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

SCRIPTS = (
    "peers",
    "parts",
    "views",
    "segmentation_step",
    "flow_evaluation",
    "metrics",
    "victim_options",
)


KEPT_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    "MALLOC_TRIM_THRESHOLD_": str((1 << 31) - 1),
}


def main() -> None:
    """Run the scripts; a failure is told and does not stop the others."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", default="5")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    shared = ["--rounds", options.rounds]
    commands = {name: [*shared, "--device", options.device] for name in SCRIPTS}
    commands |= {"trainer": shared, "pipeline": shared}  # on a CPU: what is not the attack
    for name, arguments in commands.items():
        print(f"\n# {name} {' '.join(arguments)}", flush=True)
        script = Path(__file__).with_name(f"{name}.py")
        environment = os.environ | KEPT_MEMORY
        command = [sys.executable, str(script), *arguments]
        done = subprocess.run(command, env=environment, check=False)
        if done.returncode:
            print(f"{name} ended with exit status {done.returncode}", flush=True)


if __name__ == "__main__":
    main()
