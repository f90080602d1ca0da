"""Every classifier of torchvision is known by name, with each of its published weights."""

from typing import Any

import pytest
import torchvision

from project.core.errors import InputError
from project.victims import TorchvisionSegmenter, TorchvisionVictim, torchvision_victim
from project.victims.torchvision_segmenter import _published

CLASSIFIERS = torchvision.models.list_models(module=torchvision.models)
SEGMENTERS = torchvision.models.list_models(module=torchvision.models.segmentation)


@pytest.fixture
def unbuilt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks of one layer stand for all, so that no weights are drawn."""
    from torch import nn

    monkeypatch.setattr(torchvision_victim, "build", lambda *a, **b: nn.Flatten())


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_normalisation_and_size_are_those_of_each_published_file(name: str, unbuilt: None):
    for weights in torchvision.models.get_model_weights(name):
        victim = TorchvisionVictim(name, weights=weights.name, input_size="auto")
        published: Any = weights.transforms()
        assert victim.mean == tuple(published.mean)
        assert victim.std == tuple(published.std)
        assert [victim.input_size] == list(published.crop_size)
        assert victim.interpolation == published.interpolation.value
        classes = weights.meta["categories"]  # None: features without a head, as of VGG-16
        assert classes is None or len(classes) == victim.num_classes


@pytest.mark.parametrize("name", SEGMENTERS)
def test_every_segmenter_has_published_weights(name: str):
    assert [len(weights.meta["categories"]) for weights in _published(name)] == [21] * len(
        list(_published(name))
    )


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("quantized_mobilenet_v2", "quantised, so that no gradient"),
        ("fasterrcnn_resnet50_fpn", "a detector of objects"),
        ("r3d_18", "for videos"),
        ("raft_small", "for optical flow"),
        ("fcn_resnet50", "a segmenter, which TorchvisionSegmenter takes"),
    ],
)
def test_what_is_no_classifier_is_refused_by_its_name(name: str, told: str):
    with pytest.raises(
        InputError, match=rf"^architecture must be a .*, got '{name}', which is {told}"
    ):
        TorchvisionVictim(name)


def test_a_detector_is_no_segmenter():
    with pytest.raises(InputError, match="architecture must be one of deeplab"):
        TorchvisionSegmenter("maskrcnn_resnet50_fpn")
