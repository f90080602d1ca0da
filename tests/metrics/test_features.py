import re
import socket
import sys

import pytest
import timm
import torch
from torch import nn
from torch_fidelity import feature_extractor_inceptionv3 as library
from torchvision.models import mobilenet_v3_small

from project.core.errors import InputError
from project.metrics import (
    FeatureExtractor,
    FeatureSet,
    InceptionFeatures,
    VictimFeatures,
    feature_panel,
)
from project.metrics import weights as fetching
from project.victims import ClassificationVictim
from project.victims.weights import WeightsError
from tests.metrics.pairs import pair


def victim(network):
    return ClassificationVictim(network.eval(), 10, mean=(0.5,) * 3, std=(0.25,) * 3)


@pytest.fixture
def tiny():
    torch.manual_seed(0)
    return timm.create_model("test_resnet", num_classes=10).eval()


@pytest.fixture
def offline(tmp_path, monkeypatch):
    def refuse(url, timeout):
        raise OSError("no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(fetching, "urlopen", refuse)


def test_features_are_what_enters_the_last_linear_layer(tiny):
    images, _ = pair(2, 32, 32)
    features = VictimFeatures(victim(tiny))(images)
    with torch.no_grad():
        inside = (images - 0.5) / 0.25
        expected = tiny.forward_head(tiny.forward_features(inside), pre_logits=True)
    assert torch.allclose(features, expected, rtol=1e-5, atol=1e-6)
    assert torch.allclose(tiny.fc(features), tiny(inside), rtol=1e-5, atol=1e-6)


def test_features_of_a_torchvision_network_too():
    torch.manual_seed(0)
    network = mobilenet_v3_small(num_classes=10).eval()
    images, _ = pair(1, 32, 32)
    features = VictimFeatures(victim(network))(images)
    assert features.shape == (1, 1024)
    with torch.no_grad():
        logits = network((images - 0.5) / 0.25)
        assert torch.allclose(network.classifier[3](features), logits, atol=1e-5)


def test_a_named_layers_maps_are_averaged(tiny):
    images, _ = pair(2, 32, 32)
    with torch.no_grad():
        maps = tiny.layer1(tiny.maxpool(tiny.act1(tiny.bn1(tiny.conv1((images - 0.5) / 0.25)))))
    features = VictimFeatures(victim(tiny), "layer2")(images)
    assert torch.allclose(features, maps.mean((2, 3)), rtol=1e-4, atol=1e-5)


def test_features_are_those_of_the_8_bit_image(tiny):
    images, _ = pair(1, 32, 32)
    extract = VictimFeatures(victim(tiny))
    assert torch.equal(extract((images + 0.4 / 255).clamp(0, 1)), extract(images))


def test_a_victim_in_train_mode_is_read_in_eval_mode(tiny):
    images, _ = pair(2, 32, 32)
    expected = VictimFeatures(victim(tiny))(images)
    judged = victim(tiny).train()
    assert torch.equal(VictimFeatures(judged)(images), expected)


def test_network_without_a_linear_layer_needs_a_layers_name():
    network = nn.Sequential(nn.Conv2d(3, 10, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with pytest.raises(InputError, match="the network must have a linear one, got None"):
        VictimFeatures(victim(network))
    assert VictimFeatures(victim(network), "2")(pair(2)[0]).shape == (2, 10)


def test_layer_that_is_not_there_is_refused(tiny):
    with pytest.raises(InputError, match="got 'layer9'"):
        VictimFeatures(victim(tiny), "layer9")


def test_without_weights_inception_is_left_out_with_the_file_that_it_wants(offline, tiny):
    asked = {"inception": InceptionFeatures(), "tiny": VictimFeatures(victim(tiny))}
    ready, [notice] = feature_panel(asked)
    assert list(ready) == ["tiny"]
    assert notice.startswith("fid_inception and kid_inception cannot be had. ")
    assert "(no network). Put weights-inception-2015-12-05-6726825d.pth from https://" in notice
    assert "\n" not in notice


def test_without_torch_fidelity_inception_is_left_out_with_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    monkeypatch.setitem(sys.modules, "torch_fidelity.feature_extractor_inceptionv3", None)
    ready, [notice] = feature_panel({"inception": InceptionFeatures()})
    assert ready == {}
    assert notice.endswith("run pip install torch-fidelity")


@pytest.mark.parametrize("content", [b"no weights", None], ids=["damaged", "missing"])
def test_inception_checkpoint_that_is_given_must_be_readable(tmp_path, content):
    path = tmp_path / "inception.pth"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WeightsError, match=re.escape(str(path))):
        InceptionFeatures(path).prepare()


def test_damaged_file_in_the_cache_leaves_inception_out(offline, tmp_path):
    path = tmp_path / "hub/checkpoints/weights-inception-2015-12-05-6726825d.pth"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"half a file")
    _, [notice] = feature_panel({"inception": InceptionFeatures()})
    assert "Inception is left out: it has unreadable backbone weights" in notice


def test_inceptions_features_are_its_pooled_ones(tmp_path, monkeypatch):
    torch.manual_seed(0)
    with monkeypatch.context() as patched:
        patched.setattr(library, "load_state_dict_from_url", lambda url, progress: {})
        patched.setattr(nn.Module, "load_state_dict", lambda self, state: None)
        network = library.FeatureExtractorInceptionV3("random", ["2048"])
    torch.save(network.state_dict(), tmp_path / "inception.pth")
    ready, notices = feature_panel({"inception": InceptionFeatures(tmp_path / "inception.pth")})
    assert notices == []
    images, _ = pair(1, 40, 40)
    (expected,) = network((images * 255).round().byte())
    found = ready["inception"](images + 0.3 / 255 * (images < 1))
    assert found.shape == (1, 2048)
    assert torch.equal(found, expected)


def test_an_extractor_of_ones_own_needs_no_preparation():
    class Means(FeatureExtractor):
        def forward(self, images):
            return images.mean((2, 3))

    ready, notices = feature_panel({"means": Means()})
    assert list(ready) == ["means"]
    assert notices == []


def test_a_set_is_in_the_order_of_its_index_whatever_the_batches():
    rows = torch.randn(7, 3, generator=torch.Generator().manual_seed(0))
    fooled = torch.tensor([1, 0, 0, 1, 1, 0, 1]).bool()
    kept = FeatureSet(torch.device("cpu"))
    for batch in ([5, 2], [0, 6, 1], [4], [3]):
        kept.update(torch.tensor(batch), rows[batch], fooled[batch])
    found = kept.compute()
    assert torch.equal(found.values, rows.double())
    assert torch.equal(found.fooled, fooled)


def test_no_socket_is_opened_where_nothing_is_asked_for(monkeypatch):
    def refuse(*args):
        raise AssertionError("a socket")

    monkeypatch.setattr(socket, "socket", refuse)
    assert feature_panel({}) == ({}, [])
