"""Robust classifiers of RobustBench's model zoo as victims."""

from __future__ import annotations

import os
import sys
import types
from importlib.util import find_spec
from pathlib import Path, PurePath
from typing import Any, Literal
from urllib.request import getproxies

from torch import nn

from project.core.choices import choose
from project.core.errors import first_line, let_memory_errors_pass
from project.core.packages import imported
from project.victims.downloads import reachable, without_waiting
from project.victims.victim import ClassificationVictim
from project.victims.weights import WeightsError

RobustBenchDataset = Literal["cifar10", "cifar100", "imagenet"]
RobustBenchThreat = Literal["Linf", "L2", "corruptions"]

_CLASSES = {"cifar10": 10, "cifar100": 100, "imagenet": 1000}
_HOST = "https://drive.google.com"
# It pins an old timm, which pip would install; and it needs these.
_REMEDY = "pip install --no-deps robustbench==1.1.1 gdown geotorch torchdiffeq beautifulsoup4"


class RobustBenchVictim(ClassificationVictim):
    """A classifier of RobustBench's model zoo, which normalises in itself: mean 0, std 1.

    The package ``robustbench`` cannot be an extra: it pins timm 1.0.9, and its benchmark imports
    packages that it does not ask for. Install it without dependencies: ``pip install --no-deps
    robustbench==1.1.1 gdown geotorch torchdiffeq beautifulsoup4``. Only its model zoo is run.
    Some of its networks answer with probabilities, which the victim check tells of.

    Source: Croce et al., "RobustBench: a standardized adversarial robustness benchmark", NeurIPS
    2021, datasets and benchmarks [code].

    Args:
        name: as in its leaderboard, for example ``Wang2023Better_WRN-28-10``.
        dataset: ``cifar10``, ``cifar100`` or ``imagenet``.
        threat_model: that it was trained against: ``Linf``, ``L2`` or ``corruptions``.
        folder: where weights lie, or are put when they are fetched once, as
            *DATASET/THREAT_MODEL/NAME.pt*.
        input_size: side of the square that images are resized to inside; None keeps their size.

    Raises:
        InputError: if the package is not installed, or has no such network.
        WeightsError: if the weights cannot be fetched or read.
    """

    def __init__(
        self,
        name: str,
        dataset: RobustBenchDataset = "cifar10",
        threat_model: RobustBenchThreat = "Linf",
        *,
        folder: str | Path = ".cache/robustbench",
        input_size: int | None = None,
    ) -> None:
        classes = choose("dataset", _CLASSES, dataset)
        zoo = _zoo()
        known = zoo.all_models[zoo.BenchmarkDataset(dataset)]
        threats = {threat.value: networks for threat, networks in known.items()}
        published = choose("name", choose("threat_model", threats, threat_model), name)
        place = Path(os.path.expandvars(folder)).expanduser()
        _require_files(published["gdrive_id"], place / dataset / threat_model, name)
        super().__init__(
            _loaded(zoo, name, dataset, threat_model, place),
            classes,
            mean=(0.0, 0.0, 0.0),
            std=(1.0, 1.0, 1.0),
            input_size=input_size,
            interpolation="bicubic",
        )
        self.name = name
        self.dataset = dataset
        self.threat_model = threat_model
        self.folder = PurePath(folder)  # told by its name: other networks' files lie there too


def _zoo() -> Any:
    """Import the loader of networks, without the benchmark that its package imports first."""
    spec = find_spec("robustbench")
    if spec is not None and "robustbench" not in sys.modules:
        package = types.ModuleType("robustbench")
        package.__path__ = list(spec.submodule_search_locations or [])
        package.__spec__ = spec
        sys.modules["robustbench"] = package
    return imported("robustbench.utils", "RobustBenchVictim", _REMEDY)


def _require_files(published: str | list[str] | None, place: Path, name: str) -> None:
    """Refuse a download that cannot be; where a proxy is set, only it knows what can be reached."""
    count = len(published) if isinstance(published, list) else int(bool(published))
    single = not isinstance(published, list)
    files = [f"{name}.pt" if single else f"{name}_m{part}.pt" for part in range(count)]
    lost = [file for file in files if not (place / file).is_file()]
    if lost and not (getproxies() or reachable(_HOST)):
        raise WeightsError(
            f"the published weights of {name!r} could not be fetched, since {_HOST} does not "
            f"answer. Connect to the internet once, or put {', '.join(lost)} into {str(place)!r}."
        )


def _loaded(zoo: Any, name: str, dataset: str, threat_model: str, place: Path) -> nn.Module:
    try:
        with without_waiting():
            network: nn.Module = zoo.load_model(
                name, model_dir=place, dataset=dataset, threat_model=threat_model
            )
    except Exception as error:  # of a download, of a damaged file, or of weights that do not fit
        let_memory_errors_pass(error)
        raise WeightsError(
            f"the published weights of {name!r} could not be loaded ({type(error).__name__}: "
            f"{first_line(error)}). Remove its files from {str(place / dataset / threat_model)!r} "
            "and fetch them anew."
        ) from error
    return network
