"""A machine without a network, for tests of published weights."""

import socket

import huggingface_hub.constants as hub
import pytest
import torch


@pytest.fixture
def no_network(monkeypatch, tmp_path):
    """No name can be looked up, no proxy is set, and caches are in the folder that is given."""

    def unknown(*place, **more):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    monkeypatch.setattr("project.victims.downloads.getproxies", dict)
    monkeypatch.setattr(hub, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "torch"))
    return tmp_path
