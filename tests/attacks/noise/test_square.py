"""Square: its moves against slow references, its search, and that it never takes a gradient."""

import math

import pytest
import torch
from torch import Tensor, nn

from project.attacks import Square
from project.attacks.noise.square import L2Moves, LinfMoves, bumps, square_side
from project.core.errors import InputError
from project.core.randomness import Draws
from tests.models import CurvedClassifier, CurvedSegmenter, eight_bit_images, predicted

EPS = 8 / 255


def draws(count: int, step: int) -> Draws:
    return Draws(torch.arange(count), 0, "Square", step)


def changed_box(before: Tensor, after: Tensor) -> tuple[int, int, int, int]:
    """Return (top, left, height, width) of what differs between two (C, H, W)."""
    places = (before != after).any(0).nonzero()
    (top, left), (bottom, right) = places.amin(0).tolist(), places.amax(0).tolist()
    return top, left, bottom - top + 1, right - left + 1


def test_area_falls_at_the_published_moves():
    attack = Square(area=0.8)
    reached = [0, 10, 11, 50, 51, 200, 201, 500, 501, 1000, 1001, 2000, 4001, 6001, 8001]
    halvings = [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 7, 8, 9]
    assert [attack.area_after(moves) for moves in reached] == [0.8 / 2**n for n in halvings]


@pytest.mark.parametrize(
    ("area", "least", "side"), [(0.5, 1, 7), (0.8, 1, 8), (1e-4, 1, 1), (1e-4, 3, 3), (0.25, 1, 5)]
)
def test_square_has_its_share_of_the_image_and_fits(area, least, side):
    assert square_side(area, torch.zeros(1, 3, 8, 12), least) == side


def test_linf_noise_starts_as_stripes_at_the_bound():
    noise = LinfMoves(EPS).start(torch.zeros(3, 3, 6, 40), draws(3, 0))
    assert torch.equal(noise.abs(), torch.full_like(noise, EPS))
    assert torch.equal(noise, noise[:, :, :1].expand_as(noise))
    assert 0.3 < (noise > 0).double().mean() < 0.7


def test_linf_move_gives_one_square_of_each_image_one_sign_per_channel():
    noise = torch.zeros(40, 3, 9, 12)
    moved = LinfMoves(EPS).next(noise, 0.25, draws(40, 1))
    corners = set()
    for image in moved:
        top, left, height, width = changed_box(torch.zeros(3, 9, 12), image)
        assert (height, width) == (5, 5)
        inside = image[:, top : top + 5, left : left + 5]
        assert torch.equal(inside.abs(), torch.full_like(inside, EPS))
        assert all(len(channel.unique()) == 1 for channel in inside)
        corners.add((top, left))
    tops, lefts = zip(*corners, strict=True)
    assert (min(tops), max(tops)) == (0, 4)  # up to the last row and column
    assert (min(lefts), max(lefts)) == (0, 7)
    assert len(moved[:, :, 4, 6].sign().unique(dim=0)) > 4  # signs of channels are independent


def slow_bump(height: int, width: int) -> list[list[float]]:
    """The pyramid as it is written down: 1 / k² added in ever larger boxes about the middle."""
    grid = [[0.0] * width for _ in range(height)]
    for k in range(1, max(height // 2, width // 2) + 2):
        for y in range(height):
            for x in range(width):
                if max(abs(y - height // 2), abs(x - width // 2)) <= k - 1:
                    grid[y][x] += 1 / k**2
    return grid


@pytest.mark.parametrize("side", [2, 3, 5, 8])
def test_bumps_are_two_unit_pyramids_of_opposite_signs(side):
    shape, half = bumps(side), side // 2
    assert float(shape.norm()) == pytest.approx(1)
    for part, height in ((shape[:half], half), (-shape[half:], side - half)):
        expected = torch.tensor(slow_bump(height, side), dtype=torch.float64)
        torch.testing.assert_close(part * math.sqrt(2), expected / expected.norm())


@pytest.mark.parametrize("size", [(10, 10), (12, 16), (4, 3), (64, 48)])
def test_l2_noise_starts_as_bumps_all_over_on_the_sphere(size):
    noise = L2Moves(1.5).start(torch.zeros(2, 3, *size, dtype=torch.float64), draws(2, 0))
    torch.testing.assert_close(noise.flatten(1).norm(dim=1), torch.full((2,), 1.5).double())
    side = max(1, size[0] // 5)
    covered = noise[:, :, : size[0] // side * side, : size[1] // side * side]
    assert (covered != 0).all()


def test_l2_move_stays_on_the_sphere_and_clears_one_square_for_a_bump_in_another():
    moves = L2Moves(1.5)
    noise = moves.start(torch.zeros(30, 3, 20, 20, dtype=torch.float64), draws(30, 0))
    moved = moves.next(noise, 0.04, draws(30, 1))
    torch.testing.assert_close(moved.flatten(1).norm(dim=1), torch.full((30,), 1.5).double())
    for before, after in zip(noise, moved, strict=True):
        cleared = ((after == 0) & (before != 0)).all(0)
        kept = torch.isclose(before, after, rtol=1e-12, atol=0).all(0)
        assert int(cleared.sum()) <= 25
        assert int((~kept & ~cleared).sum()) <= 25  # a bump's side is odd: 5
        assert int((~kept).sum()) >= 25


def test_l2_move_spends_what_the_range_of_an_image_had_cut_off():
    moves = L2Moves(1.5)
    noise = 0.5 * moves.start(torch.zeros(4, 3, 20, 20, dtype=torch.float64), draws(4, 0))
    moved = moves.next(noise, 0.04, draws(4, 1))
    torch.testing.assert_close(moved.flatten(1).norm(dim=1), torch.full((4,), 1.5).double())
    kept = torch.isclose(noise, moved, rtol=1e-12, atol=0)
    assert kept.double().mean() > 0.8  # not by scaling everything


class Blind(nn.Module):
    """A victim that has no gradient: taking one is an error."""

    num_classes = 4

    def __init__(self) -> None:
        super().__init__()
        self.inner = CurvedClassifier()

    def forward(self, images: Tensor) -> Tensor:
        assert not torch.is_grad_enabled()
        images.requires_grad_(False)
        return self.inner(images)


@pytest.mark.parametrize(("norm", "eps"), [("linf", 2 / 255), ("l2", 0.3)])
def test_victim_is_fooled_without_any_gradient(norm, eps):
    victim, images = Blind().eval(), eight_bit_images(16)
    target = predicted(victim, images)
    result = Square(eps, 200, norm)(victim, images, target)
    fooled = predicted(victim, result) != target
    once = predicted(victim, Square(eps, 1, norm)(victim, images, target)) != target
    assert fooled.sum() >= max(5, 2 * once.sum())
    assert not (once & ~fooled).any()


@pytest.mark.parametrize(("norm", "eps"), [("linf", 2.6 / 255), ("l2", 0.3)])
def test_victim_is_only_asked_about_what_a_file_can_hold(norm, eps):
    asked: list[Tensor] = []

    class Watching(CurvedClassifier):
        def forward(self, images: Tensor) -> Tensor:
            asked.append(images)
            return super().forward(images)

    victim, images = Watching().eval(), eight_bit_images(4)
    target = predicted(victim, images)
    Square(eps, 10, norm)(victim, images, target)
    assert len(asked) > 8
    assert all(torch.equal(shown, (shown * 255).round() / 255) for shown in asked)


def slow_square(victim, image: Tensor, label: int, index: int, queries: int) -> tuple[Tensor, int]:
    """Keep what lowers the lead, one image at a time, as plain Python."""
    moves, own = LinfMoves(EPS), torch.tensor([index])

    def lead(noise: Tensor) -> float:
        shown = ((image + noise).clamp(0, 1) * 255).round() / 255
        logits = victim(shown[None])[0].tolist()
        return logits[label] - max(z for k, z in enumerate(logits) if k != label)

    if lead(0 * image) <= 0:
        return 0 * image, 0
    best = moves.start(image[None], Draws(own, 0, "Square", 0))[0]
    least, steps = lead(best), 1
    for number in range(1, queries + 1):
        if least <= 0:
            break
        area = 0.8 * 0.5 ** sum(number - 1 > bound for bound in (10, 50, 200, 500))
        tried = moves.next(best[None], area, Draws(own, 0, "Square", number))[0]
        if lead(tried) < least:
            best, least, steps = tried, lead(tried), number + 1
    return best, steps


def test_search_is_that_of_images_taken_one_by_one():
    victim, images = CurvedClassifier().eval().double(), eight_bit_images(4).double()
    target = predicted(victim, images)
    target[1] = (target[1] + 1) % 4  # wrong already
    index = torch.tensor([7, 3, 11, 0])
    result = Square(EPS, 60).run(victim, images, target, index)
    for place in range(4):
        with torch.no_grad():
            noise, steps = slow_square(
                victim, images[place], int(target[place]), int(index[place]), 60
            )
        torch.testing.assert_close(result.perturbation[place], noise, atol=1e-7, rtol=0)
        assert result.steps[place] == steps


def test_image_leaves_once_it_is_fooled():
    asked: list[int] = []

    class Counting(CurvedClassifier):
        def forward(self, images: Tensor) -> Tensor:
            asked.append(len(images))
            return super().forward(images)

    victim, images = Counting().eval(), eight_bit_images(12)
    target = predicted(victim, images)
    asked.clear()
    result = Square(EPS, 300).run(victim, images, target)
    questions = asked[1:-2]  # after the clean images, before the verdict
    assert questions == sorted(questions, reverse=True)
    assert result.success.sum() >= 10
    assert len(set(questions)) > 5
    assert sum(questions) == torch.where(result.success, result.steps, 301).sum()


def test_segmenter_loses_more_pixels_with_more_queries_and_void_ones_count_nowhere():
    victim, images = CurvedSegmenter().eval(), eight_bit_images(4)
    target = predicted(victim, images)
    target[:, :4] = 255
    target[2] = 255
    few, many = (Square(4 / 255, n).run(victim, images, target) for n in (1, 60))
    assert torch.equal(many.images[2], images[2])
    labelled = [0, 1, 3]
    assert (many.fooled[labelled] > few.fooled[labelled]).all()
    still = (predicted(victim, many.images) == target).double().sum((1, 2))
    assert torch.equal(many.fooled[labelled].double(), 1 - (still / (8 * 16))[labelled])


def test_targeted_search_leads_to_the_wanted_class():
    victim, images = CurvedClassifier().eval(), eight_bit_images(12)
    wanted = (predicted(victim, images) + 1) % 4
    result = Square(16 / 255, 200, targeted=True).run(victim, images, wanted)
    assert result.success.double().mean() > 0.5
    assert torch.equal(predicted(victim, result.images) == wanted, result.success)


def test_traits_tell_a_black_box_and_its_queries():
    assert Square(EPS, 300).traits() == {
        "kind": "black_box",
        "method": "Square",
        "norm": "linf",
        "eps": EPS,
        "steps": 300,
    }


@pytest.mark.parametrize(
    "arguments", [{"queries": 0}, {"area": 0.0}, {"area": 1.5}, {"eps": 0.0}, {"norm": "l1"}]
)
def test_arguments_that_make_no_sense_are_refused(arguments):
    with pytest.raises(InputError):
        Square(**arguments)
