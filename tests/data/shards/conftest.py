"""Indexes of tars are kept in the test's own folder."""

import pytest

from project.data.shards.tar_index import FOLDER_VARIABLE


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"
