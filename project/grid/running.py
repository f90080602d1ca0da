"""Running a grid's experiments one after another."""

from __future__ import annotations

import sys
import traceback
from argparse import ArgumentParser
from contextlib import nullcontext
from pathlib import Path

import torch.distributed as dist
from lightning.pytorch.utilities import rank_zero_only

from project.cli.attack import run_experiment
from project.core.errors import InputError
from project.grid.description import read_grid
from project.grid.overview import remove_overview, write_overview
from project.grid.planning import PlannedRun, planned
from project.storage.lock import locked


def grid_main(args: list[str] | None = None) -> None:
    """Run a grid: ``--grid FILE``, and arguments of every experiment.

    After a failed experiment the others still run; but with several processes it ends the grid,
    since ranks that did not fail would hang in collectives. Stored images are not attacked again,
    so the same command resumes a grid that was stopped.

    Args:
        args: command line; None is ``sys.argv``.

    Raises:
        ValueError: if the grid cannot be run, before anything runs; or if an experiment failed,
            after all others.
    """
    parser = ArgumentParser(prog="mirage grid", allow_abbrev=False, add_help=False)
    parser.add_argument("--grid", type=Path, required=True)
    chosen, arguments = parser.parse_known_args(args)
    grid = read_grid(chosen.grid)
    runs = planned(grid, arguments)
    # Of several processes the first alone holds the lock, and the launcher ends the others with it.
    first = getattr(rank_zero_only, "rank", 0) == 0
    with locked(Path(grid.folder)) if first else nullcontext():
        # A killed grid leaves none: else its page would tell of folders that are others by now.
        remove_overview(Path(grid.folder))
        failures = {run.name: failure for run in runs if (failure := _failure(run))}
        write_overview(Path(grid.folder), grid.title, runs, failures)
    if failures:
        raise InputError(
            f"{len(failures)} of {len(runs)} experiments failed: {', '.join(failures)}. Run the "
            "same command when it is mended: what is stored is not attacked again."
        )


def _failure(run: PlannedRun) -> str | None:
    """Run an experiment, and return its error message, None if it succeeded."""
    rank_zero_only(print)(f"\n=== {run.name} → {run.folder}", flush=True)
    try:
        run_experiment(run.arguments)
    except Exception as error:
        if dist.is_available() and dist.is_initialized():
            raise  # other ranks may hang in a collective: the launcher must end them
        if not isinstance(error, (InputError, FileNotFoundError)):
            traceback.print_exc()
        print(f"{run.name} failed: {error}", file=sys.stderr, flush=True)
        return f"{type(error).__name__}: {error}"
    return None
