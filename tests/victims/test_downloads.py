"""Published weights that cannot be fetched are told in seconds."""

import socket
import time

import huggingface_hub.constants as hub
import pytest

from project.victims import SmpVictim, TimmVictim, TorchvisionSegmenter, TorchvisionVictim
from project.victims.downloads import reachable, without_waiting
from project.victims.weights import WeightsError


# smp 0.5 tells that it asks a second host.
@pytest.mark.filterwarnings("ignore:Error loading resnet18:UserWarning")
@pytest.mark.parametrize(
    "victim",
    [
        lambda: TimmVictim("resnet10t", pretrained=True),
        lambda: SmpVictim("FPN", "resnet18", 7, pretrained=True),
        lambda: SmpVictim("FPN", "tu-resnet10t", 7, pretrained=True),
        lambda: TorchvisionVictim("mobilenet_v2", weights="DEFAULT"),
        lambda: TorchvisionSegmenter("lraspp_mobilenet_v3_large", weights="DEFAULT"),
    ],
    ids=["timm", "smp", "smp and timm", "torchvision", "torchvision's segmenter"],
)
def test_weights_without_a_network_are_told_in_seconds(no_network, victim):
    began = time.monotonic()
    with pytest.raises(WeightsError, match=r"could not be fetched .* local file as checkpoint"):
        victim()
    assert time.monotonic() - began < 20  # it had been 56 s, and is below one on a free machine


@pytest.mark.parametrize("proxies", [{}, {"https": "http://proxy:3128"}])
def test_settings_of_libraries_are_as_before(no_network, monkeypatch, proxies):
    monkeypatch.setattr("project.victims.downloads.getproxies", lambda: proxies)
    monkeypatch.setattr(hub, "HF_HUB_OFFLINE", False)
    with without_waiting():
        assert (not proxies) == hub.HF_HUB_OFFLINE  # only a proxy knows what it reaches
        assert socket.getdefaulttimeout() == 5
    assert not hub.HF_HUB_OFFLINE
    assert socket.getdefaulttimeout() is None


def test_host_that_answers_is_reachable_and_one_that_does_not_is_not():
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert reachable(f"http://127.0.0.1:{server.getsockname()[1]}/models")
        port = server.getsockname()[1]
    assert not reachable(f"http://127.0.0.1:{port}")
