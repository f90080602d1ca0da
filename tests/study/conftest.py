import pytest

from project.study import database


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch):
    """Tests in this process do not outlive a power cut; servers of their own keep the setting."""
    monkeypatch.setattr(database, "_SYNCHRONOUS", "OFF")
