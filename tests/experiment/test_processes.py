"""Two processes make the files of one, byte for byte, from the command line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from project.attack_cli import attack_main
from tests.experiment.scene import IMAGES, METRICS, results, stored

ROOT = Path(__file__).parents[2]
_PATIENCE = 400  # seconds, on a machine with other work; a hang takes longer

# Two experiments in one process, as `python attack.py` does without a config, and one that
# cannot be dealt to two processes.
_SCRIPT = """
import sys
from project.attack_cli import attack_main
if __name__ == "__main__":
    for task in ("classification", "segmentation"):
        attack_main([f"--config={task}.yaml", f"--attack.store=two/{task}/store",
                     f"--run.folder=two/{task}/run", *sys.argv[1:]])
    attack_main(["--config=classification.yaml", "--data.num_test=4", "--attack.store=few",
                 *sys.argv[1:]])
"""
TASKS = ("classification", "segmentation")


def config(task: str) -> dict:
    """Return an experiment whose samples neither the batch size nor two ranks divide."""

    def fitted(seed: int) -> dict:
        return {
            "class_path": "tests.experiment.scene.victim",
            "init_args": {"task": task, "seed": seed},
        }

    tiny = {"class_path": "TimmVictim", "init_args": {"architecture": "test_resnet"}}
    tiny["init_args"]["num_classes"] = 6
    more = {"tiny.r32_x": tiny} if task == "classification" else {}
    features = {"tiny": {"class_path": "VictimFeatures", "init_args": {"victim": tiny}}}
    attacks = {"pgd": {"class_path": "PGD", "init_args": {"eps": "4/255", "steps": 2}}}
    if task == "segmentation":
        attacks = {"transegpgd": {"class_path": "TranSegPGD", "init_args": {"steps": 4}}}
    else:
        attacks["ssta"] = {"class_path": "SSTA", "init_args": {"steps": 3}}
    return {
        "seed_everything": 0,
        "data": {
            "class_path": "ShapesData",
            "init_args": {"task": task, "size": 32, "num_test": IMAGES, "batch_size": 4},
        },
        "model": {
            "victims": {"a": fitted(1), "b": fitted(2)} | more,
            "metrics": list(METRICS),
            "features": features,
        },
        "attack": {"attacks": attacks, "threads": 1},
        "trainer": {"accelerator": "cpu", "devices": 1, "enable_progress_bar": False},
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Return a folder with one config per task."""
    folder = tmp_path_factory.mktemp("processes")
    for task in TASKS:
        text = yaml.safe_dump(config(task)).replace("'4/255'", "4/255")
        (folder / f"{task}.yaml").write_text(text)
    (folder / "script.py").write_text(_SCRIPT)
    return folder


@pytest.fixture(scope="module")
def two_processes(folder) -> subprocess.CompletedProcess:
    environment = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "WANDB_MODE": "disabled"}
    return subprocess.run(
        [sys.executable, "script.py", "--trainer.devices=2", "--trainer.strategy=ddp"],
        cwd=folder,
        env=os.environ | environment,
        timeout=_PATIENCE,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def one_process(folder, monkeypatch):
    """Return what runs an experiment here."""
    monkeypatch.chdir(folder)
    return lambda task: attack_main(
        [
            f"--config={task}.yaml",
            f"--attack.store=one/{task}/store",
            f"--run.folder=one/{task}/run",
            "--trainer.logger=false",
        ]
    )


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.filterwarnings("ignore::jsonargparse._deprecated.JsonargparseDeprecationWarning")
def test_two_processes_make_the_files_of_one(folder, two_processes, one_process, task):
    assert "GLOBAL_RANK: 1, MEMBER: 2/2" in two_processes.stderr
    one_process(task)
    one, two = folder / "one" / task, folder / "two" / task
    images = stored(one / "store")
    passes = len(list((one / "store").iterdir()))
    assert sum(name.endswith(".png") for name in images) == passes * IMAGES
    assert stored(two / "store") == images
    assert results(two) == results(one)


@pytest.mark.slow
def test_fewer_batches_than_processes_is_an_error_and_no_hang(folder, two_processes):
    assert two_processes.returncode != 0
    told = two_processes.stderr
    assert "every rank needs at least one batch, got 1 batches (4 samples, batch size 4)" in told
    assert "Use fewer devices or a smaller batch_size." in told
    assert not (folder / "few").exists()
