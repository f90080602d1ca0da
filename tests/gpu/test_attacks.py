"""Every attack keeps its tensors on the victim's device, and finds there what it finds on a CPU."""

from dataclasses import fields

import pytest
import torch
from torch import Tensor

from project.attacks import SSTA, Attack, AttackResult
from project.saliency import (
    FrequencyTuned,
    GradCAM,
    SpectralResidual,
    VictimGradient,
)
from project.victims.acceleration import Acceleration, accelerated
from tests.attacks.test_contract import ROWS, every_attack_and_task, scene
from tests.gpu.pretended import pretended_gpu
from tests.models import SpatialClassifier, eight_bit_images, predicted
from tests.victims.acceleration.test_acceleration import classifier, images

LIBRARIES = ("foolbox", "torchattacks", "art")
"""Whose own code asks torch for streams and generators of a GPU."""


def tensors(result: AttackResult) -> dict[str, Tensor]:
    values = {field.name: getattr(result, field.name) for field in fields(result)}
    return {name: value for name, value in values.items() if isinstance(value, Tensor)}


def require_the_same(attack: Attack, victim, shown: Tensor, target: Tensor) -> None:
    index = torch.arange(len(shown)) + 3
    expected = tensors(attack.run(victim, shown, target, index))
    with pretended_gpu() as gpu:
        found = tensors(attack.run(victim.to(gpu), shown.to(gpu), target.to(gpu), index.to(gpu)))
        assert found["images"].device == gpu
        host = {key: value.cpu() for key, value in found.items()}
    assert expected.keys() == host.keys()
    assert torch.equal(host["images"], expected["images"])
    for key, value in expected.items():  # fused Adam rounds last bits in another way, step by step
        torch.testing.assert_close(host[key], value, rtol=0, atol=1e-5, equal_nan=True)


@every_attack_and_task
def test_result_is_there_and_that_of_the_cpu(name: str, task: str):
    if name.startswith(LIBRARIES):
        pytest.skip("a library's own")
    require_the_same(ROWS[name].attack, *scene(task))


@pytest.mark.parametrize(
    "saliency",
    [FrequencyTuned(), SpectralResidual(), VictimGradient(), GradCAM("conv")],
    ids=lambda one: type(one).__name__,
)
def test_masks_are_there(saliency):
    victim, shown = SpatialClassifier(), eight_bit_images(3)
    require_the_same(SSTA(steps=3, saliency=saliency), victim, shown, predicted(victim, shown))


@pytest.mark.parametrize(
    "how", [Acceleration(), Acceleration(precision="bfloat16"), Acceleration(checkpoint=True)]
)
def test_copies_are_there(how: Acceleration):
    victim, shown = classifier(), images()
    expected = accelerated(victim, how, shown).victim(shown)
    with pretended_gpu() as gpu:
        made = accelerated(victim.to(gpu), how, shown.to(gpu)).victim
        assert {value.device for value in made.state_dict().values()} == {gpu}
        assert torch.equal(made(shown.to(gpu)).cpu(), expected)
