"""The victim check: a victim for each failure, and one sentence for each victim."""

import re
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from project.victims import (
    ClassificationVictim,
    SegmentationVictim,
    TimmVictim,
    VictimCheckError,
    check_victim,
    check_victims,
)
from tests.models import CurvedClassifier, CurvedSegmenter, eight_bit_images

IMAGES = eight_bit_images(3)


class Changed(nn.Module):
    """A sound classifier with something wrong at its end or its start."""

    def __init__(
        self,
        after: Callable[[Tensor], object] = lambda logits: logits,
        before: Callable[[Tensor], Tensor] = lambda images: images,
    ) -> None:
        super().__init__()
        self.sound = CurvedClassifier()
        self.after, self.before = after, before

    def forward(self, images: Tensor) -> object:
        return self.after(self.sound(self.before(images)))


def failures(network: nn.Module, num_classes: int = 4) -> list[str]:
    victim = ClassificationVictim(network, num_classes)
    return check_victim("odd", victim, IMAGES, "classification", 4)


def test_sound_victims_pass():
    classifier = ClassificationVictim(CurvedClassifier(), 4)
    check_victims({"c": classifier}, IMAGES, "classification", 4)
    check_victims({"s": SegmentationVictim(CurvedSegmenter(), 4)}, IMAGES, "segmentation", 4)
    check_victims({"t": TimmVictim("resnet10t", num_classes=4)}, IMAGES, "classification", 4)


@pytest.mark.parametrize(
    ("after", "sentence"),
    [
        (lambda logits: logits.softmax(1), "must be logits, got probabilities"),
        (lambda logits: logits * torch.nan, "must be finite, got 12 of 12 NaN"),
        (lambda logits: logits[:, :3], r"must have shape \(3, 4\) .* got \(3, 3\)"),
        (lambda logits: logits[..., None], r"got \(3, 4, 1\)"),
        (lambda logits: {"out": logits}, "one tensor of logits, got a dictionary"),
        (lambda logits: logits + torch.rand(1), "two calls on the same images must agree"),
        (lambda logits: logits - logits.mean(0), "must not depend on its batch mates"),
        (lambda logits: logits.detach(), "gradient must reach the images, but the output has none"),
        (
            lambda logits: torch.nan_to_num(logits + 0 * (logits - logits).sqrt()),
            "must be finite, got NaN",
        ),
    ],
)
def test_each_fault_of_the_output_is_one_sentence(after: Callable[[Tensor], object], sentence: str):
    found = failures(Changed(after))
    assert len(found) == 1
    assert found[0].startswith("victim 'odd': ")
    with pytest.raises(AssertionError, match=sentence):
        raise AssertionError(found[0])


@pytest.mark.parametrize(
    ("before", "sentence"),
    [
        (torch.Tensor.detach, "it ends before them"),
        (torch.round, "is zero everywhere on 3 of 3"),
    ],
)
def test_a_gradient_that_stops_before_the_images_is_found(
    before: Callable[[Tensor], Tensor], sentence: str
):
    found = failures(Changed(before=before))
    assert len(found) == 1
    assert sentence in found[0]


def test_sizes_that_the_network_refuses_become_a_sentence():
    found = failures(CurvedClassifier((20, 20)))
    assert len(found) == 1
    assert "must take images of 12×16, but raised RuntimeError" in found[0]
    assert "Set its input_size" in found[0]


def test_another_task_or_number_of_classes_than_the_data_is_found():
    victim = ClassificationVictim(CurvedClassifier(), 4)
    assert "must do segmentation" in check_victim("odd", victim, IMAGES, "segmentation", 4)[0]
    assert (
        "the data's 21 classes, but has 4"
        in (check_victim("odd", victim, IMAGES, "classification", 21)[0])
    )


def test_normalised_images_are_refused():
    victim = ClassificationVictim(CurvedClassifier(), 4)
    found = check_victim("odd", victim, IMAGES * 4 - 2, "classification", 4)
    assert "images must lie in [0, 1]" in found[0]


def test_the_failures_of_all_victims_come_in_one_error():
    victims = {
        "first": ClassificationVictim(Changed(lambda logits: logits.softmax(1)), 4),
        "sound": ClassificationVictim(CurvedClassifier(), 4),
        "third": ClassificationVictim(Changed(lambda logits: logits.detach()), 4),
    }
    with pytest.raises(VictimCheckError) as caught:
        check_victims(victims, IMAGES, "classification", 4)
    assert str(caught.value).count("\n") == 1
    assert "'first'" in str(caught.value)
    assert "'third'" in str(caught.value)
    assert "'sound'" not in str(caught.value)


def test_the_check_leaves_flags_buffers_gradients_and_images_as_they_were():
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )
    victim = ClassificationVictim(network, 4).train()
    network[1].eval()
    before = {key: value.clone() for key, value in victim.state_dict().items()}
    flags = [module.training for module in victim.modules()]
    images = IMAGES.clone()
    check_victim("v", victim, images, "classification", 4)
    assert [module.training for module in victim.modules()] == flags
    assert all(torch.equal(value, before[key]) for key, value in victim.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in victim.parameters())
    assert torch.equal(images, IMAGES)
    assert not images.requires_grad


def test_the_check_works_inside_inference_mode():
    victim = ClassificationVictim(CurvedClassifier(), 4)
    with torch.inference_mode():
        assert check_victim("v", victim, IMAGES.clone(), "classification", 4) == []


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("no room"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB."),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 9 bytes"),
    ],
)
def test_too_little_memory_is_no_fault_of_the_victim(error):
    def spent(logits: Tensor) -> Tensor:
        raise error

    with pytest.raises(type(error), match=re.escape(str(error))):
        failures(Changed(after=spent))
