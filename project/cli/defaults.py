"""What an experiment's command line does not name is the embedded default of its task.

An experiment is data × victims × attacks. Each that no config and no argument names is taken from
the embedded shapes, of the task that the others are for, and one line says so. Where nothing is
named there are two experiments, one of each task.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from lightning.pytorch.utilities import rank_zero_only

import project.victims
from project.cli.trust import class_paths
from project.core.errors import InputError
from project.core.yaml_files import parse_yaml, read_yaml
from project.victims.victim import Task

CONFIGS = Path(__file__).parents[2] / "configs"
EMBEDDED: dict[Task, dict[str, str]] = {
    "classification": {
        "data": "data/shapes_classification",
        "victims": "victims/shapes_classifiers",
        "attacks": "attacks/shapes_classification",
    },
    "segmentation": {
        "data": "data/shapes_segmentation",
        "victims": "victims/shapes_segmenters",
        "attacks": "attacks/segmentation",
    },
}
TRAININGS: dict[Task, str] = {
    "classification": "train/shapes_resnet10t",
    "segmentation": "train/shapes_fpn",
}
_EMBEDDED_DATA = "ShapesData"
_LIMIT = "--data.limit=24"
_NAMING = {"config", "c", "data", "model", "help", "h", "print_config"}

# Made for victims with a class for each pixel, though a classifier's single answer suits them too.
_OF_PIXELS = {
    *("SegPGD", "CosPGD", "TranSegPGD", "FSPGD", "SEA", "DAG", "ALMAProx"),
    *("AdversarialSplit", "CosineWeighted", "TwoStage", "FeatureSimilarity"),
    *("MaskedCrossEntropy", "BalancedCrossEntropy", "JensenShannon", "TargetMaps"),
}


@dataclass
class Named:
    """What a command line and its configs name.

    Attributes:
        parts: data, victims and attacks, as far as they are named.
        classes: the last part of each ``class_path`` within a part; of the data their own first.
        task: of the data, where they or an argument say it.
        counted: whether they say how many samples there are.
        folder: of the run, where one is said.
    """

    parts: set[str] = field(default_factory=set)
    classes: dict[str, list[str]] = field(default_factory=dict)
    task: str | None = None
    counted: bool = False
    folder: str | None = None

    def add(self, part: str, content: Any) -> None:
        """Add what a config or an argument says of a part; nothing of it names nothing."""
        if not content:
            return
        self.parts.add(part)
        named = [path for _, path in class_paths(content)]
        if isinstance(content, str):
            named = [content]
        elif isinstance(content, Mapping):  # {pgd: PGD} names a class, too
            named += [value for value in content.values() if isinstance(value, str)]
        self.classes[part] = [path.rpartition(".")[2] for path in named]

    def kind(self) -> Task | None:
        """Return the task of what is named; None where it is not known, such as of own classes."""
        if self.classes.get("data", [None])[0] == _EMBEDDED_DATA or not self.parts:
            return _task(self.task)
        for name in self.classes.get("victims", []):
            if found := _task(getattr(getattr(project.victims, name, None), "task", None)):
                return found
        if _OF_PIXELS.intersection(self.classes.get("attacks", [])):
            return "segmentation"
        return _task(self.task)


def completed(args: Sequence[str]) -> list[list[str]]:
    """Return the command lines of the experiments that a command line means.

    Args:
        args: as given; what is added stands before, so that whatever is given wins.

    Returns:
        One, or where nothing but settings is named one of each task.

    Raises:
        InputError: if data are named for which there is no embedded victim.
    """
    given = list(args)
    if any(
        argument in ("-h", "--help") or argument.split("=")[0].endswith(".help")
        for argument in given
    ):
        return [given]
    named = _named(given)
    missing = [part for part in EMBEDDED["classification"] if part not in named.parts]
    if not missing:
        return [given]
    kind = named.kind()
    if len(missing) == len(EMBEDDED["classification"]):
        if kind is not None:
            return [[*_whole(kind), *_limit(named), *given]]
        # One folder for both would hold the second alone.
        own = "--run.folder={}_{}".format
        return [
            [
                *_whole(task),
                *_limit(named),
                *given,
                *([own(named.folder, task)] if named.folder else []),
            ]
            for task in get_args(Task)
        ]
    if (
        "victims" in missing
        and "data" in named.parts
        and named.classes["data"][:1] != [_EMBEDDED_DATA]
    ):
        raise InputError(
            f"victims must be named for {named.classes['data'][0]}, since the embedded ones know "
            "only the embedded shapes. Add --config configs/victims/….yaml."
        )
    task = kind or "classification"
    # The embedded victims know the embedded data as their own config draws them.
    drawn = ["data"] if "victims" in missing and "data" in named.parts else []
    chosen = {part: EMBEDDED[task][part] for part in [*drawn, *missing]}
    limit = _limit(named) if "data" in missing else []
    told = ", ".join([*(f"configs/{EMBEDDED[task][part]}.yaml" for part in missing), *limit])
    rank_zero_only(print)(
        f"{' and '.join(missing)} not named, so the embedded default for {task}: {told}", flush=True
    )
    return [[*(f"--config={CONFIGS / name}.yaml" for name in chosen.values()), *limit, *given]]


def completed_training(args: Sequence[str]) -> list[str]:
    """Return the command line of a training, which is an embedded one where nothing is named.

    One that names its data but no model, or the other way about, is left for the parser to refuse:
    nothing embedded could stand in for either.
    """
    options = dict(_options(args))
    naming = {key.partition(".")[0] for key in options if key != "data.task"}
    task = _task(options.get("data.task", "classification"))
    if list(args[:1]) != ["fit"] or naming & _NAMING or task is None:
        return list(args)
    rank_zero_only(print)(
        f"nothing to train is named, so the embedded default: configs/{TRAININGS[task]}.yaml",
        flush=True,
    )
    return ["fit", f"--config={CONFIGS / TRAININGS[task]}.yaml", *args[1:]]


def _whole(task: Task) -> list[str]:
    return [
        *(f"--config={CONFIGS / name}.yaml" for name in EMBEDDED[task].values()),
        f"--run.folder=runs/shapes_{task}",
        f"--run.title=Embedded shapes, {task}",
    ]


def _limit(named: Named) -> list[str]:
    """Return the limit on the embedded samples, unless their number is given."""
    return [] if named.counted else [_LIMIT]


def _task(name: object) -> Task | None:
    return next((task for task in get_args(Task) if task == name), None)


def _named(args: Sequence[str]) -> Named:
    """Return what is named; what cannot be read is told by the parser, which reads it again."""
    named = Named()
    for key, value in _options(args):
        if key in ("config", "c"):
            for section in _contents(value):
                _add_config(named, section)
        elif key in ("data", "data.class_path"):
            named.add("data", _value(value))
        elif key in ("data.task", "data.init_args.task"):
            named.task = value
        elif key in ("data.num_test", "data.init_args.num_test"):
            named.counted = True
        elif key == "run.folder":
            named.folder = value
        elif f"{key}.".startswith("model.victims."):
            named.add("victims", _value(value))
        elif f"{key}.".startswith("attack.attacks."):
            named.add("attacks", _value(value))
    return named


def _add_config(named: Named, config: Mapping[str, Any]) -> None:
    data = config.get("data")
    if isinstance(data, Mapping):
        arguments = data.get("init_args")
        settings = arguments if isinstance(arguments, Mapping) else data
        named.task = settings.get("task") or named.task
        named.counted |= "num_test" in settings
        data = data if "class_path" in data else None
    named.add("data", data)
    run = config.get("run")
    named.folder = (run.get("folder") if isinstance(run, Mapping) else None) or named.folder
    for part, section in (("victims", "model"), ("attacks", "attack")):
        content = config.get(section)
        named.add(part, content.get(part) if isinstance(content, Mapping) else None)


def _options(args: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the options of a command line with their values, written by = or behind a blank."""
    for place, argument in enumerate(args):
        if not argument.startswith("-"):
            continue
        key, sign, value = argument.lstrip("-").partition("=")
        if not sign and place + 1 < len(args):
            value = args[place + 1]
        yield key.removesuffix("+"), value


def _contents(config: str) -> Iterator[Mapping[str, Any]]:
    """Yield the sections of a config, a file or YAML itself; none if it is neither."""
    try:
        path = Path(config)
        content = read_yaml(path) if path.is_file() else parse_yaml(config, "the config")
    except (InputError, OSError, ValueError):
        return
    if isinstance(content, Mapping):
        yield content


def _value(text: str) -> Any:
    try:
        return parse_yaml(text, "the argument")
    except InputError:
        return text
