"""A batch attacked in parts gives what it gives as a whole, and takes less memory."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from project.attacks import PGD, SSTA, Attack, AttackResult, SegPGD
from project.attacks.core.result import joined
from project.core.errors import InputError
from project.largest_batch.memory import peak_bytes
from project.victims import ClassificationVictim, RandomEnsemble
from tests.attacks.test_contract import ROWS, scene
from tests.models import SpatialClassifier, eight_bit_images, predicted

CPU = torch.device("cpu")
INDEX = torch.tensor([5, 3, 8, 1, 4])
SEGMENTING = ("segpgd", "transegpgd", "transegpgd_all_fooled", "ssta_objective", "sea", "dag")
ROWS_AND_TASKS = [(name, "classification") for name in ROWS]
ROWS_AND_TASKS += [(name, "segmentation") for name in SEGMENTING]


class OneByOne(nn.Module):
    """A victim whose sums do not depend on the size of a batch."""

    num_classes = 4

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.first = nn.Identity()
        self.inner = inner

    def forward(self, images: Tensor) -> Tensor:
        images = self.first(images)
        return torch.cat([self.inner(images[k : k + 1]) for k in range(len(images))])


def same(found: AttackResult, expected: AttackResult, rtol: float) -> None:
    """Require equal results: verdicts and 8-bit images exactly, the rest up to ``rtol``."""
    for name in ("images", "success", "success_float", "fooled", "steps"):
        assert torch.equal(getattr(found, name), getattr(expected, name)), name
    assert (found.mask is None) == (expected.mask is None)
    assert type(found.threat_model) is type(expected.threat_model)
    mask = {} if found.mask is None else {"mask": (found.mask, expected.mask)}
    if hasattr(found.threat_model, "mask"):
        mask["space"] = (found.threat_model.mask, expected.threat_model.mask)
    floats = {
        name: (getattr(found, name), getattr(expected, name))
        for name in ("float_images", "perturbation")
    }
    for name, (one, other) in (mask | floats).items():
        torch.testing.assert_close(one, other, rtol=rtol, atol=rtol, msg=name)
    for told in ("facts", "traces"):
        one, other = getattr(found, told), getattr(expected, told)
        torch.testing.assert_close(one, other, rtol=rtol, atol=rtol, equal_nan=True)


@pytest.mark.parametrize(("name", "task"), ROWS_AND_TASKS)
def test_a_batch_in_parts_gives_what_the_whole_gives(name: str, task: str):
    victim, images, target = scene(task, len(INDEX))
    victim = OneByOne(victim.double().eval())
    attack, images = ROWS[name].attack, images.double()
    whole = attack.run(victim, images, target, INDEX)
    parts = attack.run(victim, images, target, INDEX, max_batch=2)
    same(parts, whole, rtol=0)
    assert torch.equal(attack(victim, images, target, INDEX, max_batch=2), whole.images)


@pytest.mark.parametrize("attack", [PGD(steps=4), SSTA(steps=4), PGD(1.0, 0.4, 4, norm="l2")])
def test_a_convolutional_victim_gives_the_same_up_to_its_last_bits(attack: Attack):
    victim, images = SpatialClassifier().double(), eight_bit_images(5, 24, 24).double()
    target = predicted(victim, images)
    whole = attack.run(victim, images, target)
    same(attack.run(victim, images, target, max_batch=3), whole, rtol=1e-9)


def test_every_part_asks_the_same_member_of_a_random_ensemble():
    members = [OneByOne(SpatialClassifier().double()) for _ in range(3)]
    for number, member in enumerate(members):
        member.inner.head.weight.data.mul_(number + 1).add_(0.1 * number)
    victim = RandomEnsemble([ClassificationVictim(member, 4).double() for member in members])
    images = eight_bit_images(5).double()
    target = predicted(victim, images)
    attack = PGD(steps=6)
    whole = attack.run(victim, images, target)
    same(attack.run(victim, images, target, max_batch=1), whole, rtol=0)


def test_parts_are_no_larger_than_asked_for():
    sizes = []
    victim, images, target = scene("classification", 5)
    victim.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    PGD(steps=2).run(victim, images, target, max_batch=2)
    assert max(sizes) == 2
    assert sizes.count(1) * 2 == sizes.count(2)


@pytest.mark.parametrize("name", ["pgd", "segpgd", "ssta", "advdrop", "best_of"])
def test_parts_take_less_memory_than_the_whole(name: str):
    victim, images, target = scene("segmentation", 8)
    attack = ROWS[name].attack
    whole = peak_bytes(lambda: attack.run(victim, images, target), CPU)
    parts = peak_bytes(lambda: attack.run(victim, images, target, max_batch=1), CPU)
    assert parts < 0.6 * whole


@pytest.mark.parametrize("most", [0, -1])
def test_a_batch_of_no_images_is_refused(most: int):
    victim, images, target = scene("classification")
    with pytest.raises(InputError, match=f"max_batch must be a whole number.*got {most}"):
        PGD(steps=1)(victim, images, target, max_batch=most)


def test_shorter_traces_and_those_that_a_part_does_not_tell_end_in_nan():
    victim, images, target = scene("segmentation", 2)
    long, short = (SegPGD(steps=steps).run(victim, images, target) for steps in (3, 2))
    named = replace(long, traces=long.traces | {"own": torch.ones(2, 3)})
    found = joined([named, short])
    assert {values.shape for values in found.traces.values()} == {(4, 3)}
    for name, values in short.traces.items():
        assert torch.equal(found.traces[name][2:, :2], values)
        assert found.traces[name][2:, 2].isnan().all()
    assert found.traces["own"][2:].isnan().all()
    assert torch.equal(found.traces["own"][:2], torch.ones(2, 3))
