"""What stragglers cost under four ways of dealing batches to processes: a simulation.

python benchmarks/dealing.py [--rows runs/NAME/rows.parquet] [--passes 4] [--batches 8]

Where attacks stop early, batches take different numbers of steps, and a process that is done with
its own waits for the others at the end of the run (between two passes nobody waits). A batch takes
as long as its slowest image; --shrinking counts instead the steps of all its images, as where those
that are done leave the batch. The steps come from the rows of a run with early stop, a pass from
each (attack, source) of it, images drawn with replacement: one that is hard is so in every pass.
Without --rows they are lognormal with median 5 and mean 10, about what SSTA takes on photos.

What the table shows is the excess of the run's time over an even share, in %, median and largest of
the trials. "round robin" is what Mirage does by default: batch k of each pass goes to rank k mod
W. "stealing" (configs/launch/stealing.yaml) hands the next batch to whoever is free. "block" gives
each rank a run of neighbours; "longest first" knows all durations beforehand, which nobody does.
"""

from __future__ import annotations

import argparse
import heapq
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from project.storage.rows import read_rows

Durations = NDArray[np.float64]
"""(passes, batches), in steps."""
BATCH = 8


def round_robin(durations: Durations, ranks: int) -> float:
    """Deal batch k of each pass to rank k mod W."""
    return max(float(durations[:, rank::ranks].sum()) for rank in range(ranks))


def block(durations: Durations, ranks: int) -> float:
    """Deal neighbours to one rank."""
    return max(float(part.sum()) for part in np.array_split(durations, ranks, axis=1))


def stealing(durations: Durations, ranks: int) -> float:
    """Give the next batch of all passes to the rank that is free first."""
    return _greedy(durations.ravel(), ranks)


def longest_first(durations: Durations, ranks: int) -> float:
    """Give the longest batch of all passes to the rank that is free first."""
    return _greedy(-np.sort(-durations.ravel()), ranks)


def _greedy(queue: NDArray[np.float64], ranks: int) -> float:
    free = [0.0] * ranks
    for duration in queue.tolist():
        heapq.heapreplace(free, free[0] + duration)
    return max(free)


DEALS: dict[str, Callable[[Durations, int], float]] = {
    "round robin": round_robin,
    "block": block,
    "stealing": stealing,
    "longest first": longest_first,
}


def measured_steps(path: Path) -> NDArray[np.float64]:
    """Return the steps of images, (passes, images), of passes that stop early."""
    found: dict[tuple[str, str], dict[int, float]] = {}
    for row in read_rows(path).to_pylist():
        if row["victim"] == row["source"]:
            found.setdefault((row["attack"], row["source"]), {})[row["index"]] = row["steps"]
    passes = [[steps[index] for index in sorted(steps)] for steps in found.values()]
    return np.array([steps for steps in passes if len(set(steps)) > 1], float)


def durations(
    steps: NDArray[np.float64], batches: int, shrinking: bool, draw: np.random.Generator
) -> Durations:
    """Draw the durations of a run's batches, each plus one step for the judges."""
    images = steps[:, draw.integers(steps.shape[1], size=(batches, BATCH))]
    return (images.mean(2) if shrinking else images.max(2)) + 1


def excess(deal: Callable[[Durations, int], float], drawn: Durations, ranks: int) -> float:
    """Return how much longer than an even share a run takes, in %."""
    return 100 * (deal(drawn, ranks) * ranks / float(drawn.sum()) - 1)


def main() -> None:
    """Simulate runs of 2 to 64 processes, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=Path)
    parser.add_argument("--passes", type=int, default=4, help="without rows")
    parser.add_argument("--batches", type=int, default=8, help="of a pass, per process")
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--shrinking", action="store_true")
    options = parser.parse_args()
    draw = np.random.default_rng(0)
    steps = np.round(draw.lognormal(np.log(5), 1.18, (options.passes, 1000)))
    if options.rows:
        steps = measured_steps(options.rows)
    print(f"{len(steps)} passes of {options.batches} batches of {BATCH} images per process")
    print("processes  " + "".join(f"{name:>20}" for name in DEALS))
    for ranks in (2, 4, 8, 16, 32, 64):
        runs = [
            durations(steps, options.batches * ranks, options.shrinking, draw)
            for _ in range(options.trials)
        ]
        cells = []
        for deal in DEALS.values():
            values = [excess(deal, drawn, ranks) for drawn in runs]
            cells.append(f"{np.median(values):.1f} (max {max(values):.1f})")
        print(f"{ranks:<11}" + "".join(f"{cell:>20}" for cell in cells))


if __name__ == "__main__":
    main()
