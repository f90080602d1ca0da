"""Whole small experiments, and what W&B has of them."""

import json
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest
from torch import nn

from project.evaluation.transfer import measure_name
from project.storage.rows import read_measures
from project.tracking import MirageWandbLogger
from project.victims import ClassificationVictim
from project.victims.check import VictimCheckError
from tests.experiment.scene import IMAGES, attacks, results, run, shapes, victims
from tests.tracking.offline import read


@pytest.fixture
def logger(tmp_path):
    return MirageWandbLogger(save_dir=str(tmp_path / "save"))


def test_an_experiment_is_tracked_under_the_names_of_its_measures(tmp_path, logger):
    config = {"attack": {"attacks": {"pgd": {"init_args": {"eps": 0.5}}}}, "run": {"gallery": 2}}
    logger.log_hyperparams(config)
    run(tmp_path, victims=victims(), attacks=attacks(), logger=logger)
    found, measures = read(tmp_path / "save"), read_measures(tmp_path / "run/metrics.csv")
    logged = {measure_name(one): one.value for one in measures}
    assert len(logged) == len(measures)
    assert "pgd/a/b/asr" in logged
    assert {name: found.history[name] for name in logged} == pytest.approx(logged, nan_ok=True)
    assert {name: found.config[name] for name in config} == config
    assert found.config["facts"]["images"] == IMAGES
    assert set(found.configured.values()) == {1}
    assert found.exits == [0]


def test_the_manifest_tells_what_sha256sum_tells_of_the_store(tmp_path):
    run(tmp_path, victims=victims(), attacks=attacks(), sources=["a"])
    manifest = json.loads((tmp_path / "run/adversarial.json").read_text())
    assert [one["attack"] for one in manifest["passes"]] == ["pgd", "fgsm"]
    for one in manifest["passes"]:
        (folder,) = (tmp_path / "store").glob(f"{one['attack'].upper()}-*")
        assert not Path(one["folder"]).is_absolute()
        assert Path(one["folder"]).resolve() == folder.resolve()
        assert one["key"].startswith(folder.name.rsplit("-", 1)[1])
        unpacked = tmp_path / "unpacked" / folder.name
        for path in folder.glob("*.zip"):
            zipfile.ZipFile(path).extractall(unpacked)
        files = list(unpacked.glob("*.png"))
        assert one["images"] == manifest["images"] == len(files) == IMAGES
        assert one["bytes"] == sum(path.stat().st_size for path in files)
        if shutil.which("sha256sum"):
            command = ["sh", "-c", "LC_ALL=C; sha256sum *.png | sha256sum"]
            told = subprocess.run(command, cwd=unpacked, capture_output=True, check=True, text=True)
            assert one["sha256"] == told.stdout.split()[0]


def test_refused_victims_end_the_run_with_an_exit_code(tmp_path, logger):
    classes = shapes().samples.num_classes
    means = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    network = nn.Sequential(means, nn.Linear(3, classes), nn.Softmax(1))
    sure = ClassificationVictim(network, classes, mean=(0.5,) * 3, std=(1.0,) * 3)
    with pytest.raises(VictimCheckError) as refused:
        run(tmp_path, victims={"sure": sure}, attacks=attacks(), logger=logger)
    found = read(tmp_path / "save")
    assert found.summary["victims/refused"] == str(refused.value)
    assert found.exits == [1]


class Full:
    """A W&B run on a disk without room: whatever is asked of it fails."""

    def __getattr__(self, name):
        raise OSError(28, "No space left on device")


def test_a_tracking_that_fails_costs_no_result(tmp_path, logger):
    scene = {"victims": {"a": victims()["a"]}, "attacks": {"fgsm": attacks()["fgsm"]}}
    run(tmp_path / "quiet", **scene)
    logger._experiment = Full()
    with pytest.warns(UserWarning, match="No space left on device.*in its own folder"):
        run(tmp_path, **scene, logger=logger)
    assert results(tmp_path) == results(tmp_path / "quiet")
    assert (tmp_path / "run/report.html").is_file()
