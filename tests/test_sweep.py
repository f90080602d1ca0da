"""Each sweep's runs are understood, and what it optimises is logged."""

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from wandb.sdk.launch.sweeps.utils import create_sweep_command_args

from project.callbacks import RunFolder
from project.cli import attack_main, train_main
from project.evaluation import Pass
from project.evaluation.classification import ClassificationMetrics
from project.evaluation.segmentation import SegmentationMetrics
from project.evaluation.transfer import measure_name

ROOT = Path(__file__).parents[1]
SWEEPS = sorted((ROOT / "configs/sweeps").glob("*.yaml"))

pytestmark = [
    pytest.mark.filterwarnings("ignore::jsonargparse._deprecated.JsonargparseDeprecationWarning"),
    # what a measure is called is asked before anything was measured
    pytest.mark.filterwarnings("ignore:The ``compute`` method of metric"),
]


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text())
    return found


def values(parameter: dict[str, Any]) -> list[Any]:
    return parameter.get("values") or [parameter["min"], parameter["max"]]


def trials(sweep: dict[str, Any]) -> list[dict[str, Any]]:
    """Return runs in which every value of every parameter comes once at least."""
    parameters = {name: values(one) for name, one in sweep["parameters"].items()}
    longest = max(map(len, parameters.values()))
    return [
        {name: some[turn % len(some)] for name, some in parameters.items()}
        for turn in range(longest)
    ]


def command(sweep: dict[str, Any], trial: dict[str, Any]) -> list[str]:
    """Return the arguments that W&B's agent would give to the program."""
    flags = create_sweep_command_args({"args": {name: {"value": v} for name, v in trial.items()}})
    given = [part for part in sweep["command"] if part not in ("${env}", "${interpreter}")]
    assert given[0] == "${program}"
    assert given[-1] == "${args}"
    return [*given[1:-1], *flags["args"]]


@pytest.fixture
def resolved(monkeypatch, capsys):
    """Return what reads the whole config of a run."""
    monkeypatch.chdir(ROOT)

    def resolve(sweep: dict[str, Any], trial: dict[str, Any]) -> dict[str, Any]:
        main = {"attack.py": attack_main, "train.py": train_main}[sweep["program"]]
        with pytest.raises(SystemExit) as ended:
            main([*command(sweep, trial), "--print_config"])
        said = capsys.readouterr()
        assert ended.value.code == 0, said.err
        found: dict[str, Any] = yaml.safe_load(said.out)
        return found

    return resolve


def number(value: Any) -> float:
    numerator, _, denominator = str(value).partition("/")
    return float(numerator) / float(denominator or 1)


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_every_value_of_a_sweep_arrives_as_a_number(path, resolved):
    sweep = read(path)
    for trial in trials(sweep):
        config = resolved(sweep, trial)
        for name, value in trial.items():
            place: Any = config
            for part in name.split("."):
                place = place[part]
            assert place == number(value)


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_what_a_sweep_optimises_is_logged(path, resolved):
    sweep = read(path)
    config = resolved(sweep, trials(sweep)[0])
    if sweep["program"] == "train.py":
        # Lightning refuses to monitor what is not logged.
        monitored = [one["init_args"].get("monitor") for one in config["trainer"]["callbacks"]]
        assert sweep["metric"]["name"] in monitored
        return
    victims = config["model"]["victims"]
    names = {
        measure_name(measure)
        for attack in config["attack"]["attacks"]
        for source in config["attack"]["sources"] or victims
        for victim in victims
        for measure in measures(Pass(attack, source), victim, config["data"])
    }
    assert sweep["metric"]["name"] in names


def measures(step: Pass, victim: str, data: dict[str, Any]) -> list[Any]:
    """Return what a pass logs of a victim."""
    device = torch.device("cpu")
    if data["init_args"].get("task") == "classification":
        return ClassificationMetrics(step, victim, device).measures()
    return SegmentationMetrics(step, victim, device, 11).measures()


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_runs_of_a_sweep_do_not_write_into_one_folder(path, resolved, monkeypatch):
    sweep = read(path)
    config = resolved(sweep, trials(sweep)[0])
    if sweep["program"] == "train.py":
        assert config["trainer"]["callbacks"][-1]["init_args"]["dirpath"] is None
        return
    monkeypatch.setenv("WANDB_RUN_ID", "abc")
    assert RunFolder(**config["run"]).folder == "runs/sweeps/abc"
