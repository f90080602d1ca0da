"""The best of several attacks, image by image."""

import pytest
import torch
from torch import Tensor, nn

from project.attacks import PGD, SSTA, Attack, BestOf, StAdv, TranSegPGD
from project.attacks.core.result import Perturbed
from project.core.errors import InputError
from tests.models import CurvedClassifier, CurvedSegmenter, eight_bit_images, predicted


def left(images: Tensor) -> Tensor:
    maps = torch.zeros(len(images), 1, *images.shape[2:])
    maps[..., : images.shape[3] // 2] = 1
    return maps


def right(images: Tensor) -> Tensor:
    return 1 - left(images)


def test_each_image_gets_the_success_that_changes_it_least():
    victim, images = CurvedClassifier().eval(), eight_bit_images(8)
    target = predicted(victim, images)
    parts = [SSTA(left, step_size=0.05), SSTA(right, step_size=0.05)]
    results = [part.run(victim, images, target) for part in parts]
    best = BestOf(parts).run(victim, images, target)
    choice = best.facts["choice"].long()
    assert set(choice.tolist()) == {0, 1}
    change = [(result.images - images).square().sum((1, 2, 3)) for result in results]
    for place, chosen in enumerate(choice.tolist()):
        kept, other = results[chosen], results[1 - chosen]
        for name in ("images", "float_images", "perturbation", "steps", "mask", "success"):
            assert torch.equal(getattr(best, name)[place], getattr(kept, name)[place]), name
        assert kept.fooled[place] >= other.fooled[place]
        if kept.fooled[place] == other.fooled[place]:
            assert change[chosen][place] <= change[1 - chosen][place]


def test_success_beats_a_smaller_change():
    victim, images = CurvedClassifier().eval(), eight_bit_images(4)
    target = predicted(victim, images)
    weak, strong = PGD(1 / 255, step_size=1 / 255, steps=1), PGD(16 / 255, steps=10)
    best = BestOf([weak, strong]).run(victim, images, target)
    assert torch.equal(best.success, strong.run(victim, images, target).success)


def test_attacks_that_do_not_mix_are_refused():
    with pytest.raises(InputError, match="at least two attacks"):
        BestOf([SSTA()])
    with pytest.raises(InputError, match="all targeted or all untargeted"):
        BestOf([SSTA(), SSTA(targeted=True)])
    victim, images = CurvedClassifier(), eight_bit_images(2)
    with pytest.raises(InputError, match="of one kind"):
        BestOf([SSTA(steps=2), PGD(0.1)]).run(victim, images, predicted(victim, images))


def test_facts_are_those_of_the_attack_chosen():
    victim, images = CurvedClassifier().eval(), eight_bit_images(8)
    target = predicted(victim, images)
    parts = [SSTA(left, step_size=0.05), SSTA(right, step_size=0.05)]
    results = [part.run(victim, images, target) for part in parts]
    best = BestOf(parts).run(victim, images, target)
    assert best.facts.keys() == {*results[0].facts, "choice"}
    for place, chosen in enumerate(best.facts["choice"].long().tolist()):
        for name, values in results[chosen].facts.items():
            assert best.facts[name][place] == values[place], name


def test_attack_without_a_mask_may_change_everything():
    victim, images = CurvedClassifier().eval(), eight_bit_images(8)
    target = predicted(victim, images)
    whole, half = StAdv(1e-3), SSTA(left, step_size=0.05)
    for attacks in ([whole, half], [half, whole]):
        best = BestOf(attacks).run(victim, images, target)
        choice = best.facts["choice"].long()
        assert set(choice.tolist()) == {0, 1}
        moved_all = choice == attacks.index(whole)
        assert (best.mask[moved_all] == 1).all()
        assert (best.mask[~moved_all] < 1).flatten(1).any(1).all()
        assert "mask_area" not in best.facts  # StAdv does not tell it


def test_of_a_segmenter_the_attack_that_fools_more_pixels_is_taken():
    victim, images = CurvedSegmenter().eval(), eight_bit_images(4)
    target = predicted(victim, images)
    target[:, :, 12:] = 255
    weak, strong = PGD(1 / 255, steps=2), PGD(4 / 255, steps=4)
    expected = strong.run(victim, images, target)
    assert ((expected.fooled > 0) & (expected.fooled < 1)).all()
    for attacks in ([weak, strong], [strong, weak]):
        best = BestOf(attacks).run(victim, images, target)
        assert torch.equal(best.images, expected.images)


def test_targeted_attacks_are_judged_by_their_target():
    victim, images = CurvedClassifier().eval(), eight_bit_images(6)
    wanted = (predicted(victim, images) + 1) % 4
    weak = PGD(1 / 255, step_size=1 / 255, steps=1, targeted=True)
    strong = PGD(16 / 255, steps=10, targeted=True)
    best = BestOf([weak, strong]).run(victim, images, wanted)
    assert best.success.any()
    assert torch.equal(best.success, strong.run(victim, images, wanted).success)


def test_distance_that_is_asked_for_decides(monkeypatch):
    def of_left(clean: Tensor, images: Tensor) -> Tensor:
        return (images - clean)[..., : images.shape[3] // 2].abs().sum((1, 2, 3))

    monkeypatch.setattr("project.attacks.combined.best_of.distance_named", lambda name: of_left)
    victim, images = CurvedClassifier().eval(), eight_bit_images(8)
    target = predicted(victim, images)
    parts = [SSTA(left, step_size=0.05), SSTA(right, step_size=0.05)]
    both = torch.stack([part.run(victim, images, target).success for part in parts]).all(0)
    best = BestOf(parts, distance="lpips_alex").run(victim, images, target)
    assert both.any()
    assert (best.facts["choice"][both] == 1).all()


def test_every_attack_knows_the_data_set():
    class Attached(PGD):
        samples = None

        def attach(self, samples: object) -> None:
            self.samples = samples

    attacks, samples = [Attached(0.1), Attached(0.2)], object()
    BestOf(attacks).attach(samples)
    assert all(attack.samples is samples for attack in attacks)


def test_traces_of_several_attacks_are_dropped():
    victim, images = CurvedSegmenter().eval(), eight_bit_images(2)
    target = predicted(victim, images)
    attacks = [TranSegPGD(4 / 255, steps=3), TranSegPGD(8 / 255, steps=4)]
    assert attacks[0].run(victim, images, target).traces
    assert not BestOf(attacks).run(victim, images, target).traces


class Given(Attack):
    """Returns an image of one value everywhere, and another one as what it was before rounding."""

    targeted, seed = False, 0

    def __init__(self, value: float, before: float) -> None:
        self.value = value
        self.before = before

    def perturb(
        self, victim: nn.Module, images: Tensor, target: Tensor, index: Tensor
    ) -> Perturbed:
        made, before = torch.full_like(images, self.value), torch.full_like(images, self.before)
        return Perturbed(made, before, made - images, torch.zeros(len(images)))


class Brightness(nn.Module):
    """Class 0 while the mean value is below one half."""

    num_classes = 2

    def forward(self, images: Tensor) -> Tensor:
        lead = 0.5 - images.mean((1, 2, 3))
        return torch.stack([lead, -lead], 1)


@pytest.mark.parametrize(
    ("first", "second", "best"),
    [
        (Given(0.4, before=0.6), Given(0.8, before=0.4), 0.8),  # only the second fools
        (Given(0.6, before=0.9), Given(0.8, before=0.1), 0.6),  # the first is nearer
    ],
)
def test_8_bit_images_are_what_is_compared(first, second, best):
    images, target = torch.zeros(2, 3, 4, 4), torch.zeros(2, dtype=torch.int64)
    for attacks in ([first, second], [second, first]):
        result = BestOf(attacks).run(Brightness(), images, target)
        assert torch.equal(result.images, torch.full_like(images, best))


def test_among_equals_the_first_is_taken():
    images, target = torch.zeros(2, 3, 4, 4), torch.zeros(2, dtype=torch.int64)
    result = BestOf([Given(0.6, 0.6), Given(0.6, 0.7)]).run(Brightness(), images, target)
    assert result.facts["choice"].tolist() == [0, 0]
