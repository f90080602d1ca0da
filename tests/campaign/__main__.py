"""Kill experiments, trainings, studies and grids at random, and compare what they end with.

    python -m tests.campaign [--kills 500] [--kinds study grid …] [--seed 0] [--folder DIR]

A work is begun in an empty folder, killed (SIGKILL), begun again, killed again … and then left
alone to its end; its folder must then hold what an unbroken one holds (tests/campaign/folders.py
says what is compared). Half of the kills come at a random time, half at a random step of writing,
before it or in its middle. Of two processes one is killed, and the other a moment later.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from functools import partial
from pathlib import Path

from tests.campaign.doomed import Steps, Where, forked
from tests.campaign.folders import content, differences
from tests.campaign.makers import Maker, makers, prepare_process
from tests.ports import free_port

_IN_A_ROW = 8  # kills at most in one folder, before it is left to end
_PATIENCE = 600.0  # seconds after which a process hangs


class Campaign:
    """Kills one kind of work.

    Args:
        maker: the work.
        folder: an empty folder of its own.
        draw: the draws.
    """

    def __init__(self, maker: Maker, folder: Path, draw: random.Random) -> None:
        self.maker = maker
        self.draw = draw
        self.here = folder / "here"  # always the same: some files hold their own path
        self.said = folder / "said.txt"
        self.steps = folder / "steps.txt"
        self.hits: Counter[str] = Counter()
        self.faults: list[str] = []
        self._fresh()
        began = time.monotonic()
        self._end()
        if self.faults:
            raise SystemExit(self.faults[0])
        self.seconds = time.monotonic() - began
        self.count = int(self.steps.read_text())
        self.wanted = content(self.here)

    def round(self, kills: int) -> int:
        """Kill one folder's work up to so many times, and compare its end; return the kills."""
        self._fresh()
        done = sum(self._killed() for _ in range(kills))
        self._end()
        wrong = differences(content(self.here), self.wanted)
        if wrong:
            self._fault(f"{self.maker.name} (its folder is kept): " + "; ".join(wrong[:8]))
            self.here.rename(self.here.with_name(f"wrong-{len(self.faults)}"))
        return done

    def _fresh(self) -> None:
        shutil.rmtree(self.here, ignore_errors=True)
        self.here.mkdir(parents=True)
        self.said.write_text("")
        self._wait([forked(self.maker.prepare, self.here, self.said)])

    def _killed(self) -> bool:
        """Begin the work and kill it; return whether it was killed before it had ended."""
        where: Where = self.draw.choice(["before", "middle"])
        victim = self.draw.randrange(self.maker.ranks)
        at_a_step = self.draw.random() < 0.5
        step = self.draw.randint(1, self.count) if at_a_step else 0
        running = self._start(victim, step, where)
        kind = f"{where} a step of writing" if where == "before" else "in the middle of a step"
        if not at_a_step:
            kind = "at a random time"
            time.sleep(self.draw.uniform(0, self.seconds))
            os.kill(running[victim], signal.SIGKILL)
        status = self._wait([running[victim]])
        others = [one for rank, one in enumerate(running) if rank != victim]
        if status == -signal.SIGKILL:
            time.sleep(self.draw.uniform(0, 0.2) if others else 0)
            for one in others:
                os.kill(one, signal.SIGKILL)
            self.hits[kind] += 1
        elif status:
            self._fault(f"{self.maker.name} ended with {status}: {self._tail()}")
        self._wait(others)
        for lost in self._lost():
            self._fault(f"{self.maker.name}: {lost}")
        return status == -signal.SIGKILL

    def _lost(self) -> list[str]:
        """Return what was promised and is gone, as a process of its own finds it."""
        told = self.said.with_name("lost.txt")
        told.write_text("")

        def look() -> None:
            told.write_text("\n".join(self.maker.promised()))

        self._wait([forked(look, self.here, self.said)])
        return told.read_text().splitlines()

    def _end(self) -> None:
        """Let the work go on to its end."""
        statuses = [self._wait([one]) for one in self._start()]
        if any(statuses):
            self._fault(f"{self.maker.name} did not end: {statuses}, {self._tail()}")

    def _start(self, victim: int = 0, step: int = 0, where: Where = "before") -> list[int]:
        meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "NODE_RANK": "0"}
        meeting |= {"WORLD_SIZE": str(self.maker.ranks)}
        if self.maker.ranks == 1:
            meeting = {}
        return [
            forked(
                partial(self._work, rank == 0, step if rank == victim else 0, where),
                self.here,
                self.said,
                **(meeting | {"LOCAL_RANK": str(rank)} if meeting else {}),
            )
            for rank in range(self.maker.ranks)
        ]

    def _work(self, counts: bool, step: int, where: Where) -> None:
        prepare_process()
        steps = Steps(Path(), step, where).watch()
        self.maker.work()
        if counts:
            self.steps.write_text(str(steps.count))

    def _wait(self, processes: list[int]) -> int:
        """Wait for processes; return the last one's status, negative for a signal."""
        found = 0
        for one in processes:
            until = time.monotonic() + _PATIENCE
            while (ended := os.waitpid(one, os.WNOHANG))[0] == 0:
                if time.monotonic() > until:
                    self._fault(f"{self.maker.name} hangs: {self._tail()}")
                    until = float("inf")
                    os.kill(one, signal.SIGKILL)
                time.sleep(0.005)
            found = os.waitstatus_to_exitcode(ended[1])
        return found

    def _fault(self, told: str) -> None:
        self.faults.append(told)
        print(f"FAULT {told}", file=sys.stderr, flush=True)

    def _tail(self) -> str:
        return self.said.read_text()[-1500:]


def main() -> int:
    """Run the campaign; the exit status is 1 if anything was wrong."""
    chosen = _arguments()
    draw = random.Random(chosen.seed)
    root = Path(chosen.folder or tempfile.mkdtemp(prefix="mirage-campaign-"))
    known = makers()
    began = time.monotonic()
    campaigns = {
        name: Campaign(known[name], root / name, draw) for name in chosen.kinds or list(known)
    }
    kills: Counter[str] = Counter()
    rounds: Counter[str] = Counter()
    while sum(kills.values()) < chosen.kills:
        name = min(campaigns, key=lambda one: kills[one])
        kills[name] += campaigns[name].round(draw.randint(1, _IN_A_ROW))
        rounds[name] += 1
        print(f"{sum(kills.values())} kills, {name}", file=sys.stderr, flush=True)
    faults = [fault for one in campaigns.values() for fault in one.faults]
    print(_table(campaigns, kills, rounds))
    print(f"{sum(kills.values())} kills, {len(faults)} faults, {time.monotonic() - began:.0f} s")
    if not faults and not chosen.folder:
        shutil.rmtree(root)
    return bool(faults)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.campaign", description=__doc__)
    parser.add_argument("--kills", type=int, default=500, help="at least so many in all")
    parser.add_argument("--kinds", nargs="+", choices=list(makers()), help="default: all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", help="where to work; it is kept")
    return parser.parse_args()


def _table(campaigns: dict[str, Campaign], kills: Counter[str], rounds: Counter[str]) -> str:
    kinds = ("at a random time", "before a step of writing", "in the middle of a step")
    lines = [
        f"| kind | files | steps of writing | folders | kills | {' | '.join(kinds)} |",
        "|---|" + "---:|" * (4 + len(kinds)),
    ]
    for name, one in campaigns.items():
        hits = " | ".join(str(one.hits[kind]) for kind in kinds)
        told = (name, len(one.wanted), one.count, rounds[name], kills[name])
        lines.append(f"| {' | '.join(map(str, told))} | {hits} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
