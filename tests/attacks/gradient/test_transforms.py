"""What transforms show victims: torch's own operations, formulas in float64, labels that follow."""

import pytest
import scipy.fft
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from project.attacks import PGD, Diversity, Momentum, ScaleInvariant, Spectrum, TranSegPGD
from project.attacks.gradient.transforms import all_views
from project.attacks.gradient.transforms.diversity import ResizedAxis
from project.core.randomness import Draws
from project.images.dct import cosines
from tests.models import CurvedClassifier, CurvedSegmenter, eight_bit_images, predicted

HEIGHT, WIDTH = 20, 31


def draws(count: int = 6) -> Draws:
    return Draws(torch.arange(count), "test")


def images(count: int = 6) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(count, 3, HEIGHT, WIDTH, generator=generator, dtype=torch.float64)


def drawn(diversity: Diversity, count: int) -> tuple[ResizedAxis, ResizedAxis]:
    """Return the sizes and places that a view of the same draws has."""
    (view,) = diversity.views(draws(count))
    return diversity._axes(*view.change.args, images(count))


def test_diversity_is_resizing_padding_and_resizing_back():
    diversity = Diversity(probability=1, scale=1.3)
    (view,) = diversity.views(draws())
    shown, (down, across) = view.change(images()), drawn(diversity, 6)
    for n, image in enumerate(images()):
        height, width, top, left = (
            int(each[n]) for each in (down.resized, across.resized, down.offset, across.offset)
        )
        enlarged = F.interpolate(image[None], (height, width), mode="bilinear")
        padded = F.pad(enlarged, (left, 41 - left - width, top, 26 - top - height))
        expected = F.interpolate(padded, (HEIGHT, WIDTH), mode="bilinear")[0]
        torch.testing.assert_close(shown[n], expected, atol=1e-12, rtol=0)


def test_every_size_and_place_that_fits_is_drawn():
    down, across = drawn(Diversity(probability=1, scale=1.3), 2000)
    assert set(down.resized.tolist()) == set(range(20, 26))
    assert set(across.resized.tolist()) == set(range(31, 41))
    assert (down.offset >= 0).all()
    assert (down.offset + down.resized <= 26).all()
    for size in range(20, 26):
        assert set(down.offset[down.resized == size].tolist()) == set(range(27 - size))


def test_height_and_width_are_resized_alike():
    down, across = drawn(Diversity(probability=1, scale=2), 200)
    torch.testing.assert_close(down.resized / HEIGHT, across.resized / WIDTH, atol=0.05, rtol=0)
    free = [axis.offset / (axis.canvas - axis.resized) for axis in (down, across)]
    assert torch.stack(free).corrcoef()[0, 1].abs() < 0.3  # but placed on their own; 4 σ


@pytest.mark.parametrize(("length", "canvas"), [(50, 55), (299, 329), (12, 14), (1, 2)])
def test_frame_is_the_scaled_side_rounded_up(length, canvas):
    diversity = Diversity(probability=1, scale=1.1)
    (view,) = diversity.views(draws())
    down, _ = diversity._axes(*view.change.args, torch.zeros(6, 3, length, 5))
    assert (down.canvas == canvas).all()


def test_each_image_is_changed_with_the_probability_on_its_own():
    count = 2000
    (view,) = Diversity(probability=0.3).views(draws(count))
    small = torch.rand(count, 1, 10, 10)
    changed = (view.change(small) != small).flatten(1).any(1)
    assert 0.26 < changed.float().mean() < 0.34  # 4 σ


def test_view_is_the_same_whenever_it_is_called():
    (view,) = Diversity(probability=1).views(draws())
    assert torch.equal(view.change(images()), view.change(images()))


def test_gradient_goes_back_through_diversity():
    (view,) = Diversity(probability=1, scale=1.5).views(Draws(torch.arange(2), "test"))
    start = torch.rand(2, 1, 4, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(view.change, start)


def test_labels_follow_the_image():
    """Where labels tell the place and the image shows it too, both agree in the changed frame."""
    rows, columns = torch.meshgrid(torch.arange(HEIGHT), torch.arange(WIDTH), indexing="ij")
    places = torch.stack([rows, columns, torch.ones_like(rows)])
    ramp = (places / 40).double().repeat(6, 1, 1, 1)
    (view,) = Diversity(probability=1, scale=1.3).views(draws())
    shown = view.change(ramp) * 40
    for channel in range(2):
        labels = places[channel].repeat(6, 1, 1)
        moved = view.follow(labels, 255)
        assert moved.dtype == labels.dtype
        assert 0.05 < (moved == 255).double().mean() < 0.5
        whole = (moved != 255) & (shown[:, 2] > 1 - 1e-9)  # beside the frame it is blended in
        assert whole.double().mean() > 0.5
        assert (shown[:, channel] - moved)[whole].abs().max() < 0.9


def test_void_begins_where_less_than_half_of_a_pixel_is_image():
    white = torch.ones(6, 1, HEIGHT, WIDTH, dtype=torch.float64)
    (view,) = Diversity(probability=1, scale=1.3).views(draws())
    outside = view.follow(torch.zeros(6, HEIGHT, WIDTH, dtype=torch.int64), 255) == 255
    shown = view.change(white)[:, 0]
    assert shown[outside].max() < 0.75
    assert shown[~outside].min() > 0.2
    assert shown[outside].median() == 0
    assert shown[~outside].median() == pytest.approx(1)


def test_logits_follow_as_labels_do():
    values = torch.arange(HEIGHT * WIDTH).view(1, HEIGHT, WIDTH).repeat(6, 1, 1)
    (view,) = Diversity(probability=1, scale=1.3).views(draws())
    logits = torch.stack([values.double(), 2 * values.double()], 1)
    labels, logits = view.follow(values, 0), view.follow(logits, 0)
    assert torch.equal(logits[:, 0], labels.double())
    assert torch.equal(logits[:, 1], 2 * labels.double())


class PlaceTeller(nn.Module):
    """Its logits are a pixel's own value: it classifies what it is shown, wherever it lies."""

    num_classes = 4

    def forward(self, images: Tensor) -> Tensor:
        scores = -((images[:, :1] * 5 - torch.arange(1, 5).view(1, 4, 1, 1)) ** 2)
        return 50 * scores


def test_diverse_views_of_a_segmenter_are_judged_in_their_own_frame():
    """A victim right about every pixel stays so about every view of it; unmoved labels fail."""
    victim = PlaceTeller()
    blocks = torch.arange(4).repeat_interleave(8).expand(2, 16, 32)
    shown = ((blocks + 1) / 5)[:, None].expand(-1, 3, -1, -1).contiguous()
    attack = TranSegPGD(1e-4, 1e-6, 4, stage_switch=1.0, transforms=[Diversity(1.0, 1.5)])
    result = attack.run(victim, shown, blocks.contiguous())
    assert result.traces["resisting"].min() > 0.9


@pytest.mark.parametrize(
    "transform",
    [Diversity(0), Diversity(1, scale=1), ScaleInvariant(1), Spectrum(1, sigma=0, spread=0)],
    ids=["probability", "scale", "copies", "spectrum"],
)
@pytest.mark.parametrize("kind", [CurvedClassifier, CurvedSegmenter])
def test_transform_that_changes_nothing_is_pgd(transform, kind):
    victim, shown = kind().double(), eight_bit_images(3).double()
    target = predicted(victim, shown)
    expected = PGD(steps=4)(victim, shown, target)
    assert torch.equal(PGD(steps=4, transforms=[transform])(victim, shown, target), expected)


def test_unchanged_images_are_shown_bit_for_bit():
    (view,) = Diversity(0).views(draws())
    shown = images().float()
    assert torch.equal(view.change(shown), shown)
    assert torch.equal(view.follow(shown, 0), shown)


def test_scaled_copies_are_halved_again_and_again():
    copies = [view.change(images()) for view in ScaleInvariant(4).views(draws())]
    assert [torch.equal(copy, images() / 2**i) for i, copy in enumerate(copies)] == [True] * 4


def test_scale_invariant_momentum_follows_its_formula_step_by_step():
    victim, shown = CurvedClassifier().double().eval(), eight_bit_images(3).double()
    target = predicted(victim, shown)
    current, total = shown, torch.zeros_like(shown)
    for _ in range(4):
        start = current.detach().requires_grad_()
        copies = [F.cross_entropy(victim(start / 2**i), target, reduction="sum") for i in range(5)]
        (gradient,) = torch.autograd.grad(sum(copies) / 5, start)
        total = total + gradient / gradient.abs().mean((1, 2, 3), keepdim=True)
        moved = current + 1 / 255 * total.sign()
        current = torch.minimum(torch.maximum(moved, shown - 3 / 255), shown + 3 / 255)
    attack = PGD(
        3 / 255,
        1 / 255,
        4,
        random_start=False,
        rules=[Momentum()],
        transforms=[ScaleInvariant()],
    )
    found = attack.run(victim, shown, target).float_images
    torch.testing.assert_close(found, current, atol=1e-12, rtol=0)


def test_whole_image_cosine_transform_is_scipys_and_goes_back():
    image = images(1)[0, 0]
    down, across = cosines(HEIGHT), cosines(WIDTH)
    spectrum = down @ image @ across.mT
    expected = scipy.fft.dctn(image.numpy(), norm="ortho")
    torch.testing.assert_close(spectrum, torch.from_numpy(expected))
    torch.testing.assert_close(down.mT @ spectrum @ across, image)


def test_spectrum_is_its_formula():
    spectrum = Spectrum(copies=3, sigma=0.1, spread=0.4)
    for number, view in enumerate(spectrum.views(draws())):
        own = draws().keyed("copy", number)
        noisy = images() + 0.1 * own.keyed("noise").normal(3, HEIGHT, WIDTH).double()
        mask = 0.6 + 0.8 * own.keyed("mask").uniform(3, HEIGHT, WIDTH).double()
        frequencies = scipy.fft.dctn(noisy.numpy(), axes=(2, 3), norm="ortho") * mask.numpy()
        expected = scipy.fft.idctn(frequencies, axes=(2, 3), norm="ortho")
        torch.testing.assert_close(view.change(images()), torch.from_numpy(expected))


def test_copies_of_a_spectrum_differ_in_noise_and_weights():
    first, second = (view.change(images()) for view in Spectrum(2).views(draws()))
    assert not torch.equal(first, second)
    flat = torch.full_like(images(), 0.5)
    weighed, _ = (view.change(flat) for view in Spectrum(2, sigma=0).views(draws()))
    mean = weighed.mean((2, 3)) / 0.5  # of a flat image only the lowest frequency is weighed
    assert ((mean > 0.5) & (mean < 1.5)).all()
    assert mean.std() > 0.1


def test_gradient_goes_back_through_the_spectrum():
    (view,) = Spectrum(1).views(Draws(torch.arange(1), "test"))
    start = torch.rand(1, 2, 4, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(view.change, start)


@pytest.mark.parametrize("transform", [ScaleInvariant(), Spectrum(2)])
def test_pixels_stay_where_only_values_change(transform):
    labels = torch.arange(6 * HEIGHT * WIDTH).view(6, HEIGHT, WIDTH)
    assert all(torch.equal(view.follow(labels, 255), labels) for view in transform.views(draws()))


def test_transforms_follow_each_other():
    chain = [ScaleInvariant(2), Diversity(1, 1.4), Spectrum(3)]
    views = list(all_views(chain, draws()))
    assert len(views) == 6
    keyed = draws().keyed(2)
    scaled = list(chain[0].views(keyed))[1].change(images())
    (diverse,) = chain[1].views(draws().keyed(2, 1).keyed(1))
    last = list(chain[2].views(draws().keyed(2, 1).keyed(1, 0).keyed(0)))[2]
    torch.testing.assert_close(views[5].change(images()), last.change(diverse.change(scaled)))
    labels = torch.arange(6 * HEIGHT * WIDTH).view(6, HEIGHT, WIDTH)
    assert torch.equal(views[5].follow(labels, 255), diverse.follow(labels, 255))


def test_chained_diversity_keeps_what_was_padded_void():
    labels = torch.zeros(6, HEIGHT, WIDTH, dtype=torch.int64)
    (once,) = Diversity(1, 1.5).views(draws())
    (twice,) = all_views([Diversity(1, 1.5), Diversity(1, 1.5)], draws())
    assert (twice.follow(labels, 255) == 255).sum() > (once.follow(labels, 255) == 255).sum()
    assert set(twice.follow(labels, 255).unique().tolist()) == {0, 255}


@pytest.mark.parametrize(
    ("transforms", "views"),
    [
        ([], 1),
        ([Diversity()], 1),
        ([ScaleInvariant(3)], 3),
        ([Spectrum(4)], 4),
        ([Diversity(), ScaleInvariant(3), Spectrum(2)], 6),
    ],
)
def test_victim_is_asked_once_a_view_and_step_and_never_about_more_images(transforms, views):
    victim, shown = CurvedSegmenter(), eight_bit_images(2)
    target = predicted(victim, shown)
    sizes = []
    victim.register_forward_hook(lambda module, args, output: sizes.append(len(output)))
    PGD(steps=3, transforms=transforms)(victim, shown, target)
    assert sizes == [2] * 3 * views


@pytest.mark.parametrize("transform", [Diversity(1), ScaleInvariant(2), Spectrum(2)])
def test_views_round_alike_in_every_batch(transform):
    index = torch.tensor([4, 9, 2])
    together = [view.change(images(3)) for view in transform.views(Draws(index, "test"))]
    for n in range(3):
        alone = transform.views(Draws(index[n : n + 1], "test"))
        for view, whole in zip(alone, together, strict=True):
            assert torch.equal(view.change(images(3)[n : n + 1])[0], whole[n])


def test_an_all_void_image_is_left_alone_by_every_transform():
    victim, shown = CurvedSegmenter(), eight_bit_images(2)
    target = predicted(victim, shown)
    target[1] = 255
    attack = PGD(steps=3, random_start=False, transforms=[Diversity(1), Spectrum(2)])
    found = attack.run(victim, shown, target)
    assert torch.equal(found.images[1], shown[1])
    assert not torch.equal(found.images[0], shown[0])
    assert found.traces["objective"].isfinite().all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Diversity(1.2), "probability must lie in"),
        (lambda: Diversity(scale=0.9), "scale be at least 1"),
        (lambda: ScaleInvariant(0), "copies must be at least 1"),
        (lambda: Spectrum(0), "copies must be at least 1"),
        (lambda: Spectrum(sigma=-1), "sigma and spread at least 0"),
    ],
)
def test_arguments_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
