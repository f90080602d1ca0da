"""``python -m tests.fuzz`` damages inputs of every kind and tells how their use ended."""

import argparse
import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from itertools import chain, repeat
from multiprocessing import get_context

from tests.fuzz.grounds import GROUNDS
from tests.fuzz.watched import verdicts

_SHARE = 50  # cases of a ground that go to one process at a time


def main() -> int:
    """Run the cases, print a line per ground and every fault; 1 if there is one."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("grounds", nargs="*", choices=[[], *GROUNDS], help="by default all")
    parser.add_argument("--cases", type=int, help="per ground; by default its own number")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--case", type=int, help="only this one, with all that was said")
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    chosen = given.grounds or list(GROUNDS)
    faults = 0
    os.environ["PYTHONWARNINGS"] = "ignore"  # of locks that killed processes leave
    with ProcessPoolExecutor(given.processes, get_context("spawn")) as pool:
        for name in chosen:
            start = time.monotonic()
            count = given.cases or GROUNDS[name].cases
            cases = range(count) if given.case is None else range(given.case, given.case + 1)
            shares = [cases[first : first + _SHARE] for first in range(0, len(cases), _SHARE)]
            every = [GROUNDS[name]] * len(shares)
            found = list(chain(*pool.map(verdicts, every, shares, repeat(given.seed))))
            counts = Counter(verdict.kind for verdict in found)
            seconds = time.monotonic() - start
            told = ", ".join(f"{number} {kind}" for kind, number in counts.most_common())
            print(f"{name:12} {len(found)} cases in {seconds:.0f} s: {told}", flush=True)
            for verdict in found:
                if verdict.fault or given.case is not None:
                    print(f"  case {verdict.case} ({verdict.file}): {verdict.kind}")
                    print("    " + verdict.said.strip().replace("\n", "\n    "), flush=True)
            faults += sum(verdict.fault for verdict in found)
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(main())
