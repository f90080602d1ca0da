"""What many devices reach, by a simulation over the measured costs of a run's stages.

python benchmarks/simulated_scale.py [--devices 1 8 64 512] [--rate 400] [--batch 16] …

Every device has a main process, loader processes and a thread that stores; batch k of every pass is
dealt to device k mod W, and nobody waits between passes. All read photos from and write archives to
one shared disk, which moves so many bytes and opens so many files a second. At the end the first
process merges the rows. Costs are those of docs/performance.md; what a device's attack reaches, and
the disk, are assumptions, which the options change.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Any

import simpy

AHEAD = 2  # batches that each loader process prepares beyond the one that is used, as torch does


@dataclass(frozen=True)
class Costs:
    """What a run's stages cost, and what there is to do it with."""

    images: int = field(default=50_000, metadata={"help": "photos of the data set"})
    passes: int = field(default=11, metadata={"help": "a clean one, and attacks × sources"})
    batch: int = field(default=16, metadata={"help": "images of a batch"})
    workers: int = field(default=4, metadata={"help": "loader processes of each device"})
    rate: float = field(default=400.0, metadata={"help": "images a second of a device's attack"})
    judging: float = field(default=0.5, metadata={"help": "ms of a device per image, all victims"})
    main: float = field(default=1.9, metadata={"help": "CPU ms per image beside attack and store"})
    metrics: float = field(default=0.0, metadata={"help": "CPU ms per adversarial image"})
    loading: float = field(default=5.6, metadata={"help": "CPU ms per image of a loader"})
    storing: float = field(default=0.9, metadata={"help": "CPU ms per image of the storing thread"})
    photo: float = field(default=110.0, metadata={"help": "KB of a photo on disk"})
    stored: float = field(default=151.0, metadata={"help": "KB of a stored image"})
    disk: float = field(default=2000.0, metadata={"help": "MB a second of the shared disk"})
    files: float = field(default=20_000.0, metadata={"help": "files a second that it opens"})
    per_file: int = field(default=1, metadata={"help": "photos of a file; of shards, many"})
    merging: float = field(default=49.0, metadata={"help": "CPU µs per row, at the end"})
    victims: int = field(default=5, metadata={"help": "rows of each adversarial image"})


@dataclass(frozen=True)
class Outcome:
    """What a simulated run took.

    Attributes:
        seconds: until all rows are merged.
        merging: of them, for the merge at the end.
        busy: shares of the time before it that each kind of resource was used, by name.
    """

    seconds: float
    merging: float
    busy: dict[str, float]

    def limit(self) -> str:
        """Return what the run waits for most."""
        return max(self.busy, key=lambda name: self.busy[name])


class _Usage:
    """Seconds that resources of one kind are busy, over all devices."""

    def __init__(self, environment: simpy.Environment) -> None:
        self.environment = environment
        self.seconds: dict[str, float] = dict.fromkeys(("device", "cpu", "loaders", "disk"), 0.0)

    def work(self, kind: str, seconds: float) -> simpy.Event:
        self.seconds[kind] += seconds
        return self.environment.timeout(seconds)


def simulate(costs: Costs, devices: int) -> Outcome:
    """Run an experiment on so many devices."""
    environment = simpy.Environment()
    usage, disk = _Usage(environment), simpy.Resource(environment)
    batches = -(-costs.images // costs.batch)
    sizes = [min(costs.batch, costs.images - k * costs.batch) for k in range(batches)]
    for rank in range(devices):
        dealt = [(step, size) for step in range(costs.passes) for size in sizes[rank::devices]]
        _Process(environment, costs, usage, disk, dealt).start()
    environment.run()
    before = environment.now
    merging = costs.images * (costs.passes - 1) * costs.victims * costs.merging / 1e6
    shares = {"device": devices, "cpu": devices, "loaders": devices * costs.workers, "disk": 1}
    busy = {kind: usage.seconds[kind] / (before * count) for kind, count in shares.items()}
    return Outcome(before + merging, merging, busy)


class _Process:
    """One device's main process, its loaders and its storing thread.

    Args:
        environment: the simulation.
        costs: of the stages.
        usage: where busy time is counted.
        disk: the shared one, which serves one request at a time.
        dealt: the batches: number of the pass, 0 is the clean one, and images.
    """

    def __init__(
        self,
        environment: simpy.Environment,
        costs: Costs,
        usage: _Usage,
        disk: simpy.Resource,
        dealt: list[tuple[int, int]],
    ) -> None:
        self.environment = environment
        self.costs = costs
        self.usage = usage
        self.disk = disk
        self.dealt = dealt
        self.ready = [environment.event() for _ in dealt]
        self.room = [simpy.Container(environment, AHEAD, AHEAD) for _ in range(costs.workers)]
        self.store = simpy.Resource(environment)

    def start(self) -> None:
        """Begin to work."""
        for worker in range(self.costs.workers):
            self.environment.process(self._load(worker))
        self.environment.process(self._attack())

    def _load(self, worker: int) -> Iterator[Any]:
        for place in range(worker, len(self.dealt), self.costs.workers):
            yield self.room[worker].get(1)
            _, size = self.dealt[place]
            files = size / self.costs.per_file
            yield from self._use_disk(files, size * self.costs.photo)
            yield self.usage.work("loaders", size * self.costs.loading / 1e3)
            self.ready[place].succeed()

    def _attack(self) -> Iterator[Any]:
        for place, (step, size) in enumerate(self.dealt):
            yield self.ready[place]
            yield self.room[place % self.costs.workers].put(1)
            attacked = step > 0
            on_device = size * self.costs.judging / 1e3
            on_device += size / self.costs.rate if attacked else 0
            yield self.usage.work("device", on_device)
            beside = self.costs.main + (self.costs.metrics if attacked else 0)
            yield self.usage.work("cpu", size * beside / 1e3)
            if attacked:
                # Whoever brings a batch waits until the one before it is written.
                request = self.store.request()
                yield request
                self.environment.process(self._save(request, size))

    def _save(self, request: Any, size: int) -> Iterator[Any]:
        yield self.environment.timeout(size * self.costs.storing / 1e3)
        yield from self._use_disk(1, size * self.costs.stored)
        self.store.release(request)

    def _use_disk(self, files: float, kilobytes: float) -> Iterator[Any]:
        with self.disk.request() as turn:
            yield turn
            took = files / self.costs.files + kilobytes / 1e3 / self.costs.disk
            yield self.usage.work("disk", took)


def table(costs: Costs, devices: list[int]) -> Iterator[str]:
    """Yield the lines of a table: what each number of devices reaches, and what is its limit."""
    work = costs.images * (costs.passes - 1)
    yield "| devices | images/s | of so many times one | busiest | merging, s |"
    yield "|---:|---:|---:|---|---:|"
    single = simulate(costs, 1).seconds
    for count in devices:
        found = simulate(costs, count)
        gain = single / (found.seconds * count)
        limit = found.limit()
        yield (
            f"| {count} | {work / found.seconds:,.0f} | {gain:.0%} | {limit} "
            f"{found.busy[limit]:.0%} | {found.merging:.0f} |"
        )


def main() -> None:
    """Print the table of the options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, nargs="+", default=[1, 8, 64, 512])
    for one in fields(Costs):
        kind = type(one.default)
        parser.add_argument(
            f"--{one.name.replace('_', '-')}",
            type=kind,
            default=one.default,
            help=f"{one.metadata['help']} ({one.default})",
        )
    given = vars(parser.parse_args())
    devices = given.pop("devices")
    for line in table(replace(Costs(), **given), devices):
        print(line)


if __name__ == "__main__":
    main()
