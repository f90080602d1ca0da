from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics.functional.image import dists as theirs
from torchvision.models import vgg

from project.metrics import DISTS, perceptual_panel
from project.metrics import weights as fetching
from tests.metrics.pairs import pair, scenes


@pytest.fixture
def layers(monkeypatch) -> nn.Sequential:
    """VGG-16's layers with random weights, which the metric gets instead of a file."""
    torch.manual_seed(0)
    layers = vgg.make_layers(vgg.cfgs["D"])
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    monkeypatch.setattr(theirs, "vgg16", lambda weights: SimpleNamespace(features=layers))
    return layers


def pooled(maps: Tensor) -> Tensor:
    """L2 pooling with a 3x3 Hann window, stride 2, in float64."""
    window = torch.tensor([0.5, 1.0, 0.5], dtype=torch.float64)
    kernel = torch.outer(window, window) / window.sum() ** 2
    kernel = kernel.expand(maps.shape[1], 1, 3, 3)
    squares = F.conv2d(maps**2, kernel, stride=2, padding=1, groups=maps.shape[1])
    return (squares + 1e-12).sqrt()


def stages(layers: nn.Sequential, image: Tensor) -> list[Tensor]:
    """The image and the five stages' features, (D, H·W) each."""
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    maps = (image - mean.view(1, 3, 1, 1).double()) / std.view(1, 3, 1, 1).double()
    found = [image]
    for layer in layers:
        if isinstance(layer, nn.MaxPool2d):
            found.append(maps)
            maps = pooled(maps)
        elif isinstance(layer, nn.Conv2d):
            maps = F.conv2d(maps, layer.weight.double(), layer.bias.double(), padding=1)
        else:
            maps = maps.clamp(min=0)
    return [maps.squeeze(0).flatten(1) for maps in found]


def slow(layers: nn.Sequential, clean: Tensor, adversarial: Tensor) -> float:
    """The formula with the published weights alpha and beta, in float64."""
    published = torch.load(theirs._PATH_WEIGHT_DISTS)
    alpha, beta = (published[name].double().flatten() for name in ("alpha", "beta"))
    total, start = alpha.sum() + beta.sum(), 0
    similarity = 0.0
    pairs = zip(stages(layers, clean), stages(layers, adversarial), strict=True)
    for x, y in pairs:
        own = slice(start, start := start + len(x))
        mean_x, mean_y = x.mean(1), y.mean(1)
        texture = (2 * mean_x * mean_y + 1e-6) / (mean_x**2 + mean_y**2 + 1e-6)
        covariance = ((x - mean_x[:, None]) * (y - mean_y[:, None])).mean(1)
        variances = x.var(1, correction=0) + y.var(1, correction=0)
        structure = (2 * covariance + 1e-6) / (variances + 1e-6)
        similarity += float((alpha[own] * texture + beta[own] * structure).sum() / total)
    return 1 - similarity


@pytest.mark.parametrize("images", [pair(2, 32, 40), scenes(2, 48, 33)], ids=["noise", "texture"])
def test_distance_is_the_formulas(layers, images):
    found = DISTS()(*images)
    for n in range(2):
        expected = slow(
            layers, *((side[n : n + 1] * 255).round().double() / 255 for side in images)
        )
        assert expected > 2e-5
        assert found[n].item() == pytest.approx(expected, abs=2e-6)


def test_identical_images_are_identical(layers):
    clean, _ = scenes(3)
    assert DISTS()(clean, clean).abs().max() < 2e-6


def test_an_images_distance_does_not_depend_on_its_batch_mates(layers):
    clean, adversarial = scenes(3)
    together = DISTS()(clean, adversarial)
    assert (together.shape, together.dtype) == ((3,), torch.float64)
    alone = DISTS()(clean[1:2], adversarial[1:2])
    assert alone.shape == (1,)
    assert alone.item() == pytest.approx(together[1].item(), abs=1e-6)


def test_without_weights_it_is_left_out_with_the_file_that_it_wants(tmp_path, monkeypatch):
    def refuse(url, timeout):
        raise OSError("no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(fetching, "urlopen", refuse)
    metrics, [notice] = perceptual_panel(["dists"])
    assert metrics == []
    assert notice.startswith("dists is left out: it has no backbone weights (no network). ")
    assert "Put vgg16-397923af.pth from https://download.pytorch.org/models/" in notice


def test_with_weights_in_place_it_is_in_the_panel(layers, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    (folder / "vgg16-397923af.pth").write_bytes(b"read by torchvision, which this test replaces")
    monkeypatch.setattr(fetching, "_is_named", lambda path, sha256: True)
    [metric], notices = perceptual_panel(["dists"])
    assert (metric.name, notices) == ("dists", [])
    assert not any(parameter.requires_grad for parameter in metric.network.parameters())
