import socket
from urllib.error import URLError

import pytest
import torch
from torchvision.models import squeezenet1_1

from project.metrics import perceptual_panel, shift_tolerant
from project.metrics import weights as fetching

SQUEEZE = "squeezenet1_1-b8a52dc0.pth"


@pytest.fixture
def checkpoints(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def no_network(monkeypatch):
    asked = []

    def refuse(url, timeout):
        asked.append(timeout)
        raise URLError("no network")

    monkeypatch.setattr(fetching, "urlopen", refuse)
    return asked


def test_metrics_come_in_the_order_asked_for(no_network):
    metrics, notices = perceptual_panel(["psnr", "l2", "ssim"])
    assert [metric.name for metric in metrics] == ["psnr", "l2", "ssim"]
    assert notices == []
    assert no_network == []


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("lpips_squeeze", SQUEEZE),
        ("lpips_alex", "alexnet-owt-7be5be79.pth"),
        ("lpips_vgg", "vgg16-397923af.pth"),
    ],
)
def test_without_weights_a_metric_is_left_out_with_one_line(checkpoints, no_network, name, file):
    metrics, [notice] = perceptual_panel([name, "l2"])
    assert [metric.name for metric in metrics] == ["l2"]
    assert notice.startswith(f"{name} is left out: it has no backbone weights")
    assert f"Put {file} from https://download.pytorch.org/models/{file} into " in notice
    assert notice.endswith(str(checkpoints))
    assert "\n" not in notice
    assert list(checkpoints.iterdir()) == []


def test_weights_in_place_are_used_without_any_network(checkpoints, no_network, monkeypatch):
    monkeypatch.setattr(fetching, "_is_named", lambda path, sha256: True)  # drawn, not published
    torch.manual_seed(0)
    state = squeezenet1_1(weights=None).state_dict()
    torch.save(state, checkpoints / SQUEEZE)
    [metric], notices = perceptual_panel(["lpips_squeeze"])
    assert notices == []
    assert no_network == []
    first = metric.network.net.slice1[0].weight
    assert torch.equal(first, state["features.0.weight"])


def test_a_truncated_weight_file_leaves_the_metric_out(checkpoints, no_network):
    (checkpoints / SQUEEZE).write_bytes(b"PK\x03\x04 half a file")
    metrics, [notice] = perceptual_panel(["lpips_squeeze"])
    assert metrics == []
    assert "has unreadable backbone weights" in notice
    assert "\n" not in notice


def test_a_download_that_is_not_what_its_name_says_is_not_kept(checkpoints, tmp_path):
    source = tmp_path / "other.pth"
    source.write_bytes(b"something else")
    with pytest.raises(OSError, match="other content than its name says"):
        fetching.fetch(source.as_uri(), checkpoints / SQUEEZE)
    assert list(checkpoints.iterdir()) == []


def test_a_download_that_is_what_its_name_says_is_kept(checkpoints, tmp_path):
    source = tmp_path / "file.pth"
    source.write_bytes(b"weights")
    path = checkpoints / "file-9a129038.pth"  # printf weights | sha256sum
    fetching.fetch(source.as_uri(), path)
    assert path.read_bytes() == b"weights"
    assert [file.name for file in checkpoints.iterdir()] == [path.name]


def test_a_server_that_never_answers_does_not_hang(checkpoints, monkeypatch):
    monkeypatch.setattr(fetching, "CONNECT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/file.pth"
        with pytest.raises(OSError, match=r"timed out|no answer"):
            fetching.fetch(url, checkpoints / "file.pth")


@pytest.mark.parametrize("net", ["alex", "vgg"])
def test_without_its_package_st_lpips_is_left_out_with_the_line_that_installs_it(monkeypatch, net):
    monkeypatch.setattr(shift_tolerant, "in_package", lambda place: None)
    metrics, [notice] = perceptual_panel([f"stlpips_{net}", "l2"])
    assert [metric.name for metric in metrics] == ["l2"]
    assert notice.startswith(f"stlpips_{net} is left out: ")
    assert notice.endswith("Install it: pip install stlpips-pytorch")
    assert "\n" not in notice


def test_an_unknown_metric_is_refused_by_name():
    with pytest.raises(ValueError, match=r"unknown perceptual metric: sim\. Choose from: l0"):
        perceptual_panel(["ssim", "sim"])
