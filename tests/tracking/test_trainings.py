from pathlib import Path

import pytest
import yaml
from lightning.pytorch.loggers import CSVLogger

from project.callbacks import TrainingFolder
from project.callbacks.training.training_folder import track_config, track_samples, track_training
from project.cli import train_main
from project.report.training import build_training_report
from project.tracking import MirageWandbLogger
from tests.callbacks.training.test_training_folder import fit
from tests.report.test_training import make_training
from tests.tracking.offline import read


def test_a_training_leaves_its_config_strips_of_its_samples_and_its_files(tmp_path):
    folder = make_training(tmp_path / "run", epochs=2)
    build_training_report(folder)
    logger = MirageWandbLogger(name="training", save_dir=str(tmp_path / "save"))
    loggers = [logger, CSVLogger(tmp_path)]
    track_config(loggers, folder)
    track_samples(loggers, folder, epoch=1)
    track_training(loggers, folder)
    logger.finalize("success")
    found = read(tmp_path / "save")
    assert found.config["seed_everything"] == 0
    assert found.history["samples/count"] == 1
    assert found.history["samples/captions"] == ["epoch 1, image 7"]
    assert found.artifacts["training"] == {
        *("history.csv", "run.json", "report.html"),
        *("slices/epoch_00000.npz", "slices/epoch_00001.npz"),
    }


def test_a_fit_logs_under_the_names_of_its_history(tmp_path):
    (tmp_path / "save").mkdir()
    (tmp_path / "save/config.yaml").write_text("model: {init_args: {learning_rate: 0.5}}")
    logger = MirageWandbLogger(save_dir=str(tmp_path / "save"))
    folder = TrainingFolder(str(tmp_path / "run"), samples=2)
    fit(tmp_path, folder, epochs=1, logger=logger)
    logger.finalize("success")
    found = read(tmp_path / "save")
    logged = {line.split(",")[2] for line in (tmp_path / "run/history.csv").read_text().split()[1:]}
    assert {"train/loss", "train/learning_rate", "val/accuracy"} <= logged <= found.history.keys()
    assert found.config["model"] == {"init_args": {"learning_rate": 0.5}}
    assert found.history["samples/count"] == 2
    assert "report.html" in found.artifacts["training"]


def test_the_overlay_tracks_a_training(capsys):
    configs = Path(__file__).parents[2] / "configs/train"
    names = ("shapes_resnet10t", "dashboard", "wandb")
    with pytest.raises(SystemExit):
        train_main(["fit", *(f"--config={configs / n}.yaml" for n in names), "--print_config"])
    logger = yaml.safe_load(capsys.readouterr().out)["trainer"]["logger"]
    assert logger["class_path"].endswith("MirageWandbLogger")
    assert logger["init_args"]["save_dir"] == "runs/train"
    assert logger["init_args"]["mode"] == "auto"
