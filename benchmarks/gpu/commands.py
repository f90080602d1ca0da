"""The parts that run commands as a user would, each a generator of lines."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import torch

from gpu.run import Line, Run

ROOT = Path(__file__).parents[2]


class Called(NamedTuple):
    """What came of a command: its exit status, all that it told, and its seconds."""

    status: int
    out: str
    seconds: float

    @property
    def last(self) -> str:
        """The last line that is not empty."""
        return last_line(self.out)

    def line(self, what: str) -> Line:
        """Return whether it ended well, else how, with all that it told for the end of the page."""
        good = not self.status
        figure = f"{self.seconds:.0f} s" if good else self.last
        return Line(what, figure, "ends well", good, "" if good else self.out)


def distributed(run: Run) -> Iterator[Line]:
    """Run torch.distributed with one process, and an experiment on it."""
    import torch.distributed as dist  # noqa: PLC0415

    from project.evaluation.distributed import all_gather, gather  # noqa: PLC0415

    backend = run.device.backend
    meeting = (run.folder / "meeting").absolute().as_uri()
    dist.init_process_group(backend, init_method=meeting, rank=0, world_size=1)
    try:
        numbers = torch.arange(4.0, device=run.device.place)
        dist.all_reduce(numbers)
        objects = [*all_gather({"a": numbers.cpu().tolist()}), *gather(["b"])]
        dist.barrier()
    finally:
        dist.destroy_process_group()
    right = objects == [{"a": [0.0, 1.0, 2.0, 3.0]}, "b"]
    told = "as sent" if right else str(objects)
    yield Line(f"{backend}: sums and objects of one process", told, "as sent", right)
    runs = {"alone": [], backend: ["--trainer.strategy=ddp"]}
    for name, more in runs.items():
        yield _experiment(run, name, more).line(f"experiment, {name}")
    first, second = (_rows(run.folder / name) for name in runs)
    same = bool(first) and first == second
    yield Line("rows of both, byte for byte", "same" if same else "differ", "same", same)


def options(run: Run) -> Iterator[Line]:
    """Run an experiment with each config of configs/acceleration, and in mixed precision."""
    files = sorted((ROOT / "configs/acceleration").glob("*.yaml"))
    chosen = {path.stem: [f"--config={path}"] for path in files}
    chosen["bf16-mixed"] = ["--trainer.precision=bf16-mixed"]
    for name, more in chosen.items():
        yield _experiment(run, name, more).line(f"experiment, {name}")


def search(run: Run) -> Iterator[Line]:
    """Find the largest batch by the command."""
    limits = ["--memory=2GiB", f"--most={min(64, run.scale.most)}"]
    done = _called(["-m", "project.largest_batch", *_arguments(run, "search"), *limits])
    counts = re.findall(r"max_batch +(\d+)", done.out)
    good = not done.status and bool(counts) and "0" not in counts
    figure = f"max_batch {', '.join(counts)}" if counts else done.last
    yield Line("project.largest_batch", figure, "at least 1", good, "" if good else done.out)


def tests(run: Run) -> Iterator[Line]:
    """Run the tests that need a GPU."""
    files = [
        str(path.relative_to(ROOT))
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        if "\n@pytest.mark.gpu\n" in path.read_text()
    ]
    done = _called(["-m", "pytest", "-q", "-m", "gpu", "-rf", *files])
    counts = re.findall(r"(\d+) (passed|failed|skipped|errors?)\b", done.last)
    passed = any(word == "passed" for _, word in counts)
    good = not done.status and passed
    figure = ", ".join(f"{count} {word}" for count, word in counts) or done.last
    yield Line("pytest -m gpu", figure, "all pass", good, "" if good else done.out)


def pipeline(run: Run) -> Iterator[Line]:
    """Run the benchmark of what an image costs on its way from its file to its row."""
    script = ROOT / "benchmarks/pipeline.py"
    if not script.exists():
        yield Line(script.name, "is not there")
        return
    offered = _called([str(script), "--help"]).out
    chosen = {
        "--device": run.device.place.type,
        "--images": str(4 * run.images),
        "--rounds": str(min(2, run.scale.rounds)),
        "--sizes": str(run.scale.size),
    }
    taken = {name: value for name, value in chosen.items() if name in offered}
    if "--device" not in taken:
        yield Line(script.name, "takes no --device: what follows is CPU time")
    done = _called([str(script), *(word for pair in taken.items() for word in pair)])
    line = done.line(script.name)
    yield Line(line.what, line.figure, line.target, line.passed, done.out)


def _experiment(run: Run, name: str, more: list[str]) -> Called:
    return _called([str(ROOT / "attack.py"), *_arguments(run, name), *more])


def _arguments(run: Run, name: str) -> list[str]:
    """Return the arguments of a small experiment, for which nothing is loaded or trained."""
    networks = {"a": "test_resnet", "b": "test_efficientnet"}
    victims = {
        key: {
            "class_path": "TimmVictim",
            "init_args": {"architecture": network, "num_classes": 6},
        }
        for key, network in networks.items()
    }
    return [
        f"--config={ROOT / 'configs/data/shapes_classification.yaml'}",
        f"--config={ROOT / 'configs/attacks/pgd.yaml'}",
        f"--model.victims={json.dumps(victims)}",
        *("--data.limit=16", "--data.batch_size=8", "--data.num_workers=1"),
        *("--model.metrics=[mse]", "--trainer.logger=false", "--trainer.devices=1"),
        *(f"--trainer.accelerator={run.device.accelerator}", "--seed_everything=0"),
        "--trainer.deterministic=warn",  # else two runs may differ in a sum's last bits
        *(f"--attack.store={run.folder / 'stores' / name}", f"--run.folder={run.folder / name}"),
    ]


def _rows(folder: Path) -> dict[str, bytes]:
    """Return the bytes of a run's rows, in one file or several."""
    found = (path for path in folder.rglob("*.parquet") if path.name != "traces.parquet")
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def last_line(out: str) -> str:
    """Return the last line that is not empty."""
    lines = [line.strip() for line in out.splitlines() if line.strip()]
    return lines[-1] if lines else "it told nothing"


def _called(arguments: list[str]) -> Called:
    """Run Python with arguments, in the repository."""
    start = perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return Called(done.returncode, done.stdout, perf_counter() - start)
