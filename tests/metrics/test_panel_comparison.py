"""All metrics of a panel at once give what each gives by itself, with and without memory."""

import pytest
import torch

from project.metrics import LPIPS, PERCEPTUAL_NAMES, PanelComparison, perceptual_panel
from project.metrics import sliding_windows as module
from tests.gpu.pretended import pretended_gpu
from tests.metrics.pairs import pair, scenes

PLAIN = [name for name in PERCEPTUAL_NAMES if not name.startswith(("lpips", "stlpips", "dists"))]
ROOM = 2**40


@pytest.fixture
def panel(random_backbone):
    return [*perceptual_panel(PLAIN)[0], LPIPS("squeeze")]


def batches(count=3):
    """Return clean images and two attacks on them, batch by batch, the last one smaller."""
    clean, first = scenes(2 * count - 1)
    second = pair(len(clean), *clean.shape[2:])[1]
    index = torch.arange(len(clean)) + 7
    return [side.split(2) for side in (clean, first, second, index)]


def compared(panel, room):
    """Return the values of all metrics, attack by attack and batch by batch."""
    comparison = PanelComparison(panel, room)
    clean, *attacks, index = batches()
    return [
        torch.stack(list(comparison(*part).values()))
        for attack in attacks
        for part in zip(clean, attack, index, strict=True)
    ]


def test_values_are_those_of_each_metric_by_itself(panel):
    clean, adversarial = scenes(3)
    found = PanelComparison(panel, ROOM)(clean, adversarial, torch.arange(3))
    assert list(found) == [metric.name for metric in panel if metric.name != "ms_ssim"]
    for metric in panel:
        if metric.name != "ms_ssim":
            assert torch.equal(found[metric.name], metric(clean, adversarial))


@pytest.mark.parametrize("room", [2**20, ROOM], ids=["room for some", "room for all"])
def test_values_are_the_same_bits_whatever_the_memory(panel, room):
    expected = compared(panel, 0)
    assert all(map(torch.equal, compared(panel, room), expected))


@pytest.mark.parametrize(("room", "times"), [(0, 6), (ROOM, 3)])
def test_clean_side_is_made_once_per_batch_where_there_is_room(random_backbone, room, times):
    metric, made = LPIPS("squeeze"), []
    metric.network.net.register_forward_hook(lambda *_: made.append(1))
    compared([metric], room)
    assert len(made) == times + 6  # the adversarial side of two attacks on three batches


def test_other_samples_have_another_clean_side(panel):
    clean, adversarial = scenes(2)
    comparison = PanelComparison(panel, ROOM)
    one = comparison(clean, adversarial, torch.tensor([0, 1]))
    other = comparison(clean.flip(0), adversarial.flip(0), torch.tensor([1, 0]))
    for name in one:
        assert torch.allclose(one[name].flip(0), other[name], rtol=1e-6, atol=0)


def test_batch_in_parts_is_the_batch_at_once(panel, monkeypatch):
    expected = compared(panel, ROOM)
    monkeypatch.setattr(module, "_VALUES", 1)
    for ours, theirs in zip(compared(panel, ROOM), expected, strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-6, atol=1e-12)


def test_parts_hold_as_many_images_as_fit_and_at_least_one(monkeypatch):
    monkeypatch.setattr(module, "_VALUES", 30)
    assert [len(part) for part in module.in_parts(torch.zeros(5, 3, 2, 2))] == [2, 2, 1]
    assert [len(part) for part in module.in_parts(torch.zeros(2, 3, 9, 9))] == [1, 1]
    assert [len(part) for part in module.in_parts(torch.zeros(0, 3, 2, 2))] == [0]


def test_unequal_shapes_are_refused():
    with pytest.raises(ValueError, match=r"must both be \(N, 3, H, W\)"):
        PanelComparison([], 0)(torch.zeros(1, 3, 4, 4), torch.zeros(2, 3, 4, 4), torch.arange(1))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_values_on_an_accelerator_are_those_on_the_cpu(panel):
    clean, adversarial = scenes(3)
    expected = PanelComparison(panel, ROOM)(clean, adversarial, torch.arange(3))
    comparison = PanelComparison(panel, ROOM)
    on_device = clean.cuda(), adversarial.cuda(), torch.arange(3)
    for _ in range(2):  # from what was made, and from what was kept
        for name, values in comparison(*on_device).items():
            assert values.is_cuda
            assert torch.allclose(values.cpu(), expected[name], rtol=1e-3, atol=1e-9)


def test_values_on_a_pretended_gpu_are_there_and_those_on_the_cpu(panel):
    clean, adversarial = scenes(3)
    expected = PanelComparison(panel, ROOM)(clean, adversarial, torch.arange(3))
    with pretended_gpu() as gpu:
        comparison, on_device = PanelComparison(panel, ROOM), (clean.to(gpu), adversarial.to(gpu))
        for _ in range(2):  # from what was made, and from what was kept
            for name, values in comparison(*on_device, torch.arange(3)).items():
                assert values.device == gpu
                assert torch.equal(values.cpu(), expected[name])
