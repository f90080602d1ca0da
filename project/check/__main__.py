"""``python -m project.check RUN`` checks every file of a run, and its images in the store."""

import argparse
import sys
from pathlib import Path

from project.check import check_images, check_run
from project.core.errors import plain_errors


def main(args: list[str] | None = None) -> int:
    """Check the folder named on the command line, and print a line for each damage.

    Args:
        args: command line; None is ``sys.argv``.

    Returns:
        0 if all is as it was written, 1 if not.
    """
    parser = argparse.ArgumentParser(prog="mirage check", description=__doc__)
    parser.add_argument("run", type=Path, help="the folder of a run of attack.py or train.py")
    parser.add_argument("--store", type=Path, help="where the store lies now, if it was moved")
    given = parser.parse_args(args)
    files, faults = check_run(given.run)
    images, more = check_images(given.run, given.store)
    for line in [*faults, *more]:
        print(line)
    print(f"{files} files of {given.run}, {images.checked} of {images.wanted} images in the store")
    damage = len(faults) + len(more)
    print(f"faults: {damage}" if damage else "all is as it was written")
    return 1 if damage else 0


if __name__ == "__main__":
    with plain_errors():
        sys.exit(main())
