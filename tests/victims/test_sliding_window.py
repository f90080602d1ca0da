"""A large image seen in windows: the mean of its logits, and the gradient of all of them."""

import pytest
import torch
from torch import Tensor, nn

from project.attacks import PGD
from project.core.errors import InputError
from project.core.identity import describe, digest
from project.victims import (
    ClassificationVictim,
    SegmentationVictim,
    SlidingWindow,
    Victim,
    check_victim,
)
from tests.models import CLASSES, CurvedSegmenter, eight_bit_images, predicted


class Corners(nn.Module):
    """Answers with the pixel minus the window's first pixel, so that each window answers anew."""

    def forward(self, images: Tensor) -> Tensor:
        return torch.sin(3 * (images - images[..., :1, :1]))


def segmenter(network: nn.Module | None = None, classes: int = 3) -> SegmentationVictim:
    return SegmentationVictim(network or Corners(), classes).double().eval()


def photo(height: int, width: int, count: int = 1) -> Tensor:
    return eight_bit_images(count, height, width).double()


def by_hand(victim: Victim, images: Tensor, tops: list[int], lefts: list[int], side: int) -> Tensor:
    """Average over the windows that cover a pixel, pixel by pixel."""
    answers = {
        (top, left): victim(images[..., top : top + side, left : left + side])
        for top in tops
        for left in lefts
    }
    rows = []
    for y in range(images.shape[2]):
        row = []
        for x in range(images.shape[3]):
            seen = [
                answer[..., y - top, x - left]
                for (top, left), answer in answers.items()
                if 0 <= y - top < side and 0 <= x - left < side
            ]
            row.append(sum(seen) / len(seen))
        rows.append(torch.stack(row, -1))
    return torch.stack(rows, -2)


def test_logits_are_the_mean_over_the_windows_that_cover_a_pixel():
    victim, images = segmenter(), photo(11, 14, count=2)
    sliding = SlidingWindow(victim, window=(6, 6), stride=(4, 4))
    # Rows: 0, 4 and not 8 but 5; columns: 0, 4, 8 end at the border by themselves.
    expected = by_hand(victim, images, [0, 4, 5], [0, 4, 8], 6)
    torch.testing.assert_close(sliding(images), expected)


def test_gradient_is_that_of_all_windows():
    victim, images = segmenter(), photo(11, 14).requires_grad_()
    weights = torch.randn(1, 3, 11, 14, generator=torch.Generator().manual_seed(1)).double()
    sliding = SlidingWindow(victim, (6, 6), (4, 4))
    (found,) = torch.autograd.grad((sliding(images) * weights).sum(), images)
    logits = by_hand(victim, images, [0, 4, 5], [0, 4, 8], 6)
    (expected,) = torch.autograd.grad((logits * weights).sum(), images)
    torch.testing.assert_close(found, expected)


def test_answer_is_the_same_with_and_without_gradient():
    sliding = SlidingWindow(segmenter(CurvedSegmenter(), CLASSES), (6, 8), (3, 5))
    images = photo(11, 14)
    with torch.no_grad():
        expected = sliding(images)
    assert torch.equal(sliding(images.requires_grad_()), expected)


@pytest.mark.parametrize("size", [(5, 7), (6, 6), (3, 6)])
def test_an_image_no_larger_than_the_window_is_one_window(size: tuple[int, int]):
    victim, images = segmenter(), photo(*size)
    sliding = SlidingWindow(victim, window=(6, 8), stride=(2, 2))
    assert torch.equal(sliding(images), victim(images))


def test_an_image_smaller_in_one_direction_slides_in_the_other():
    victim, images = segmenter(), photo(4, 9)
    expected = torch.zeros(1, 3, 4, 9).double()
    expected[..., :3] = victim(images[..., :6])[..., :3]
    expected[..., 3:6] = (victim(images[..., :6])[..., 3:] + victim(images[..., 3:])[..., :3]) / 2
    expected[..., 6:] = victim(images[..., 3:])[..., 3:]
    sliding = SlidingWindow(victim, (6, 6), (5, 5))
    torch.testing.assert_close(sliding(images), expected)


def saved_bytes(victim: nn.Module, images: Tensor) -> int:
    """Return how many bytes a forward pass keeps for the backward pass, each storage once."""
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        logits = victim(images.requires_grad_())
    assert logits.requires_grad
    return sum(kept.values())


def test_memory_for_the_gradient_does_not_grow_with_the_windows():
    victim = segmenter(CurvedSegmenter(), CLASSES)
    images = photo(32, 32)
    few = saved_bytes(SlidingWindow(victim, (16, 16), (16, 16)), images)
    many = saved_bytes(SlidingWindow(victim, (16, 16), (4, 4)), images)
    image, covered = 3 * 32 * 32 * 8, 32 * 32 * 8
    assert few <= image + covered
    assert many == few
    assert saved_bytes(victim, images) > 3 * few


def test_an_attack_makes_one_image_and_passes_the_check():
    sliding = SlidingWindow(segmenter(CurvedSegmenter(), CLASSES).float(), (8, 8), (5, 5))
    images = eight_bit_images(2)
    assert check_victim("sliding", sliding, images, "segmentation", CLASSES) == []
    target = predicted(sliding, images)
    result = PGD(8 / 255, steps=5).run(sliding, images, target)
    assert result.images.shape == images.shape
    assert result.fooled.min() > 0.1


def test_description_tells_the_windows_and_the_weights():
    def described(stride: int, seed: int = 0) -> str:
        torch.manual_seed(seed)
        victim = SegmentationVictim(nn.Conv2d(3, 3, 1), 3)
        return digest(describe(SlidingWindow(victim, (6, 6), (stride, stride))))

    assert described(4) == described(4)
    assert described(4) != described(3)
    assert described(4) != described(4, seed=1)


def test_a_stride_that_leaves_pixels_out_is_refused():
    with pytest.raises(
        InputError, match=r"stride must lie between 1 and the window's sides \(6, 6"
    ):
        SlidingWindow(segmenter(), (6, 6), (6, 7))


def test_a_classifier_is_refused():
    with pytest.raises(InputError, match="the victim must do segmentation, got one for class"):
        SlidingWindow(ClassificationVictim(nn.Flatten(), 3), (6, 6), (3, 3))
