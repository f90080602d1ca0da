"""No credentials, no settings, no output, and no files outside the test's folder."""

import pytest
import wandb

from project.storage.rows import Measure, write_measures, write_rows

MEASURES = [
    Measure("", "", "a", "clean_accuracy", 0.9, 0.8, 0.95, 9, 10),
    Measure("", "", "b", "clean_accuracy", 0.8, 0.7, 0.9, 8, 10),
    Measure("pgd", "a", "a", "asr", 1.0, 0.9, 1.0, 9, 9),
    Measure("pgd", "a", "b", "asr", 0.25, 0.1, 0.5, 2, 8),
]


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    for name in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE", "WANDB_MODE", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    for name in ("DATA", "CACHE", "CONFIG", "ARTIFACT"):
        monkeypatch.setenv(f"WANDB_{name}_DIR", str(tmp_path / "home"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setattr("project.tracking.logger._TO_START", 300)  # on a busy machine
    return tmp_path


@pytest.fixture(scope="session", autouse=True)
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
