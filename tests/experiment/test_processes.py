"""Many processes make the files of one, byte for byte, however they are started."""

import re
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
import yaml
from torch.distributed.launcher.api import elastic_launch
from torch.distributed.run import config_from_args, parse_args

from project.cli.attack import attack_main
from tests.experiment.scene import IMAGES, METRICS, results, stored
from tests.ports import free_port
from tests.processes import ROOT, script, start, status
from tests.storage import damage

# Two experiments in one process, as `python attack.py` does without a config.
_SCRIPT = """
import sys
from project.cli.attack import attack_main
folder, *arguments = sys.argv[1:]
for task in ("classification", "segmentation"):
    attack_main([f"--config={task}.yaml", f"--attack.store={folder}/{task}/store",
                 f"--run.folder={folder}/{task}/run", "--trainer.strategy=ddp", *arguments])
if folder == "lightning":  # cannot be dealt to two processes
    attack_main(["--config=classification.yaml", "--data.num_test=1", "--attack.store=few",
                 "--trainer.strategy=ddp", *arguments])
"""
TASKS = ("classification", "segmentation")


def config(task: str) -> dict:
    """Return an experiment whose samples neither the batch size nor the ranks divide."""

    def fitted(seed: int) -> dict:
        kind = "FittedClassifier" if task == "classification" else "FittedSegmenter"
        return {"class_path": f"tests.experiment.scene.{kind}", "init_args": {"seed": seed}}

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
            "init_args": {"task": task, "size": 32, "num_test": IMAGES, "batch_size": 2},
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


def by_lightning(said: Path) -> list[BaseProcess]:
    """Two processes, the second a fresh Python that the first starts."""
    command = ["script.py", "lightning", "--trainer.devices=2"]
    return [start(script, *command, environment={"MASTER_PORT": str(free_port())}, said=said)]


def by_torchrun(said: Path) -> list[BaseProcess]:
    """Four processes on two nodes, both of which are this machine."""
    options = [f"--master-port={free_port()}", "--master-addr=127.0.0.1", "--nnodes=2"]
    options.append("--nproc-per-node=2")
    command = ["script.py", "torchrun", "--trainer.num_nodes=2", "--trainer.devices=2"]
    return [
        start(torchrun, *options, f"--node-rank={node}", *command, said=said) for node in range(2)
    ]


def torchrun(*arguments: str) -> None:
    """Do as torchrun does, but fork the processes of the script instead of starting Python."""
    given = parse_args(arguments)
    launch = config_from_args(given)[0]
    launch.start_method = "fork"
    elastic_launch(launch, script)(given.training_script, *given.training_script_args)


def by_slurm(said: Path) -> list[BaseProcess]:
    """Two tasks with the variables that srun gives them, who take batches when they are free."""
    common = {"SLURM_JOB_ID": "4242", "SLURM_JOB_NAME": "mirage", "SLURM_NTASKS": "2"}
    common |= {
        "SLURM_NTASKS_PER_NODE": "2",
        "SLURM_NODEID": "0",
        "SLURM_NODELIST": "127.0.0.1",
        "MASTER_PORT": str(free_port()),
    }
    stealing = f"--config={ROOT / 'configs/launch/stealing.yaml'}"
    command = ["script.py", "slurm", "--trainer.devices=2", stealing]
    tasks = [common | {"SLURM_PROCID": rank, "SLURM_LOCALID": rank} for rank in ("0", "1")]
    return [start(script, *command, environment=task, said=said) for task in tasks]


MANNERS = {"lightning": by_lightning, "torchrun": by_torchrun, "slurm": by_slurm}
RANKS = {"lightning": 2, "torchrun": 4, "slurm": 2}


@pytest.fixture(scope="module")
def launched(folder, manner) -> tuple[str, int, str]:
    """Return the manner, the largest exit status of what was started, and all that it said."""
    said = folder / f"{manner}.txt"
    with pytest.MonkeyPatch.context() as here:
        here.chdir(folder)
        here.setenv("PYTHONPATH", str(ROOT))  # for a fresh Python
        running = MANNERS[manner](said)
    try:
        statuses = [status(process) for process in running]
    finally:
        for process in running:
            process.kill()
    return manner, max(map(abs, statuses)), said.read_text()


@pytest.fixture(scope="module")
def one_process(folder) -> Path:
    """Return the folder of what one process makes."""
    for task in TASKS:
        with pytest.MonkeyPatch.context() as here:
            here.chdir(folder)
            made = [f"--attack.store=one/{task}/store", f"--run.folder=one/{task}/run"]
            attack_main([f"--config={task}.yaml", *made, "--trainer.logger=false"])
    return folder / "one"


@pytest.mark.slow
@pytest.mark.parametrize("manner", MANNERS, scope="module")
@pytest.mark.filterwarnings("ignore::jsonargparse._deprecated.JsonargparseDeprecationWarning")
def test_many_processes_make_the_files_of_one(folder, one_process, launched):
    manner, status, said = launched
    ranks = RANKS[manner]
    assert f"GLOBAL_RANK: {ranks - 1}, MEMBER: {ranks}/{ranks}" in said
    assert (status == 0) == (manner != "lightning")  # whose last experiment is refused
    for task in TASKS:
        one, many = one_process / task, folder / manner / task
        passes = [path for path in (one / "store").iterdir() if not path.name.startswith("clean-")]
        for path in passes:
            assert sum(name.endswith(".png") for name in damage.stored(path)) == IMAGES
        assert passes
        assert stored(many / "store") == stored(one / "store")
        assert results(many) == results(one)


@pytest.mark.slow
@pytest.mark.parametrize("manner", ["lightning"], scope="module")
def test_fewer_batches_than_processes_is_an_error_and_no_hang(folder, launched):
    _, status, said = launched
    assert status != 0
    assert "every rank needs at least one batch, got 1 batches (1 samples, batch size 1)" in said
    assert "Use fewer devices or a smaller batch_size." in said
    assert not (folder / "few").exists()


@pytest.mark.slow
@pytest.mark.parametrize("manner", ["slurm"], scope="module")
def test_work_stealing_hands_out_the_batches_of_all_passes(launched):
    _, _, said = launched
    handed_out = re.findall(r"attacks of all passes: 100%\|█+\| (\d+)/\1 ", said)
    assert len(handed_out) == len(TASKS)
    assert all(int(batches) > 0 for batches in handed_out)
