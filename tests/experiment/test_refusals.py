"""What cannot be evaluated is refused before any attack runs, and nothing is written."""

import pytest
import torch
from torch import nn

from project.attacks import FGSM
from project.callbacks import AttackCallback, RunFolder
from project.core.errors import InputError
from project.data import ShapesData
from project.data.shapes_data import ShapeSet
from project.evaluation import TransferEvaluation
from project.victims import ClassificationVictim, VictimCheckError
from tests.experiment.scene import attacks, results, run, shapes, victim, victims


@pytest.fixture
def refused(tmp_path, attacked):
    """Return a function that runs an experiment and expects an error, and no trace of it."""

    def refuse(error: type[Exception], message: str, **experiment) -> None:
        arguments = {"victims": victims(), "attacks": attacks()} | experiment
        with pytest.raises(error, match=message):
            run(tmp_path, **arguments)
        assert attacked == []
        assert not (tmp_path / "store").exists()
        assert not (tmp_path / "run").exists()

    return refuse


def test_source_must_be_a_victim(refused):
    message = r"source 'resnet5' is not among the victims: a, b"
    refused(ValueError, message, sources=["a", "resnet5"])


@pytest.mark.parametrize(("sources", "told"), [(["a", "b", "a"], "a, b, a"), ([], "none")])
def test_sources_must_be_some_and_each_once(refused, sources, told):
    refused(InputError, f"at least one victim, each once, got {told}. Leave", sources=sources)


@pytest.mark.parametrize("name", [1, True, None, ""])
def test_names_of_attacks_must_be_text(name):
    with pytest.raises(InputError, match=f"names in attacks must be text, got {name!r}. Put them"):
        AttackCallback({name: FGSM()})


@pytest.mark.parametrize("threads", [0, -2])
def test_threads_must_be_some(threads):
    with pytest.raises(InputError, match=f"threads must be at least 1, got {threads}. Leave"):
        AttackCallback(attacks(), threads=threads)


def test_folders_must_have_a_name(monkeypatch):
    monkeypatch.setenv("MIRAGE_EMPTY", "")
    with pytest.raises(InputError, match="store must name a folder, got ''"):
        AttackCallback(attacks(), store="")
    for folder in ("", "${MIRAGE_EMPTY}"):
        with pytest.raises(InputError, match="folder must name a folder, got '"):
            RunFolder(folder)


def test_experiment_needs_an_attack():
    with pytest.raises(ValueError, match="at least one attack, got none"):
        AttackCallback({})


def test_experiment_needs_a_victim():
    with pytest.raises(ValueError, match="at least one victim, got none"):
        TransferEvaluation({})


def test_victims_must_do_the_datas_task(refused):
    mixed = {"a": victim(), "seg": victim("segmentation")}
    refused(VictimCheckError, "victim 'seg': must do classification.*Take a victim", victims=mixed)


def test_victims_must_have_the_datas_classes(refused):
    wrong = ClassificationVictim(nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 5)), 5)
    message = "victim 'five': must have the data's 6 classes, but has 5"
    refused(VictimCheckError, message, victims=victims() | {"five": wrong})


def test_victims_must_return_logits(refused):
    soft = nn.Sequential(victim(), nn.Softmax(1))
    wrapped = ClassificationVictim(soft, 6, mean=(0.0,) * 3, std=(1.0,) * 3)
    message = "victim 'soft': the output must be logits, got probabilities.*Remove the final"
    refused(VictimCheckError, message, victims={"soft": wrapped})


def test_victims_must_return_finite_logits(refused):
    broken = victim()
    with torch.no_grad():
        broken.network[1].bias[2] = float("nan")
    message = "victim 'broken': logits must be finite.*Check the weights"
    refused(VictimCheckError, message, victims={"broken": broken})


def test_victims_must_take_the_datas_size(refused):
    rigid = ClassificationVictim(nn.Sequential(nn.Flatten(), nn.Linear(3 * 48 * 48, 6)), 6)
    message = r"victim 'rigid': must take images of 32×32.*Set its input_size"
    refused(VictimCheckError, message, victims={"rigid": rigid})


def test_all_unfit_victims_are_named_at_once(refused):
    five = ClassificationVictim(nn.Flatten(), 5)
    mixed = {"seg": victim("segmentation"), "a": victim(), "five": five}
    refused(VictimCheckError, r"(?s)victim 'seg': must do.*victim 'five': must have", victims=mixed)


class NormalisedSet(ShapeSet):
    def __getitem__(self, position):
        sample = super().__getitem__(position)
        return sample | {"image": (sample["image"] - 0.45) / 0.22}


class NormalisedData(ShapesData):
    def build(self, split, frame, limit):
        return NormalisedSet("classification", split, count=11, size=32, seed=0, frame=frame)


def test_images_must_not_be_normalised_by_the_data(refused):
    message = r"images must lie in \[0, 1\].*Normalise inside the victim, not in the datamodule"
    refused(VictimCheckError, message, data=NormalisedData(batch_size=4))


def test_data_must_not_be_empty(refused):
    refused(ValueError, "at least one sample, got none", data=shapes(num_test=0))


def test_refused_experiment_keeps_the_results_of_an_earlier_one(tmp_path):
    run(tmp_path, victims=victims(), attacks=attacks())
    before = results(tmp_path)
    with pytest.raises(VictimCheckError):
        run(tmp_path, victims={"seg": victim("segmentation")}, attacks=attacks())
    assert results(tmp_path) == before
