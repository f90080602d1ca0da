import json
import struct
import time
from pathlib import Path

import pytest
import wandb
from lightning.pytorch.loggers import CSVLogger
from wandb.proto.wandb_internal_pb2 import Record

from project.callbacks.training_tracking import track_samples, track_training
from project.records import Measure, write_measures, write_rows
from project.report import build_report
from project.report.masking import read_findings
from project.report.run import Run
from project.report.training import build_training_report
from project.traces import write_traces
from project.tracking import (
    MirageWandbLogger,
    logged_in,
    resolved,
    track_run,
    transfer_table,
    warn,
)
from tests.report.conftest import make_run
from tests.report.test_training import make_training

MEASURES = [
    Measure("", "", "a", "clean_accuracy", 0.9, 0.8, 0.95, 9, 10),
    Measure("", "", "b", "clean_accuracy", 0.8, 0.7, 0.9, 8, 10),
    Measure("pgd", "a", "a", "asr", 1.0, 0.9, 1.0, 9, 9),
    Measure("pgd", "a", "b", "asr", 0.25, 0.1, 0.5, 2, 8),
]


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    """No credentials, no settings, no output, and no files outside the test's folder."""
    for name in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE", "WANDB_MODE", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    for name in ("DATA", "CACHE", "CONFIG", "ARTIFACT"):
        monkeypatch.setenv(f"WANDB_{name}_DIR", str(tmp_path / "home"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("WANDB_SILENT", "true")
    return tmp_path


@pytest.fixture(scope="module", autouse=True)
def service():
    """End the helper process that W&B starts."""
    yield
    wandb.teardown()


@pytest.fixture
def run(tmp_path):
    write_rows(tmp_path / "run" / "rows.parquet", [])
    write_measures(tmp_path / "run" / "metrics.csv", MEASURES)
    (tmp_path / "run" / "run.json").write_text('{"title": "x", "task": "classification"}')
    return tmp_path / "run"


def records(folder):
    """Read the one offline run below a folder: LevelDB's log format after a 7-byte header."""
    [path] = Path(folder).rglob("*.wandb")
    content, place, part = path.read_bytes(), 7, b""
    while place + 7 <= len(content):
        if 32768 - place % 32768 < 7:
            place += 32768 - place % 32768
            continue
        _, length, kind = struct.unpack_from("<IHB", content, place)
        part += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):
            yield Record.FromString(part)
            part = b""


def finished_records(folder, patience=60.0):
    """Return the records of a finished run; W&B's own process writes the last ones a bit later."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        found = list(records(folder))
        if any(record.HasField("exit") for record in found):
            return found
        time.sleep(0.1)
    raise AssertionError(f"the run in {folder} has no end after {patience} s")


def test_without_credentials_a_run_is_offline():
    assert not logged_in()
    assert resolved("auto") == "offline"


def test_with_an_api_key_a_run_is_online(monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
    assert resolved("auto") == "online"


def test_a_log_in_counts_for_its_own_server_only(monkeypatch, tmp_path):
    (tmp_path / "netrc").write_text("machine api.wandb.ai login user password secret\n")
    assert resolved("auto") == "online"
    monkeypatch.setenv("WANDB_BASE_URL", "https://wandb.example.org")
    assert resolved("auto") == "offline"


def test_a_netrc_file_that_cannot_be_read_is_no_log_in(tmp_path):
    (tmp_path / "netrc").write_text("machine\n")
    assert not logged_in()


def test_the_environment_decides_for_auto_alone(monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert resolved("auto") == "disabled"
    assert resolved("offline") == "offline"


def test_the_transfer_table_has_a_row_per_source_and_the_clean_accuracy_first(run):
    table = transfer_table(Run.read(run))
    assert table.columns == ["attack", "source", "a", "b"]
    assert table.data == [["clean_accuracy", "", 0.9, 0.8], ["pgd", "a", 1.0, 0.25]]


def test_the_transfer_table_of_segmentation_holds_miou(run):
    measures = [Measure("", "", "a", "clean_miou", 0.7), Measure("pgd", "a", "a", "miou", 0.1)]
    write_measures(run / "metrics.csv", measures)
    (run / "run.json").write_text('{"task": "segmentation"}')
    table = transfer_table(Run.read(run))
    assert table.data == [["clean_miou", "", 0.7], ["pgd", "a", 0.1]]


def test_a_disabled_logger_writes_nothing(run, tmp_path):
    logger = MirageWandbLogger(save_dir=str(tmp_path / "save"), mode="disabled")
    logger.log_metrics({"pgd/a/b/asr": 0.25})
    track_run([logger], run)
    logger.finalize("success")
    written = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert written == set(run.iterdir())


def test_other_loggers_are_passed_over(tmp_path):
    track_run([CSVLogger(tmp_path)], tmp_path / "no run at all")
    assert wandb.run is None


def test_an_offline_run_holds_metrics_tables_pictures_and_files(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    make_run(folder, "classification", count=10, samples=2)
    build_report(folder)
    write_traces(folder / "traces.parquet", [])
    logger = MirageWandbLogger(name="trial", save_dir=str(tmp_path / "save"))
    logger.log_metrics({"pgd/a/b/asr": 0.25}, step=1)
    assert logger.experiment.offline
    track_run([logger], folder)
    logger.finalize("success")
    assert wandb.run is None

    found = finished_records(tmp_path / "save")
    history = {
        "/".join(item.nested_key): json.loads(item.value_json)
        for record in found
        for item in record.history.item
    }
    assert history["pgd/a/b/asr"] == 0.25
    assert history["transfer/ncols"] == 2 + 3
    assert history["measures/ncols"] == len(Measure._fields)
    assert history["gallery/ssta/count"] == history["gallery/pgd/count"] == 2
    [artifact] = [r.artifact for r in found if r.artifact.type == "evaluation"]
    names = {entry.path for entry in artifact.manifest.contents}
    assert names == {
        *("rows.parquet", "metrics.csv", "run.json", "report.html", "traces.parquet"),
        *("comparison.csv", "comparison.md", "pareto.svg", "transfer.svg", "transfer.png"),
        *("masking.csv", "masking.md"),
    }
    assert history["masking/nrows"] == len(read_findings(folder))
    assert history["transfer_heat_map/_type"] == "image-file"
    [update] = [u for r in found for u in r.config.update if u.key == "run"]
    assert json.loads(update.value_json)["title"] == "A run of classification"
    assert [r.exit.exit_code for r in found if r.HasField("exit")] == [0]


class Experiment:
    """What a W&B run has, as far as warnings go."""

    def __init__(self, offline: bool) -> None:
        self.offline = offline
        self.summary: dict[str, int] = {}
        self.alerts: list[tuple[str, str]] = []

    def alert(self, title: str, text: str, level: str) -> None:
        self.alerts.append((title, text))


def test_what_is_flagged_is_summed_up_and_told_online_alone():
    online, offline, quiet = Experiment(False), Experiment(True), Experiment(False)
    for experiment in (online, offline):
        warn(experiment, ["a may hide its gradients: x.", "b may: y."])
    warn(quiet, [])
    assert online.summary == offline.summary == {"masking/flagged": 2}
    assert quiet.summary == {"masking/flagged": 0}
    assert online.alerts == [("Gradients may be masked", "a may hide its gradients: x.\nb may: y.")]
    assert offline.alerts == quiet.alerts == []


def test_a_training_leaves_strips_of_its_samples_and_its_files(tmp_path):
    folder = make_training(tmp_path / "run", epochs=2)
    build_training_report(folder)
    logger = MirageWandbLogger(name="training", save_dir=str(tmp_path / "save"))
    track_samples([logger, CSVLogger(tmp_path)], folder, epoch=1)
    track_training([logger], folder)
    logger.finalize("success")
    found = finished_records(tmp_path / "save")
    history = {
        "/".join(item.nested_key): json.loads(item.value_json)
        for record in found
        for item in record.history.item
    }
    assert history["samples/count"] == 1
    assert history["samples/captions"] == ["epoch 1, image 7"]
    [artifact] = [r.artifact for r in found if r.artifact.type == "training"]
    assert {entry.path for entry in artifact.manifest.contents} == {
        *("history.csv", "run.json", "report.html"),
        *("slices/epoch_00000.npz", "slices/epoch_00001.npz"),
    }


def test_the_next_logger_starts_a_run_of_its_own(tmp_path):
    names = []
    for title in ("first", "second"):
        logger = MirageWandbLogger(name=title, save_dir=str(tmp_path / title))
        logger.log_metrics({"x": 1.0})
        names.append(logger.experiment.id)
        logger.finalize("failed")
        found = finished_records(tmp_path / title)
        [exit_code] = [r.exit.exit_code for r in found if r.HasField("exit")]
        assert exit_code == 1
    assert names[0] != names[1]
