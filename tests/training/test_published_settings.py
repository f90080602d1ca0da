"""The configs of published trainings say what the authors' code says, epoch by epoch."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import yaml

from project.training import Cyclic, LearningRateSchedule, Piecewise, Polynomial

TRAIN = Path(__file__).parents[2] / "configs" / "train"
SCHEDULES = {kind.__name__: kind for kind in (Piecewise, Cyclic, Polynomial)}
EPS = "8/255"


def number(value: Any) -> Any:
    """Return a fraction of a config as the number that the command line reads."""
    if isinstance(value, list):
        return [number(one) for one in value]
    return float(Fraction(value)) if isinstance(value, str) else value


def merged(*names: str) -> dict[str, Any]:
    """Return what configs say together: a later one replaces entries, lists and classes."""
    together: dict[str, Any] = {}
    for name in names:
        put(together, yaml.safe_load((TRAIN / f"{name}.yaml").read_text()))
    return together


def put(onto: dict[str, Any], content: dict[str, Any]) -> None:
    for key, value in content.items():
        if (
            isinstance(value, dict)
            and isinstance(onto.get(key), dict)
            and "class_path" not in value
        ):
            put(onto[key], value)
        else:
            onto[key] = value


def schedule(config: dict[str, Any]) -> LearningRateSchedule:
    entry = config["model"]["init_args"]["schedule"]
    return SCHEDULES[entry["class_path"]](**{k: number(v) for k, v in entry["init_args"].items()})


def drops(first: float, *epochs: int) -> Callable[[int], float]:
    """Return the rate of an epoch, which is a tenth from each of some epochs on."""
    return lambda epoch: first * 0.1 ** sum(epoch >= mark for mark in epochs)


# Epochs, rate of an epoch, the number of the first epoch in the code, weight decay.
CIFAR = {
    "pgd": (200, drops(0.1, 100, 150), 0, 5e-4),  # locuslab/robust_overfitting
    "awp": (200, drops(0.1, 100, 150), 0, 5e-4),  # csdongxian/AWP, AT_AWP
    "trades": (76, drops(0.1, 75, 90, 100), 1, 2e-4),  # yaodongyu/TRADES
    "trades_awp": (200, drops(0.1, 100, 150), 1, 5e-4),  # csdongxian/AWP, trades_AWP
    "mart": (120, drops(0.01, 75, 90, 100), 1, 3.5e-3),  # YisenWang/MART, train_resnet
    "mart mart_wide": (90, drops(0.1, 75, 90, 100), 1, 7e-4),  # and train_wideresnet
}


@pytest.mark.parametrize("base", ["cifar10_resnet18", "cifar10_wrn_28_10"])
@pytest.mark.parametrize("recipe", CIFAR)
def test_rate_of_every_epoch_is_that_of_the_authors_code(base: str, recipe: str):
    epochs, rate, first, decay = CIFAR[recipe]
    config = merged(base, *(f"robust/cifar10/{name}" for name in recipe.split()))
    arguments, steps = config["model"]["init_args"], 382
    assert config["trainer"]["max_epochs"] == epochs
    assert arguments["weight_decay"] == decay
    assert arguments["optimizer"] == "heavy_ball"
    assert config["data"]["init_args"]["batch_size"] == 128
    course = schedule(config)
    for epoch in range(epochs):
        for step in (0, 1, steps - 1):
            progress = (epoch * steps + step) / (epochs * steps)
            factor = arguments["learning_rate"] * course.factor(progress)
            assert factor == pytest.approx(rate(first + epoch)), epoch


def test_fast_training_goes_up_and_down_in_15_epochs():
    config = merged("cifar10_resnet18", "robust/cifar10/fast")
    assert config["trainer"]["max_epochs"] == 15
    assert config["model"]["init_args"]["learning_rate"] == 0.2
    assert schedule(config) == Cyclic(0.5)


@pytest.mark.parametrize(
    ("recipe", "kind", "arguments"),
    [
        ("cifar10/pgd", "PGD", {"step_size": "2/255", "steps": 10}),
        ("cifar10/awp", "PGD", {"step_size": "2/255", "steps": 10}),
        ("cifar10/mart", "PGD", {"step_size": "2/255", "steps": 10}),
        *(
            (
                f"cifar10/{name}",
                "PGD",
                {"step_size": "2/255", "steps": 10, "objective": "KullbackLeibler"},
            )
            for name in ("trades", "trades_awp")
        ),
        ("cifar10/fast", "PGD", {"step_size": "10/255", "steps": 1}),
        ("segmentation/pgd", "PGD", {"step_size": 0.01, "steps": 7}),
        ("segmentation/segpgd", "SegPGD", {"step_size": 0.01, "steps": 7}),
    ],
)
def test_attack_of_a_recipe_is_the_published_one(recipe: str, kind: str, arguments: dict):
    text = (TRAIN / "robust" / f"{recipe}.yaml").read_text()
    batches, kept = yaml.safe_load(text)["trainer"]["callbacks"]
    (attack,) = batches["init_args"]["attacks"].values()
    assert attack == {"class_path": kind, "init_args": {"eps": EPS} | arguments}
    for judge in batches["init_args"].get("validation", {}).values():
        assert judge["class_path"] == "PGD"
        assert judge["init_args"]["eps"] == EPS
    metric = "robust_accuracy" if recipe.startswith("cifar10") else "robust_miou"
    assert (kept["init_args"]["monitor"], kept["init_args"]["mode"]) == (f"val/{metric}", "max")


@pytest.mark.parametrize(("data", "epochs"), [("voc", 50), ("cityscapes", 400)])
@pytest.mark.parametrize("network", ["pspnet50", "deeplabv3_50"])
def test_segmenters_have_the_settings_of_the_published_code(data: str, epochs: int, network: str):
    config = merged(f"{data}_{network}", "robust/segmentation/segpgd")
    arguments = config["model"]["init_args"]
    assert config["trainer"]["max_epochs"] == epochs
    assert config["data"]["init_args"]["batch_size"] == 16
    assert (arguments["learning_rate"], arguments["weight_decay"]) == (0.01, 0.0001)
    assert schedule(config) == Polynomial(0.9)


@pytest.mark.parametrize(
    "path",
    sorted(TRAIN.glob("robust/*/*.yaml")),
    ids=lambda path: f"{path.parent.name}-{path.stem}",
)
def test_head_of_a_recipe_tells_what_is_published_and_what_deviates(path: Path):
    text = path.read_text()
    head = " ".join(line for line in text.splitlines() if line.startswith("#"))
    assert text.startswith("# ")
    assert "Published, in %" in head
    assert "Deviation" in head or path.stem == "mart_wide"  # whose are those of mart
