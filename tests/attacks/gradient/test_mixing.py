"""Transforms that mix images: who is mixed with whom, and that they are the papers' formulas."""

from itertools import combinations

import pytest
import torch
from torch import Tensor

from project.attacks import PGD, Admix, MixedFrequency, ScaleInvariant
from project.attacks.gradient.transforms import all_views
from project.attacks.gradient.transforms.mixing import Partners
from project.core.errors import InputError
from project.core.identity import describe, digest
from project.core.randomness import Draws
from project.data import ShapesData
from tests.models import CurvedSegmenter, SpatialClassifier, eight_bit_images, predicted


class FakeSamples:
    """Images of one level each, which is their index; classes 0, 1, 2 in turn."""

    def __init__(self, count: int = 12, classes: int | None = 3) -> None:
        self.names = [f"photo_{index}" for index in range(count)]
        self.classes = classes
        self.reads: list[int] = []

    def image(self, index: int) -> Tensor:
        self.reads.append(index)
        return torch.full((3, 4, 5), index / 255)

    def label(self, index: int) -> int | None:
        return index % self.classes if self.classes else None

    def salient_mask(self, index: int) -> None:
        return None


def draws(index: list[int]) -> Draws:
    return Draws(torch.tensor(index), "test")


def mixed_in(samples: FakeSamples, index: list[int], number: int = 200, pool: int = 64) -> Tensor:
    """Return whom each of the samples is mixed with, again and again."""
    partners = Partners(samples, pool)
    rounds = [partners.drawn(draws(index).keyed(k))[:, 0, 0, 0] for k in range(number)]
    return torch.stack(rounds).mul(255).round().long()


def test_nobody_is_mixed_with_its_own_class_or_itself():
    found = mixed_in(FakeSamples(), [4, 7, 2])
    assert set(found[:, 0].tolist()) == {0, 2, 3, 5, 6, 8, 9, 11}
    assert set(found[:, 2].tolist()) == {0, 1, 3, 4, 6, 7, 9, 10}


def test_without_classes_of_images_everybody_else_may_be_mixed_in():
    found = mixed_in(FakeSamples(5, classes=None), [3])
    assert set(found[:, 0].tolist()) == {0, 1, 2, 4}


def test_partners_belong_to_the_sample_not_to_its_batch():
    together = mixed_in(FakeSamples(), [4, 7, 2], 20)
    assert torch.equal(mixed_in(FakeSamples(), [7], 20)[:, 0], together[:, 1])
    assert not torch.equal(together[:, 0], together[:, 1])


def test_pool_is_spread_evenly_and_read_once():
    samples = FakeSamples(100)
    assert set(mixed_in(samples, [4, 7], pool=10).flatten().tolist()) <= set(range(0, 100, 10))
    assert sorted(samples.reads) == list(range(0, 100, 10))


def test_broken_images_are_passed_over():
    class Broken(FakeSamples):
        def image(self, index: int) -> Tensor:
            if index < 9:
                raise InputError("the file ends too early")
            return super().image(index)

    assert set(mixed_in(Broken(), [4])[:, 0].tolist()) == {9, 11}


def test_a_data_set_of_one_class_is_refused():
    with pytest.raises(ValueError, match="at least two classes"):
        mixed_in(FakeSamples(classes=1), [0])


@pytest.mark.parametrize("kind", [Admix, MixedFrequency])
def test_mixing_without_a_data_set_says_what_to_do(kind):
    images = eight_bit_images(2)
    with pytest.raises(ValueError, match=rf"{kind.__name__} .* attack\.attach\(data\.samples\)"):
        PGD(transforms=[kind()])(SpatialClassifier(), images, torch.tensor([0, 1]))


@pytest.mark.parametrize("kind", [Admix, MixedFrequency])
def test_images_of_another_size_are_refused(kind):
    transform = kind()
    transform.attach(FakeSamples())
    (view, *_) = transform.views(draws([0, 1]))
    with pytest.raises(ValueError, match=r"\(3, 4, 5\) in the data set and \(3, 12, 16\)"):
        view.change(eight_bit_images(2))


def test_admix_with_scales_is_the_papers_formula():
    admix, images = Admix(partners=2, weight=0.3), torch.rand(2, 3, 4, 5)
    admix.attach(FakeSamples())
    views = list(all_views([admix, ScaleInvariant(3)], draws([4, 7])))
    assert len(views) == 6
    others = [
        Partners(FakeSamples(), 64).drawn(draws([4, 7]).keyed(1, "partner", k)) for k in (0, 1)
    ]
    for number, view in enumerate(views):
        partner, power = divmod(number, 3)
        expected = (images + 0.3 * others[partner]) / 2**power
        torch.testing.assert_close(view.change(images), expected)
        assert torch.equal(view.follow(images, 0), images)


@pytest.mark.parametrize("size", [(4, 5), (7, 6), (9, 9)])
@pytest.mark.parametrize("softness", [0.0, 0.7])
def test_mixed_frequencies_are_the_papers_formula(size, softness):
    """In float64, by sums over all waves instead of a fast transform."""

    class Noise(FakeSamples):
        def image(self, index: int) -> Tensor:
            return eight_bit_images(1, *size, seed=index)[0]

    mix = MixedFrequency(2, radius=1.5, softness=softness, sigma=0.1)
    mix.attach(Noise())
    images = eight_bit_images(2, *size, seed=99).double()
    for number, view in enumerate(mix.views(draws([4, 7]))):
        own = draws([4, 7]).keyed("copy", number)
        others = Partners(Noise(), 64).drawn(own.keyed("partner")).double()
        share = (
            own.keyed("share").uniform(1, 1, 1).double() if softness else torch.zeros(2, 1, 1, 1)
        )
        low, high = _split(images, 1.5, softness)
        mixed = low + share * high + (1 - share) * _split(others, 1.5, softness)[1]
        expected = mixed + 0.1 * own.keyed("noise").normal(3, *size).double()
        torch.testing.assert_close(view.change(images), expected, atol=1e-12, rtol=0)
        assert torch.equal(view.follow(images, 0), images)


def _split(images: Tensor, radius: float, softness: float) -> tuple[Tensor, Tensor]:
    """Split images into low and high frequencies, which are periods per side around 0."""
    height, width = images.shape[2:]
    waves, frequencies = [], []
    for side in (height, width):
        place = torch.arange(side, dtype=torch.float64)
        around = place - side // 2
        waves.append(torch.exp(-2j * torch.pi * around[:, None] * place / side))
        frequencies.append(around)
    spectrum = waves[0] @ images.to(torch.complex128) @ waves[1].mT
    distance = (frequencies[0][:, None] ** 2 + frequencies[1] ** 2).sqrt()
    mask = (distance <= radius).double()
    if softness:
        mask = 1 / (1 + torch.exp((distance - radius) / softness))
    low, high = (
        (waves[0].mH @ (spectrum * part) @ waves[1].mH.mT).real / (height * width)
        for part in (mask, 1 - mask)
    )
    return low, high


def test_a_soft_edge_draws_another_share_for_each_sample_and_copy():
    mix = MixedFrequency(3, radius=0.0, softness=0.5, sigma=0.0)
    mix.attach(FakeSamples())
    changed = [view.change(torch.zeros(2, 3, 4, 5)) for view in mix.views(draws([4, 7]))]
    assert all(not torch.equal(one, other) for one, other in combinations(changed, 2))
    mix = MixedFrequency(1, radius=9.0, softness=0.0, sigma=0.0)
    mix.attach(FakeSamples())
    (view,) = mix.views(draws([4, 7]))
    assert torch.equal(view.change(changed[0]), changed[0])


def test_description_tells_the_pool_that_a_store_key_rests_on():
    admix, larger = Admix(), Admix()
    alone = digest(describe(admix))
    admix.attach(FakeSamples(50))
    larger.attach(FakeSamples(500))
    assert len({alone, digest(describe(admix)), digest(describe(larger))}) == 3


@pytest.mark.parametrize("task", ["classification", "segmentation"])
def test_attack_mixes_images_of_a_real_data_set(task):
    data = ShapesData(task, size=16, num_test=12, limit=4)
    data.setup("test")
    attack = PGD(steps=2, transforms=[Admix(partners=2), ScaleInvariant(2)])
    attack.attach(data.samples)
    samples = [data.samples[place] for place in range(4)]
    images, index = (torch.stack([each[key] for each in samples]) for key in ("image", "index"))
    victim = SpatialClassifier() if task == "classification" else CurvedSegmenter()
    target = predicted(victim, images)
    together = attack(victim.double(), images.double(), target, index)
    alone = attack(victim, images[2:3].double(), target[2:3], index[2:3])
    assert torch.equal(alone, together[2:3])
    assert not torch.equal(together, PGD(steps=2)(victim, images.double(), target, index))


def test_arguments_out_of_range_are_refused():
    with pytest.raises(ValueError, match="partners must be at least 1 and pool at least 2"):
        Admix(partners=0)
    with pytest.raises(ValueError, match="copies must be at least 1 and pool at least 2, got 1, 1"):
        MixedFrequency(copies=1, pool=1)
    with pytest.raises(ValueError, match="radius, softness and sigma must be at least 0"):
        MixedFrequency(softness=-1.0)
