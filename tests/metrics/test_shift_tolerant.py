"""ST-LPIPS against its package, and without it against the formula in float64."""

import importlib
import sys
from types import ModuleType

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from project.core.errors import InputError
from project.metrics import STLPIPS, shift_tolerant
from tests.metrics.pairs import pair, scenes

NETS = ["alex", "vgg"]
WIDTHS = {"alex": (64, 192, 384, 256, 256), "vgg": (64, 128, 256, 512, 512)}
CONVOLUTIONS = {  # place of the layer, channels, side of the filter; by stage
    "alex": [[(0, 3, 11)], [(5, 64, 5)], [(9, 192, 3)], [(11, 384, 3)], [(13, 256, 3)]],
    "vgg": [
        [(0, 3, 3), (2, 64, 3)],
        [(6, 64, 3), (8, 128, 3)],
        [(12, 128, 3), (14, 256, 3), (16, 256, 3)],
        [(20, 256, 3), (22, 512, 3), (24, 512, 3)],
        [(28, 512, 3), (30, 512, 3), (32, 512, 3)],
    ],
}
BLURS = {"alex": {1: 1, 2: 4, 3: 8}, "vgg": {2: 5, 3: 11, 4: 19, 5: 27}}  # place, by stage


def drawn(net: str) -> dict[str, Tensor]:
    """Return random weights under the names of the package's files."""
    generator = torch.Generator().manual_seed(0)
    state = {
        "scaling_layer.shift": torch.tensor([-0.030, -0.088, -0.188]).view(1, 3, 1, 1),
        "scaling_layer.scale": torch.tensor([0.458, 0.448, 0.450]).view(1, 3, 1, 1),
    }
    line = torch.tensor([1.0, 2.0, 1.0])
    for stage, (width, layers) in enumerate(zip(WIDTHS[net], CONVOLUTIONS[net], strict=True), 1):
        for place, before, side in layers:
            drawn = torch.randn(width, before, side, side, generator=generator)
            state[f"net.slice{stage}.{place}.weight"] = drawn * (2 / (before * side**2)) ** 0.5
            state[f"net.slice{stage}.{place}.bias"] = torch.randn(width, generator=generator) / 9
        linear = torch.rand(1, width, 1, 1, generator=generator)
        state[f"lin{stage - 1}.model.1.weight"] = linear
        if stage in BLURS[net]:
            blurred = WIDTHS[net][max(stage - 2, 0)]
            kernel = torch.outer(line, line) / 16
            state[f"net.slice{stage}.{BLURS[net][stage]}.filt"] = kernel.repeat(blurred, 1, 1, 1)
    return state


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A package with random weights in the place of the real one, whether that is here or not."""

    def put(net, state):
        folder = tmp_path / "weights" / "vST0.0"
        folder.mkdir(parents=True, exist_ok=True)
        torch.save(state, folder / f"{net}_shift_tolerant.pth")

    for net in NETS:
        put(net, drawn(net))
    monkeypatch.setattr(
        shift_tolerant, "in_package", lambda place: tmp_path / place.split("/", 1)[1]
    )
    return put


def subsampled(maps: Tensor) -> Tensor:
    """Every second pixel of a binomial mean, over a border of two reflected pixels."""
    for axis in (2, 3):
        size = maps.shape[axis]
        order = [2, 1, *range(size), size - 2, size - 3]
        bordered = maps.index_select(axis, torch.tensor(order))
        left, middle, right = (bordered.narrow(axis, n, size + 2) for n in range(3))
        mean = (left + 2 * middle + right) / 4
        maps = mean.index_select(axis, torch.arange(0, size + 2, 2))
    return maps


def slow(net: str, state: dict[str, Tensor], clean: Tensor, adversarial: Tensor) -> float:
    """The distance of two images (1, 3, H, W), step by step in float64."""
    state = {key: value.double() for key, value in state.items()}
    border = {11: 2, 5: 2, 3: 1}

    def stages(image: Tensor) -> list[Tensor]:
        maps = (image.double() * 2 - 1 - state["scaling_layer.shift"]) / state[
            "scaling_layer.scale"
        ]
        found = []
        for stage, layers in enumerate(CONVOLUTIONS[net], 1):
            if stage > 1 and stage in BLURS[net]:
                maps = subsampled(F.max_pool2d(maps, 3 if net == "alex" else 2, 1))
            for place, _, side in layers:
                weight, bias = (
                    state[f"net.slice{stage}.{place}.{kind}"] for kind in ("weight", "bias")
                )
                maps = F.conv2d(maps, weight, bias, padding=border[side])
                maps = subsampled(maps) if (net, stage) == ("alex", 1) else maps
                maps = maps.clamp(min=0)
            found.append(maps / (maps.square().sum(1, keepdim=True).sqrt() + 1e-10))
        return found

    layers = zip(stages(clean), stages(adversarial), strict=True)
    return sum(
        ((x - y) ** 2 * state[f"lin{n}.model.1.weight"]).sum(1).mean().item()
        for n, (x, y) in enumerate(layers)
    )


@pytest.mark.parametrize("net", NETS)
def test_st_lpips_is_its_formula_in_float64(installed, net):
    clean, adversarial = pair(2, height=41, width=52)
    metric = STLPIPS(net)
    found = metric(clean, adversarial)
    assert metric.name == f"stlpips_{net}"
    for n in range(2):
        expected = slow(net, drawn(net), clean[n : n + 1], adversarial[n : n + 1])
        assert found[n].item() == pytest.approx(expected, rel=1e-4)
    assert (metric(clean, clean) == 0).all()


@pytest.mark.parametrize("net", NETS)
def test_smallest_images_are_the_smallest_that_can_be_compared(installed, net):
    metric = STLPIPS(net)
    side = metric.smallest
    assert metric(*pair(1, side, side)).item() > 0
    metric.smallest = side - 1
    with pytest.raises(RuntimeError, match=r"(?i)padding"):
        metric(*pair(1, side - 1, side - 1))


def test_batch_mates_and_autocast_change_nothing(installed):
    clean, adversarial = pair(3, height=40, width=48)
    metric = STLPIPS("alex")
    together = metric(clean, adversarial)
    alone = torch.cat([metric(clean[n : n + 1], adversarial[n : n + 1]) for n in range(3)])
    assert torch.allclose(together, alone, rtol=1e-5, atol=0)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(metric(clean, adversarial), together)
    assert not any(parameter.requires_grad for parameter in metric.network.parameters())


def test_weights_of_another_network_are_refused_on_one_line(installed):
    installed("alex", drawn("vgg"))
    with pytest.raises(InputError, match=r"not those of stlpips_alex.*pip install") as error:
        STLPIPS("alex")
    assert "\n" not in str(error.value)


def package(monkeypatch):
    """Return the package's module, with what it imports without need or mention."""
    pytest.importorskip("stlpips_pytorch")
    for name, member in (("IPython", "embed"), ("torchsummary", "summary")):
        module = ModuleType(name)
        setattr(module, member, None)
        monkeypatch.setitem(sys.modules, name, module)
    return importlib.import_module("stlpips_pytorch.stlpips")


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("images", [pair(2, 60, 71), scenes(2, 64, 80)], ids=["noise", "smooth"])
def test_st_lpips_is_that_of_its_package(monkeypatch, net, images):
    theirs = package(monkeypatch).LPIPS(net=net, variant="shift_tolerant", verbose=False)
    metric = STLPIPS(net)
    with torch.no_grad():
        expected = theirs(*images, normalize=True).flatten()
    assert torch.allclose(metric(*images).float(), expected, rtol=1e-4, atol=0)


def test_published_weights_forgive_a_shift_that_lpips_would_see(monkeypatch):
    package(monkeypatch)
    noise = torch.rand(1, 3, 100, 100, generator=torch.Generator().manual_seed(0))
    smooth = F.avg_pool2d(noise, 5, 1) * 3 - 1
    image, shifted = smooth.clamp(0, 1)[..., 1:], smooth.clamp(0, 1)[..., :-1]
    apart = (image - shifted).abs().mean()
    noisy = (image + (torch.rand_like(image) - 0.5) * 4 * apart).clamp(0, 1)  # as large a change
    shift, noise = (STLPIPS("alex")(image, other).item() for other in (shifted, noisy))
    assert 0 < shift < noise / 2
