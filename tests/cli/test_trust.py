"""A config from somebody else builds classes of the right kind, and calls nothing else."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from project.cli.attack import AttackCLI, experiment
from project.cli.foreign import require_own
from project.cli.trust import class_paths
from project.core.errors import InputError, plain_errors

DATA = {"class_path": "ShapesData", "init_args": {"task": "classification"}}
VICTIM = {"class_path": "TimmVictim", "init_args": {"architecture": "resnet10t"}}
OWN = """
import torch
from pathlib import Path
from project.attacks import PGD
from project.saliency import Saliency

class MyAttack(PGD):
    pass

class MySaliency(Saliency):
    def __call__(self, images):
        return images.mean(1, keepdim=True)

def saliency(images) -> torch.Tensor:
    return images.mean(1, keepdim=True)

def made(path: str) -> Saliency:
    Path(path).touch()
    return MySaliency()

def victim(path: str) -> torch.nn.Module:
    Path(path).touch()

def attack(path: str) -> PGD:
    Path(path).touch()
    return PGD()

class Bystander:
    def __init__(self, path: str):
        Path(path).touch()
"""


class Parsed(AttackCLI):
    """An experiment of which the command line alone is read, and the attacks are built."""

    def before_instantiate_classes(self) -> None: ...

    def instantiate_classes(self) -> None:
        self.config_init = self.parser.instantiate_classes(self.config)


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A module of the user's own; and the file that its functions would write."""
    (tmp_path / "mine_of_trust.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("TORCH_FORCE_WEIGHTS_ONLY_LOAD", "0")
    yield tmp_path / "owned"
    sys.modules.pop("mine_of_trust", None)


def parsed(folder: Path, *, attack: Any = None, **sections: Any) -> Any:
    attack = {"class_path": "PGD"} if attack is None else attack
    config = {
        "data": DATA,
        "model": {"victims": {"v": VICTIM}},
        "attack": {"attacks": {"a": attack}},
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config | sections))
    return experiment([f"--config={path}", "--trainer.logger=false"], Parsed).config_init


def ssta(saliency: Any) -> dict[str, Any]:
    return {"class_path": "SSTA", "init_args": {"saliency": saliency}}


def called(name: str, **arguments: Any) -> dict[str, Any]:
    return {"class_path": name, "init_args": arguments}


def hostile(file: str) -> dict[str, dict[str, Any]]:
    """Configs that would call what they name, if they were let."""
    touch = called("os.system", command=f"touch {file}")
    inside = called("Refined", attack=ssta(touch))
    return {
        "function": {"attack": ssta(touch)},
        "deeper": {"attack": called("BestOf", attacks=[{"class_path": "PGD"}, inside])},
        "class of the library": {"attack": ssta(called("subprocess.Popen", args=["touch", file]))},
        "partial": {"attack": ssta(called("functools.partial", func="os.system"))},
        "by another name": {"attack": ssta(called("torch.os.system", command=f"touch {file}"))},
        "program": {"attack": ssta("idlelib.idle.main")},
        "function of an installed library": {
            "attack": ssta(called("torch.hub.load", repo_or_dir=file, model="x", source="local"))
        },
        "class of an installed library": {
            "attack": ssta(called("torch.utils.tensorboard.SummaryWriter", log_dir=file))
        },
        "own function with a fitting type": {
            "attack": ssta(called("mine_of_trust.made", path=file))
        },
        "own function for an attack": {"attack": called("mine_of_trust.attack", path=file)},
        "class of another kind": {"attack": called("mine_of_trust.Bystander", path=file)},
        "victim": {"model": {"victims": {"v": called("mine_of_trust.victim", path=file)}}},
        "function of Python's for a victim": {
            "model": {
                "victims": {"v": called("ImportedClassifier", function="os:abort", num_classes=4)}
            }
        },
        "data": {"data": called("mine_of_trust.victim", path=file)},
        "callback": {"trainer": {"callbacks": [called("os.system", command=f"touch {file}")]}},
        "logger": {"trainer": {"logger": called("mine_of_trust.Bystander", path=file)}},
        "plugin": {"trainer": {"plugins": [called("mine_of_trust.Bystander", path=file)]}},
        "profiler": {"trainer": {"profiler": called("mine_of_trust.Bystander", path=file)}},
        "strategy": {"trainer": {"strategy": called("mine_of_trust.Bystander", path=file)}},
    }


@pytest.mark.parametrize("kind", hostile(""))
@pytest.mark.filterwarnings("ignore::jsonargparse._deprecated.JsonargparseDeprecationWarning")
def test_what_is_no_class_of_the_right_kind_is_never_called(mine, tmp_path, capsys, kind):
    with pytest.raises(SystemExit) as left, plain_errors():
        parsed(tmp_path, **hostile(str(mine))[kind])
    assert left.value.code
    assert not mine.exists()
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore::jsonargparse._deprecated.JsonargparseDeprecationWarning")
def test_what_stands_where_anything_may_stand_stays_a_dictionary(mine, tmp_path):
    inside = called("mine_of_trust.Bystander", path=str(mine))
    arguments = {"architecture": "resnet10t", "model_args": {"drop_rate": inside}}
    parsed(tmp_path, model={"victims": {"v": called("TimmVictim", **arguments)}})
    assert not mine.exists()


@pytest.mark.filterwarnings("ignore::jsonargparse._deprecated.JsonargparseDeprecationWarning")
def test_own_classes_and_functions_are_used(mine, tmp_path):
    for saliency in ("mine_of_trust.MySaliency", "mine_of_trust.saliency"):
        found = parsed(tmp_path, attack=ssta(saliency)).attack.attacks["a"].provider
        assert found(torch.rand(1, 3, 4, 4)).shape == (1, 1, 4, 4)
    found = parsed(tmp_path, attack={"class_path": "mine_of_trust.MyAttack"}).attack.attacks["a"]
    assert type(found).__name__ == "MyAttack"


@pytest.mark.filterwarnings("ignore::jsonargparse._deprecated.JsonargparseDeprecationWarning")
def test_weights_are_loaded_without_code_by_every_library(mine, tmp_path):
    parsed(tmp_path)
    torch.save(os.getcwd, tmp_path / "code.pt")
    with pytest.raises(Exception, match=r"weights_only|Weights only"):
        torch.load(tmp_path / "code.pt", weights_only=False)


def test_names_are_found_at_any_depth():
    config = {"a": [{"class_path": "x.Y", "init_args": {"b": {"class_path": "Z"}}}]}
    assert list(class_paths(config)) == [("a[0]", "x.Y"), ("a[0].init_args.b", "Z")]


@pytest.mark.parametrize(
    "function", ["mine_of_trust:victim", "torchvision.models:resnet18", "torch.nn:Flatten"]
)
def test_functions_that_a_run_folder_of_others_would_call_need_a_word(mine, function):
    """Those of Mirage and Lightning are never called; see ImportedClassifier."""
    victim = called("project.victims.ImportedClassifier", function=function, num_classes=4)
    with pytest.raises(InputError, match=rf"outside of Mirage.*: {function}\. .* add --trust"):
        require_own({"model": {"victims": {"v": victim}}}, "config.yaml")
    assert "mine_of_trust" not in sys.modules


@pytest.mark.parametrize(
    "attack", [ssta("mine_of_trust.saliency"), {"class_path": "mine_of_trust.A"}]
)
def test_code_of_others_in_a_run_folder_needs_a_word(mine, attack):
    with pytest.raises(InputError, match=r"outside of Mirage.*: mine_of_trust\..* add --trust"):
        require_own({"attack": {"attacks": {"a": attack}}}, "config.yaml")
    assert "mine_of_trust" not in sys.modules


def test_run_folder_of_mirages_own_classes_needs_none():
    names = {"class_path": "project.attacks.SSTA", "init_args": {"layer": "network.encoder[-2]"}}
    more = {"trainer": {"logger": {"class_path": "lightning.pytorch.loggers.CSVLogger"}}}
    require_own(
        {"a": names, "data": {"root": "photos.tar/x.y", "labels": "labels.csv"}} | more, "it"
    )
