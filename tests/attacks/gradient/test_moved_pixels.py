"""Views that move pixels: each pixel once where they permute, and labels with their pixels."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from project.attacks import (
    PGD,
    BlockShuffle,
    Deformation,
    InputTransform,
    RandomAffine,
    StructureInvariant,
    TranSegPGD,
)
from project.attacks.gradient.transforms.block_shuffle import shuffled
from project.attacks.gradient.transforms.structure_invariant import MOVES
from project.core.randomness import Draws
from tests.models import CurvedClassifier, CurvedSegmenter, eight_bit_images, predicted

HEIGHT, WIDTH = 20, 31
VOID = 255

PERMUTATIONS: dict[str, InputTransform] = {
    "shuffle": BlockShuffle(),
    "shuffle without flips": BlockShuffle(horizontal_flip=0.0),
    "shuffle with both flips": BlockShuffle(3, 4, 0.5, 0.5, copies=3),
    "one row": BlockShuffle(1, 5),
    "more blocks than pixels": BlockShuffle(30, 40, 0.5, 0.5),
    "SIA, moves": StructureInvariant(4, MOVES, copies=2),
    "flips": RandomAffine((1.0, 1.0), 1.0, 0.0, 0.0, 0.5, 0.5, copies=2),
}
SAMPLED: dict[str, InputTransform] = {
    "shuffle, mirrored": BlockShuffle(rotation=24.0, zoom=(0.7, 1.5), vertical_flip=0.5),
    "shuffle, zeros": BlockShuffle(rotation=24.0, zoom=(0.5, 2.0), edges="zeros", copies=2),
    "shuffle, many blocks": BlockShuffle(7, 9, 0.5, 0.5, 180.0, (0.3, 1.0)),
    "affine, mirrored": RandomAffine(vertical_flip=0.5, aspect=1.3),
    "affine, zeros": RandomAffine((0.4, 2.0), 1.5, 180.0, 0.3, edges="zeros", copies=2),
    "deformation, zeros": Deformation(strength=0.8, copies=2),
    "deformation, mirrored": Deformation(5, 0.3, "mirrored", copies=1),
}
NEAREST: dict[str, InputTransform] = {
    f"{name}, nearest": replace(transform, sampling="nearest")
    for name, transform in SAMPLED.items()
}
CHANGED: dict[str, InputTransform] = {"SIA": StructureInvariant(copies=5)}
NOTHING: dict[str, InputTransform] = {
    "shuffle": BlockShuffle(1, 1, 0.0),
    "affine": RandomAffine((1.0, 1.0), 1.0, 0.0, 0.0, 0.0),
}
MOVING = PERMUTATIONS | SAMPLED | NEAREST | CHANGED

every_permutation = pytest.mark.parametrize("name", PERMUTATIONS)
every_sampled = pytest.mark.parametrize("name", SAMPLED)
every_moving = pytest.mark.parametrize("name", MOVING)


def draws(count: int = 6) -> Draws:
    return Draws(torch.arange(count), "test")


def images(count: int = 6) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(count, 3, HEIGHT, WIDTH, generator=generator, dtype=torch.float64)


def ids(count: int = 6) -> Tensor:
    """Return labels that are all different in an image."""
    return torch.arange(HEIGHT * WIDTH).view(1, HEIGHT, WIDTH).repeat(count, 1, 1)


@every_permutation
def test_permutation_shows_every_pixel_once_and_labels_with_it(name: str):
    shown = images().float()
    for view in PERMUTATIONS[name].views(draws()):
        labels = view.follow(ids(), -1)
        assert torch.equal(labels.flatten(1).sort(1).values, ids().flatten(1))
        expected = shown.flatten(2).gather(2, labels.flatten(1)[:, None].expand(-1, 3, -1))
        assert torch.equal(view.change(shown), expected.view_as(shown))
        assert torch.equal(view.follow(shown, -1), view.change(shown))


@every_permutation
def test_permutation_brings_every_gradient_back_to_its_pixel(name: str):
    start, given = images().requires_grad_(), torch.rand_like(images())
    view = next(PERMUTATIONS[name].views(draws()))
    (gradient,) = torch.autograd.grad(view.change(start), start, given)
    labels = view.follow(ids(), -1)[:, None].expand(-1, 3, -1, -1).flatten(2)
    assert torch.equal(gradient.flatten(2).gather(2, labels), given.flatten(2))


def bilinear(image: Tensor, row: float, column: float) -> Tensor:
    """Sample an image (3, H, W), edges repeated, one pixel at a time; middles at whole numbers."""
    height, width = image.shape[1:]
    row, column = min(max(row, 0.0), height - 1.0), min(max(column, 0.0), width - 1.0)
    top, left = math.floor(row), math.floor(column)
    below, right = min(top + 1, height - 1), min(left + 1, width - 1)
    y, x = row - top, column - left
    upper = (1 - x) * image[:, top, left] + x * image[:, top, right]
    lower = (1 - x) * image[:, below, left] + x * image[:, below, right]
    return (1 - y) * upper + y * lower


def folded(place: float, length: int) -> float:
    """Reflect a place, middles at whole numbers, at the edges until it lies between them."""
    while not -0.5 <= place <= length - 0.5:
        place = -1 - place if place < -0.5 else 2 * length - 1 - place
    return min(max(place, 0.0), length - 1.0)


def cuts(sizes: list[float], order: list[float], length: int) -> list[tuple[int, int, int]]:
    """Return a view's strips in order: where each begins in image and view, and its length."""
    total, ends, done = sum(1 - u for u in sizes), [0], 0.0
    for u in sizes:
        done += 1 - u
        ends.append(round(done / total * length))
    found, start = [], 0
    for k in sorted(range(len(sizes)), key=order.__getitem__):
        found.append((ends[k], start, ends[k + 1] - ends[k]))
        start += found[-1][2]
    return found


def shuffled_by_hand(
    image: Tensor, transform: BlockShuffle, own: Draws, n: int
) -> tuple[Tensor, Tensor]:
    """Return a view of an image and of the ids of its pixels, pixel by pixel from the formula."""
    size = (transform.rows, transform.columns)
    rows = own.keyed("rows").uniform(2, size[0])[n].tolist()
    columns = own.keyed("columns").uniform(size[0], 2, size[1])[n].tolist()
    blocks = own.keyed("blocks").uniform(4, *size)[n].tolist()
    shown, labels = torch.zeros_like(image), torch.full(image.shape[1:], VOID)
    for k, (top, y0, height) in enumerate(cuts(*rows, HEIGHT)):
        for j, (left, x0, width) in enumerate(cuts(*columns[k], WIDTH)):
            block = image[:, top : top + height, left : left + width]
            side = -1 if blocks[0][k][j] < transform.horizontal_flip else 1
            up = -1 if blocks[1][k][j] < transform.vertical_flip else 1
            angle = math.radians(transform.rotation) * (2 * blocks[2][k][j] - 1)
            low, high = transform.zoom
            zoom = low + (high - low) * blocks[3][k][j]
            for y in range(height):
                for x in range(width):
                    v, u = y - (height - 1) / 2, x - (width - 1) / 2
                    # Turned back by the angle, shrunk, and flipped back.
                    row = up * (math.cos(angle) * v + math.sin(angle) * u) / zoom + (height - 1) / 2
                    column = (
                        side * (math.cos(angle) * u - math.sin(angle) * v) / zoom + (width - 1) / 2
                    )
                    if transform.edges == "mirrored":
                        row, column = folded(row, height), folded(column, width)
                    elif not (-0.5 <= row < height - 0.5 and -0.5 <= column < width - 0.5):
                        continue
                    shown[:, y0 + y, x0 + x] = bilinear(block, row, column)
                    label = (top + math.floor(row + 0.5)) * WIDTH + left + math.floor(column + 0.5)
                    labels[y0 + y, x0 + x] = label
    return shown, labels


@pytest.mark.parametrize(
    "transform",
    [
        BlockShuffle(3, 2, 0.5, 0.5),
        BlockShuffle(2, 2, 0.5, 0.5, 24.0, (0.7, 1.5)),
        BlockShuffle(2, 3, 0.0, 0.0, 24.0, edges="zeros", copies=2),
        BlockShuffle(3, 3, 0.5, 0.0, 180.0, (0.4, 0.9)),
    ],
)
def test_block_shuffle_is_its_formula(transform: BlockShuffle):
    for number, view in enumerate(transform.views(draws())):
        shown, labels = view.change(images()), view.follow(ids(), VOID)
        for n in range(0, 6, 2):
            own = draws().keyed("copy", number)
            expected, expected_labels = shuffled_by_hand(images()[n], transform, own, n)
            torch.testing.assert_close(shown[n], expected, atol=1e-9, rtol=0)
            assert (labels[n] == expected_labels).double().mean() > 0.998  # float32 at halves


def test_strips_have_the_drawn_sizes_and_the_drawn_order():
    chances = torch.tensor([[[0.5, 0.75, 0.25], [0.9, 0.1, 0.5]]]).double()
    strips = shuffled(chances, 12)  # sizes 4, 2, 6 in the image, in the view 2, 6, 4
    assert strips.sources().tolist() == [[4, 5, 6, 7, 8, 9, 10, 11, 0, 1, 2, 3]]
    assert strips.mirrored().tolist() == [[5, 4, 11, 10, 9, 8, 7, 6, 3, 2, 1, 0]]


def test_every_order_and_many_cuts_are_drawn():
    found = shuffled(draws(3000).uniform(2, 3).double(), 30)
    first = found.source[:, 0]
    assert len(set(first.tolist())) > 25  # any pixel may be the first shown
    begins = (first == 0).double().mean()
    assert 0.29 < begins < 0.38  # each of three strips comes first in a third of the views; 4 σ


def test_blocks_of_a_strip_are_cut_and_ordered_on_their_own():
    (view,) = BlockShuffle(2, 3, 0.0).views(draws(200))
    columns = view.follow(torch.arange(WIDTH).expand(200, HEIGHT, WIDTH), -1)
    different = (columns[:, 0] != columns[:, -1]).any(1)
    assert different.double().mean() > 0.9


def moved_by_hand(image: Tensor, transform: RandomAffine, chances: list[float]) -> Tensor:
    leftwards, upwards, size, shape, turn, right, down = chances
    zoom = transform.zoom[0] + (transform.zoom[1] - transform.zoom[0]) * size
    aspect = transform.aspect ** (2 * shape - 1)
    angle = math.radians(transform.rotation) * (2 * turn - 1)
    side = -1 if leftwards < transform.horizontal_flip else 1
    up = -1 if upwards < transform.vertical_flip else 1
    cosine, sine = math.cos(angle), math.sin(angle)
    across, along = side * zoom * math.sqrt(aspect), up * zoom / math.sqrt(aspect)
    # x to the right, y down: the rotation of the docstring, after the zoom.
    forward = [[cosine * across, sine * along], [-sine * across, cosine * along]]
    back = torch.linalg.inv(torch.tensor(forward, dtype=torch.float64))
    drawn = torch.tensor([WIDTH * (2 * right - 1), HEIGHT * (2 * down - 1)], dtype=torch.float64)
    shift = transform.shift * drawn
    middle = torch.tensor([(WIDTH - 1) / 2, (HEIGHT - 1) / 2]).double()
    shown = torch.zeros_like(image)
    for y in range(HEIGHT):
        for x in range(WIDTH):
            column, row = (back @ (torch.tensor([x, y]) - middle - shift) + middle).tolist()
            if transform.edges == "mirrored":
                shown[:, y, x] = bilinear(image, folded(row, HEIGHT), folded(column, WIDTH))
            else:  # a frame of black pixels around the image
                framed = torch.nn.functional.pad(image, (1, 1, 1, 1))
                if -1 < row < HEIGHT and -1 < column < WIDTH:
                    shown[:, y, x] = bilinear(framed, row + 1, column + 1)
    return shown


@pytest.mark.parametrize(
    "transform",
    [
        RandomAffine(vertical_flip=0.5, aspect=1.4),
        RandomAffine((0.4, 2.0), 1.5, 180.0, 0.3, edges="zeros", copies=2),
        RandomAffine((1.0, 1.0), 1.0, 0.0, 0.0, 0.5, 0.5),
    ],
)
def test_random_affine_is_its_formula(transform: RandomAffine):
    for number, view in enumerate(transform.views(draws())):
        chances = draws().keyed("copy", number).uniform(7).tolist()
        shown = view.change(images())
        for n in range(0, 6, 2):
            expected = moved_by_hand(images()[n], transform, chances[n])
            torch.testing.assert_close(shown[n], expected, atol=1e-7, rtol=0)


@every_sampled
def test_labels_are_where_their_pixels_are(name: str):
    """An image that shows each pixel's place has in the view the place of the pixel's label.

    A ramp is the same between pixels as at them; beside a mirror or void it is not, so that few
    pixels may differ by more than the half pixel between a place and the middle nearest to it.
    """
    rows, columns = torch.meshgrid(torch.arange(HEIGHT), torch.arange(WIDTH), indexing="ij")
    ramp = torch.stack([rows, columns, torch.ones_like(rows)]).double().repeat(6, 1, 1, 1)
    for view in SAMPLED[name].views(draws()):
        shown, labels = view.change(ramp), view.follow(ids(), -1)
        seen = (labels >= 0) & (shown[:, 2] > 1 - 1e-9)
        assert seen.double().mean() > 0.5
        for shown_place, place in ((shown[:, 0], labels // WIDTH), (shown[:, 1], labels % WIDTH)):
            away = (shown_place - place)[seen].abs()
            assert away.max() < 0.5 + 1e-4


@pytest.mark.parametrize("name", NEAREST)
def test_nearest_pixels_are_shown_bit_for_bit_with_their_labels(name: str):
    places = torch.stack([ids(), ids()], 1) + 1
    for view in NEAREST[name].views(draws()):
        labels = view.follow(ids(), -1)
        for dtype in (torch.float32, torch.float64):
            assert torch.equal(view.change(places.to(dtype))[:, 0], labels.to(dtype) + 1)


@every_sampled
def test_what_comes_from_nowhere_is_black_and_void(name: str):
    transform = SAMPLED[name]
    white = torch.ones(6, 1, HEIGHT, WIDTH)
    for view in transform.views(draws()):
        void = view.follow(ids(), VOID * 1000) == VOID * 1000
        shown = view.change(white)[:, 0]
        assert void.any() == (transform.edges == "zeros")
        if "shuffle" in name:
            assert torch.equal(shown == 0, void)
        else:  # the outermost pixels blend into black
            assert shown[void].max() < 0.5 + 1e-4 if void.any() else True
            assert shown[~void].min() > 0.25 - 1e-4
        torch.testing.assert_close(shown[~void].max(), torch.tensor(1.0))


@every_moving
def test_logits_follow_as_labels_do_whatever_their_type(name: str):
    logits = torch.stack([ids(), 2 * ids()], 1)
    for view in MOVING[name].views(draws()):
        labels = view.follow(ids(), 0)
        for dtype in (torch.float64, torch.float32, torch.int64):
            moved = view.follow(logits.to(dtype), 0)
            assert moved.dtype == dtype
            assert torch.equal(moved[:, 0], labels.to(dtype))
            assert torch.equal(moved[:, 1], 2 * labels.to(dtype))


@pytest.mark.parametrize("name", NOTHING)
def test_view_of_nothing_changes_nothing(name: str):
    shown = images().float()
    (view,) = NOTHING[name].views(draws())
    assert torch.equal(view.change(shown), shown)
    assert torch.equal(view.follow(ids(), VOID), ids())


@pytest.mark.parametrize("name", NOTHING)
@pytest.mark.parametrize("kind", [CurvedClassifier, CurvedSegmenter])
def test_attack_with_a_view_of_nothing_is_the_attack(name: str, kind: type):
    victim, shown = kind().double(), eight_bit_images(3).double()
    target = predicted(victim, shown)
    expected = PGD(steps=4)(victim, shown, target)
    assert torch.equal(PGD(steps=4, transforms=[NOTHING[name]])(victim, shown, target), expected)


@every_moving
def test_views_are_those_of_the_sample_in_every_batch(name: str):
    index = torch.tensor([4, 9, 2])
    for dtype in (torch.float32, torch.float64):
        shown = images(3).to(dtype)
        together = list(MOVING[name].views(Draws(index, "test")))
        for n in range(3):
            alone = MOVING[name].views(Draws(index[n : n + 1], "test"))
            for view, whole in zip(alone, together, strict=True):
                one = slice(n, n + 1)
                assert torch.equal(view.change(shown[one])[0], whole.change(shown)[n])
                assert torch.equal(view.follow(ids(1), 0)[0], whole.follow(ids(3), 0)[n])
                assert torch.equal(view.change(shown[one]), view.change(shown[one]))


@every_moving
def test_steps_copies_and_samples_see_different_views(name: str):
    first = [view.follow(ids(2), 0) for view in MOVING[name].views(draws(2).keyed(1))]
    second = [view.follow(ids(2), 0) for view in MOVING[name].views(draws(2).keyed(2))]
    seen = [labels for view in (*first, *second) for labels in view]
    if name != "flips":  # of which there are only four
        assert not any(
            torch.equal(one, other) for i, one in enumerate(seen) for other in seen[i + 1 :]
        )


@every_moving
def test_gradient_is_that_of_the_view(name: str):
    view = next(MOVING[name].views(Draws(torch.arange(2), "test")))
    start = torch.rand(2, 1, 4, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(view.change, start)


@every_moving
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 1), (2, 3)])
def test_smallest_images_can_be_moved(name: str, size: tuple[int, int]):
    for view in MOVING[name].views(draws(2)):
        shown = view.change(torch.ones(2, 3, *size))
        assert shown.shape == (2, 3, *size)
        assert shown.isfinite().all()
        assert view.follow(torch.ones(2, *size), VOID).shape == (2, *size)


@pytest.mark.parametrize("name", PERMUTATIONS | SAMPLED | NEAREST)
def test_a_right_segmenter_stays_right_about_every_view(name: str):
    """Labels that stayed behind would be wrong about most pixels of a view."""

    class PlaceTeller(torch.nn.Module):
        num_classes = 4

        def forward(self, shown: Tensor) -> Tensor:
            return -50 * ((shown[:, :1] * 5 - torch.arange(1, 5).view(1, 4, 1, 1)) ** 2)

    blocks = torch.arange(4).repeat_interleave(8).expand(2, 16, 32)
    shown = ((blocks + 1) / 5)[:, None].expand(-1, 3, -1, -1).contiguous()
    attack = TranSegPGD(1e-4, 1e-6, 4, stage_switch=1.0, transforms=[MOVING[name]])
    result = attack.run(PlaceTeller(), shown, blocks.contiguous())
    assert result.traces["resisting"].min() > 0.75  # between pixels values blend


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BlockShuffle(0), "rows, columns and copies must be at least 1"),
        (lambda: BlockShuffle(copies=0), "rows, columns and copies must be at least 1"),
        (lambda: BlockShuffle(horizontal_flip=1.5), r"probabilities in \[0, 1\]"),
        (lambda: BlockShuffle(rotation=200.0), r"degrees in \[0, 180\]"),
        (lambda: BlockShuffle(zoom=(2.0, 1.0)), "the smaller first"),
        (lambda: BlockShuffle(zoom=(0.0, 1.0)), "above 0"),
        (lambda: BlockShuffle(edges="black"), "must be one of mirrored, zeros"),
        (lambda: RandomAffine(aspect=0.5), "aspect and copies must be at least 1"),
        (lambda: RandomAffine(shift=-0.1), "shift at least 0"),
        (lambda: RandomAffine(vertical_flip=-1.0), r"probabilities in \[0, 1\]"),
    ],
)
def test_what_makes_no_view_is_refused(make, message: str):
    with pytest.raises(ValueError, match=message):
        make()
