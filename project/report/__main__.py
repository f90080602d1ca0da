"""``python -m project.report RUN`` writes RUN/report.html, and the files beside it, anew."""

import argparse
from pathlib import Path

from project.report.page import build_report


def main() -> None:
    """Build the report of the folder named on the command line and say where it is."""
    parser = argparse.ArgumentParser(prog="python -m project.report", description=__doc__)
    parser.add_argument("run", type=Path, help="the run's folder, with rows.parquet in it")
    parser.add_argument(
        "--reference",
        help="attack that the others are tested against; by default the first SSTA, or of attacks "
        "on segmenters the first TranSegPGD",
    )
    given = parser.parse_args()
    try:
        print(build_report(given.run, given.reference))
    except (OSError, ValueError) as error:
        parser.exit(2, f"{error}\n")


if __name__ == "__main__":
    main()
