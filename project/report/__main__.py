"""``python -m project.report RUN`` writes RUN/report.html, and the files beside it, anew."""

import argparse
from pathlib import Path

from project.core.errors import plain_errors
from project.report.page import build_report
from project.report.training.page import build_training_report
from project.report.training.run import is_training
from project.storage import layout
from project.storage.checksums import listing
from project.storage.lock import locked


def main() -> None:
    """Build the report of the folder named on the command line and say where it is."""
    parser = argparse.ArgumentParser(prog="mirage report", description=__doc__)
    parser.add_argument("run", type=Path, help="the folder of a run of attack.py or train.py")
    parser.add_argument(
        "--reference",
        help="attack that the others are tested against; by default the first SSTA, or of attacks "
        "on segmenters the first TranSegPGD",
    )
    given = parser.parse_args()
    try:
        if not given.run.is_dir():
            raise FileNotFoundError(f"{given.run} must be the folder of a run, found none there.")
        with locked(given.run), listing(given.run, layout.SUMMARIES):
            if is_training(given.run):
                print(build_training_report(given.run))
            else:
                print(build_report(given.run, given.reference))
    except (OSError, ValueError) as error:
        parser.exit(2, f"{error}\n")


if __name__ == "__main__":
    with plain_errors("The same command writes the page anew."):
        main()
