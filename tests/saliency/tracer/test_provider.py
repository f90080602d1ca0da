"""TRACER as a provider: weights, sizes, independence."""

import pytest
import torch
import torch.nn.functional as F

from project.attacks import SSTA
from project.core.identity import describe
from project.saliency import TRACER
from project.saliency.tracer.network import TracerNetwork
from project.saliency.tracer.provider import SIDES, default_checkpoint
from project.victims.victim import IMAGENET_MEAN, IMAGENET_STD
from tests.models import CurvedClassifier, eight_bit_images, predicted
from tests.saliency.test_providers import FakeSamples


@pytest.fixture(scope="module")
def tracer(torch_home):
    path = torch_home / "hub/checkpoints/TRACER-Efficient-0.pth"
    return TRACER(checkpoint=str(path), input_size=64)


def test_map_is_the_networks_sigmoid_at_the_size_of_the_image(tracer, torch_home):
    images = eight_bit_images(1, 40, 52)
    network = TracerNetwork("b0").eval()
    weights = torch.load(torch_home / "hub/checkpoints/TRACER-Efficient-0.pth")
    network.load_published(weights)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    square = F.interpolate(images, (64, 64), mode="bilinear", align_corners=False)
    with torch.no_grad():
        expected = network((square - mean) / std).saliency.sigmoid()
    expected = F.interpolate(expected, (40, 52), mode="bilinear", align_corners=False)
    found = tracer(images)
    torch.testing.assert_close(found, expected)
    assert found.std() > 0.01


def test_map_does_not_depend_on_batch_mates_or_their_order(tracer):
    images = eight_bit_images(3, 40, 52)
    order = torch.tensor([2, 0, 1])
    maps = tracer(images)
    assert torch.equal(tracer(images[order]), maps[order])
    assert torch.equal(tracer(images[1:2]), maps[1:2])


def test_map_depends_on_no_autocast_and_works_in_inference_mode(tracer):
    images = eight_bit_images(1, 40, 52)
    maps = tracer(images)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(tracer(images), maps)


def test_map_has_the_type_of_the_images(tracer):
    images = eight_bit_images(1, 40, 52)
    maps = tracer(images.double())
    assert maps.dtype == torch.float64
    assert torch.equal(maps, tracer(images).double())


def test_published_file_is_found_among_torch_hubs(published):
    assert default_checkpoint("b0") == published
    assert default_checkpoint("b7").name == "TRACER-Efficient-7.pth"
    assert TRACER().fingerprint() == TRACER(checkpoint=str(published)).fingerprint()


def test_published_weights_load_from_memory_without_any_file(tracer, torch_home):
    weights = torch.load(torch_home / "hub/checkpoints/TRACER-Efficient-0.pth")
    loaded = TRACER("b0", input_size=64).load_published(weights)
    images = eight_bit_images(1, 40, 52)
    assert torch.equal(loaded(images), tracer(images))
    assert loaded.fingerprint() == tracer.fingerprint()
    weights["module.agg.UAM.spatial_v.weight"] *= 2
    assert loaded.load_published(weights).fingerprint() != tracer.fingerprint()


def test_own_checkpoint_of_a_training_loads(tracer, published, tmp_path):
    weights = torch.load(published)
    trained = {key.replace("module.", "network.", 1): value for key, value in weights.items()}
    path = tmp_path / "trained.ckpt"
    torch.save({"state_dict": trained, "epoch": 3}, path)
    assert TRACER(checkpoint=str(path)).fingerprint() == tracer.fingerprint()


def test_missing_weights_say_where_they_are_published_and_go_before_an_experiment_starts(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(ValueError, match=r"TRACER-Efficient-3\.pth.*releases/tag/v1\.0") as error:
        SSTA(TRACER("b3")).attach(FakeSamples())
    assert str(tmp_path / "hub/checkpoints/TRACER-Efficient-3.pth") in str(error.value)
    with pytest.raises(ValueError, match=r"'nowhere\.pth' must be a file.*releases/tag/v1\.0"):
        TRACER(checkpoint="nowhere.pth")(eight_bit_images(1))


def test_weights_of_another_variant_or_network_are_refused_by_name(published, tmp_path):
    with pytest.raises(ValueError, match=r"of another shape.*TRACER's variant is 'b2'"):
        TRACER("b2", checkpoint=str(published)).fingerprint()
    path = tmp_path / "other.pth"
    torch.save(CurvedClassifier().state_dict(), path)
    with pytest.raises(ValueError, match=r"do not fit the network: of 893 keys 7\d\d missing"):
        TRACER(checkpoint=str(path)).fingerprint()


def test_size_that_the_network_cannot_take_is_refused():
    with pytest.raises(ValueError, match="multiple of 32, got 100"):
        TRACER(input_size=100)
    with pytest.raises(ValueError, match="one of b0, b1"):
        TRACER("b8")


def test_each_variant_has_its_size():
    assert list(SIDES.values()) == [320, 320, 352, 384, 448, 512, 576, 640]


def test_description_names_the_weights(tracer, published, tmp_path):
    weights = torch.load(published)
    weights["module.model._bn0.bias"] += 1
    torch.save(weights, tmp_path / "other.pth")
    described = describe(tracer)
    assert described["variant"] == "b0"
    assert described["fingerprint"] == tracer.fingerprint()
    assert TRACER(checkpoint=str(tmp_path / "other.pth")).fingerprint() != tracer.fingerprint()


def test_attack_moves_where_tracer_says(tracer):
    victim, images = CurvedClassifier(), eight_bit_images(2)
    result = SSTA(tracer, steps=2).run(victim, images, predicted(victim, images))
    maps = tracer(images)
    assert result.mask is not None
    for map_, mask in zip(maps, result.mask > 0, strict=True):
        assert mask.any()
        assert map_[mask].min() >= map_[~mask].max()
