"""Golden results: hashes of everything that a change of structure must leave as it is.

    python -m tests.golden FILE              write them
    python -m tests.golden FILE --compare    make them anew, and name those that differ

They are of one machine and one torch: make the file before a change, and compare after it.
Adversarial
images of every row of the contract table, one epoch of each robust recipe, a run of two processes,
and, with ``--defaults``, rows and measures of the embedded experiments (minutes).
"""

import argparse
import hashlib
import io
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import yaml
from PIL import Image

from project.cli import train_main
from tests.attacks.test_contract import ROWS, scene
from tests.experiment.test_processes import TASKS, config
from tests.storage.damage import stored
from tests.training.test_robust_configs import BASES, RUNS

ROOT = Path(__file__).parents[1]
RESULTS = ("rows.parquet", "metrics.csv", "traces.parquet")
Golden = Iterator[tuple[str, str]]


def attacked() -> Golden:
    """Yield what every attack makes of a fixed batch: images, perturbations, steps and facts."""
    for name, row in ROWS.items():
        for task in row.tasks:
            victim, images, target = scene(task)
            result = row.attack.run(victim, images, target)
            told = {"images": result.images, "float": result.float_images, "steps": result.steps}
            told |= {"perturbation": result.perturbation, "fooled": result.fooled}
            told |= {f"fact {name}": values for name, values in result.facts.items()}
            told |= {f"trace {name}": values for name, values in result.traces.items()}
            for part, values in told.items():
                yield f"attack {name} {task} {part}", _hashed(values)


def trained() -> Golden:
    """Yield the weights after an epoch of each robust recipe, on small shapes."""
    for path, task in RUNS:
        with tempfile.TemporaryDirectory() as folder:
            scratch = Path(folder) / "scratch.yaml"
            scratch.write_text(
                "model: {init_args: {victim: {init_args: {encoder_checkpoint: null}}}}"
            )
            on_top = ["--config", str(scratch)] if task == "segmentation" else []
            metric = "robust_accuracy" if task == "classification" else "robust_miou"
            trainer = train_main(
                [
                    "fit",
                    *("--config", str(BASES[task]), "--config", str(path), *on_top),
                    "--seed_everything=0",
                    f"--trainer.callbacks.dirpath={folder}/kept",
                    f"--trainer.callbacks.monitor=val/{metric}",
                    "--trainer.callbacks.filename=mine",
                    "--trainer.max_epochs=1",
                    "--trainer.logger=false",
                    "--trainer.enable_progress_bar=false",
                    f"--trainer.default_root_dir={folder}",
                    *("--data.size=32", "--data.num_train=8", "--data.num_val=4"),
                    "--data.batch_size=4",
                ]
            )
            yield f"training {path.stem} {task}", _state(trainer.model)


def dealt() -> Golden:
    """Yield the files of a run of two processes, and the images in its store."""
    for task in TASKS:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            text = yaml.safe_dump(config(task)).replace("'4/255'", "4/255")
            (folder / "config.yaml").write_text(text)
            _script(
                "attack.py",
                f"--config={folder}/config.yaml",
                f"--attack.store={folder}/store",
                f"--run.folder={folder}/run",
                "--trainer.strategy=ddp",
                "--trainer.devices=2",
            )
            yield from _results(f"two processes, {task}", folder / "run")
            told = json.loads((folder / "run/adversarial.json").read_text())["passes"]
            for one in told:
                store = folder / "store" / Path(one["folder"]).name
                for file, content in sorted(stored(store).items()):
                    if not file.endswith(".png"):
                        continue
                    image = Image.open(io.BytesIO(content))
                    pixels = hashlib.sha256(np.asarray(image).tobytes()).hexdigest()
                    yield f"stored {task} {one['attack']}-{one['source']} {file}", pixels


def embedded() -> Golden:
    """Yield rows and measures of both embedded experiments."""
    with tempfile.TemporaryDirectory() as folder:
        _script("attack.py", f"--attack.store={folder}")
    for task in ("classification", "segmentation"):
        yield from _results(f"embedded {task}", ROOT / "runs" / f"shapes_{task}")


def _script(name: str, *arguments: str) -> None:
    subprocess.run([sys.executable, str(ROOT / name), *arguments], cwd=ROOT, check=True)


def _results(name: str, run: Path) -> Golden:
    for file in RESULTS:
        if (run / file).is_file():
            yield f"{name}: {file}", hashlib.sha256((run / file).read_bytes()).hexdigest()


def _state(module: torch.nn.Module) -> str:
    sha = hashlib.sha256()
    for name, values in sorted(module.state_dict().items()):
        sha.update(name.encode() + _hashed(values).encode())
    return sha.hexdigest()


def _hashed(values: torch.Tensor) -> str:
    array = values.detach().cpu().contiguous().numpy()
    return hashlib.sha256(f"{array.dtype}{array.shape}".encode() + array.tobytes()).hexdigest()


def main() -> None:
    """Write or compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--compare", action="store_true")
    parser.add_argument("--defaults", action="store_true", help="the embedded experiments too")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    found = dict([*attacked(), *trained(), *dealt(), *(embedded() if arguments.defaults else ())])
    if not arguments.compare:
        arguments.file.write_text(json.dumps(found, indent=1, sort_keys=True))
        return
    known = json.loads(arguments.file.read_text())
    if not arguments.defaults:
        known = {name: value for name, value in known.items() if not name.startswith("embedded")}
    names = sorted(known.keys() | found.keys())
    differing = [name for name in names if known.get(name) != found.get(name)]
    print(*differing, f"{len(names) - len(differing)} of {len(names)} equal", sep="\n")
    sys.exit(bool(differing))


if __name__ == "__main__":
    main()
