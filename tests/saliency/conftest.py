"""What the tests of saliency share."""

import os

import pytest
import torch

from project.saliency.cache import FOLDER_VARIABLE, KEPT
from project.saliency.tracer import TracerNetwork
from tests.saliency.filled import fill


@pytest.fixture(autouse=True)
def kept_in(tmp_path, monkeypatch):
    """Keep maps in a folder of the test's own, and none from before."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "kept"))
    KEPT.clear()
    return tmp_path / "kept"


@pytest.fixture(scope="session")
def torch_home(tmp_path_factory):
    """Return a TORCH_HOME with a file like the published ones, of random weights."""
    home = tmp_path_factory.mktemp("torch_home")
    folder = home / "hub/checkpoints"
    folder.mkdir(parents=True)
    weights = fill(TracerNetwork("b0")).state_dict()
    weights["agg.UAM.spatial_v.weight"] *= 1e-5  # so that the maps are not all 0 and 1
    published = {f"module.{name}": value for name, value in weights.items()}
    torch.save(published, folder / "TRACER-Efficient-0.pth")
    return home


@pytest.fixture
def published(torch_home, monkeypatch):
    """Let the weights be found, and return their path."""
    monkeypatch.setitem(os.environ, "TORCH_HOME", str(torch_home))
    return torch_home / "hub/checkpoints/TRACER-Efficient-0.pth"
