"""Networks of the libraries that victims are made of can be told apart, whatever they hold."""

import pytest
import segmentation_models_pytorch
import timm
import torchvision
from timm.models import FeatureInfo

from project.core.identity import describe, digest
from project.victims import SmpVictim
from tests.victims.test_smp_victim import ARGUMENTS


@pytest.mark.parametrize("architecture", ARGUMENTS)
def test_smp_victims_with_encoders_of_timm_can_be_described(architecture):
    def victim():
        return SmpVictim(architecture, "tu-test_efficientnet", 7)

    first, second = victim(), victim()
    second.load_state_dict(first.state_dict())
    assert digest(describe(first)) == digest(describe(second))
    assert digest(describe(first.network)) == digest(describe(second.network))


@pytest.mark.parametrize("name", timm.list_models("test_*"))
def test_networks_of_timm_can_be_described(name):
    network = timm.create_model(name)
    assert describe(network) == describe(network)


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("squeezenet1_1", {}),
        ("mobilenet_v3_small", {}),
        ("lraspp_mobilenet_v3_large", {"weights_backbone": None}),
    ],
)
def test_networks_of_torchvision_can_be_described(name, more):
    network = torchvision.models.get_model(name, weights=None, **more)
    assert describe(network) == describe(network)


def test_a_method_chosen_by_a_layer_is_told_by_its_name():
    """FasterNet's layers keep one of two methods as their ``forward``."""
    fasternet = pytest.importorskip("timm.models.fasternet", reason="came with timm 1.0.16")
    first, second = (fasternet.Partial_conv3(8, 4, way) for way in ("slicing", "split_cat"))
    assert describe(first) == describe(first)
    second.load_state_dict(first.state_dict())
    assert describe(first) != describe(second)


def test_objects_of_libraries_are_told_by_all_they_hold():
    """A list of features of timm keeps its argument under another name."""
    stages = [{"num_chs": 8, "reduction": 2, "module": "a"}]
    wider = [{"num_chs": 9, "reduction": 2, "module": "a"}]
    assert describe(FeatureInfo(stages, (0,))) == describe(FeatureInfo(stages, (0,)))
    assert describe(FeatureInfo(stages, (0,))) != describe(FeatureInfo(wider, (0,)))


def test_smp_networks_with_other_encoders_can_be_described():
    for encoder in ("mobilenet_v2", "mit_b0"):
        network = segmentation_models_pytorch.Unet(encoder, encoder_weights=None)
        assert describe(network) == describe(network)
