"""``python -m project.explain RUN INDEX`` makes a sample's image again, and tells its story."""

import argparse
import logging
import sys
from contextlib import nullcontext
from pathlib import Path

from project.cli.foreign import only_own
from project.core.errors import plain_errors
from project.explain import FinishedRun, made_again, story
from project.storage import layout


def main(arguments: list[str] | None = None) -> int:
    """Print the story of the sample named on the command line.

    Args:
        arguments: command line; None is ``sys.argv``.

    Returns:
        1 if the batch of the run was attacked again and did not give the same image, else 0.
    """
    parser = argparse.ArgumentParser(
        prog="mirage explain",
        description=f"{__doc__} Further arguments are those of attack.py, such as --data.root DIR "
        "where the data has moved.",
        allow_abbrev=False,
    )
    parser.add_argument("run", type=Path, help="the folder of a run of attack.py")
    parser.add_argument("index", type=int, help=f"the sample's id, as in {layout.ROWS}")
    parser.add_argument("--attack", help="by default the run's first")
    parser.add_argument("--source", help="whom it attacked; by default the run's first")
    parser.add_argument(
        "--batch", action="store_true", help="attack all images of the run's batch, as the run did"
    )
    parser.add_argument(
        "--trust",
        action="store_true",
        help=f"import the code outside of Mirage that the run's {layout.CONFIG} names",
    )
    given, more = parser.parse_known_args(arguments)
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    run = FinishedRun.read(given.run)
    whose = str(given.run / layout.CONFIG)
    with nullcontext() if given.trust else only_own(run.config, whose):
        step = run.chosen(given.attack, given.source)
        run.rows_of(step, given.index)  # an unknown sample is refused before anything is built
        again = made_again(run, step, given.index, given.batch, more)
    print(story(run, step, given.index, again))
    return int(given.batch and not again.difference.none)


if __name__ == "__main__":
    with plain_errors("Nothing was written: the same command begins anew."):
        sys.exit(main())
