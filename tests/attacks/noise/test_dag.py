"""DAG against a slow reference, and what it does about pixels, voids and rounding."""

import pytest
import torch
from torch import Tensor, nn

from project.attacks import DAG
from project.core.errors import InputError
from project.images.eight_bit import as_saved
from tests.models import CurvedClassifier, CurvedSegmenter, eight_bit_images, predicted


@pytest.fixture
def scene():
    victim, images = CurvedSegmenter().eval().double(), eight_bit_images(3).double()
    target = predicted(victim, images)
    target[1, :4] = 255
    return victim, images, target


def rounded(values: Tensor) -> Tensor:
    return (values * 255).round() / 255


def slow_dag(victim, clean, label, share, size, steps, targeted) -> tuple[Tensor, int, float]:
    """The algorithm for one image, pixel by pixel; returns the 8-bit image, its step and share."""
    change, best = torch.zeros_like(clean), (clean, 0, -1.0)
    valid = [(y, x) for y in range(label.shape[0]) for x in range(label.shape[1])]
    valid = [(y, x) for y, x in valid if label[y, x] != 255]
    for step in range(steps + 1):
        shown = rounded((clean + change).clamp(0, 1)).requires_grad_()
        logits = victim(shown[None])[0]
        total, fooled = logits.sum() * 0, 0
        for y, x in valid:
            z, k = logits[:, y, x], int(label[y, x])
            other = max(z[c] for c in range(len(z)) if c != k)
            hit = int(z.argmax()) == k
            if hit == targeted:
                fooled += 1
            else:
                total = total + (other - z[k] if targeted else z[k] - other)
        (gradient,) = torch.autograd.grad(total, shown)
        if fooled / len(valid) > best[2]:
            best = (shown.detach(), step, fooled / len(valid))
        if fooled / len(valid) >= share:
            break
        change = (clean + change - size * gradient / gradient.abs().max()).clamp(0, 1) - clean
    return best


@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize(("share", "steps"), [(0.2, 25), (0.99, 4)])
def test_result_is_that_of_the_algorithm_run_image_by_image(scene, targeted, share, steps):
    victim, images, target = scene
    if targeted:
        target = torch.where(target == 255, target, (target + 1) % 4)
    found = DAG(share, 2 / 255, steps, targeted).run(victim, images, target)
    for place in range(3):
        expected, step, fooled = slow_dag(
            victim, images[place], target[place], share, 2 / 255, steps, targeted
        )
        torch.testing.assert_close(found.images[place], expected, atol=1e-9, rtol=0)
        assert found.steps[place] == step
        assert found.fooled[place].item() == pytest.approx(fooled)
        assert found.facts["reached"][place] == (fooled >= share)
    assert targeted or (found.facts["reached"] == (share == 0.2)).all()


def test_image_stops_at_its_first_success_and_is_judged_by_what_a_file_holds(scene):
    victim, images, target = scene
    found = DAG(0.3, 2 / 255, 60).run(victim, images, target)
    assert (found.fooled >= 0.3).all()
    assert len(found.steps.unique()) > 1
    before = DAG(0.3, 2 / 255, int(found.steps.max()) - 1).run(victim, images, target)
    slowest = found.steps == found.steps.max()
    assert torch.equal(before.facts["reached"] == 0, slowest)
    assert (before.fooled[slowest] < 0.3).all()


def test_classifier_is_fooled_as_a_map_of_one_pixel():
    victim, images = CurvedClassifier().eval(), eight_bit_images(6)
    found = DAG().run(victim, images, predicted(victim, images))
    assert found.success.all()
    assert (found.facts["reached"] == 1).all()
    assert ((found.images - images).abs().amax((1, 2, 3)) <= 8 / 255).all()


def test_void_pixels_give_no_gradient_and_an_image_of_them_stays(scene):
    victim, images, target = scene
    target[0] = 255
    found = DAG(0.2, 2 / 255, 25).run(victim, images, target)
    assert (found.perturbation[0] == 0).all()
    assert found.facts["reached"].tolist() == [0, 1, 1]
    assert found.float_images.isfinite().all()


class Bright(nn.Module):
    """Each pixel is class 1 from the level 128 on."""

    def forward(self, images: Tensor) -> Tensor:
        lead = images.mean(1) - 127.5 / 255
        return torch.stack([-lead, lead], 1)


def test_change_that_rounding_would_undo_is_not_taken_for_a_success():
    images = torch.full((1, 3, 2, 2), 127 / 255)
    target = torch.zeros(1, 2, 2, dtype=torch.int64)
    found = DAG(1.0, 0.3 / 255).run(Bright(), images, target)
    assert torch.equal(found.images, torch.full_like(images, 128 / 255))
    assert found.steps.tolist() == [2]  # 0.3 levels are rounded away, 0.6 are not
    assert found.success.all()


def test_saved_image_is_rounded_and_its_gradient_is_that_of_the_float_one():
    images = torch.tensor([0.0, 0.5, 1.0]).view(1, 3, 1, 1)
    noise = torch.tensor([-0.1, 0.001, 0.1]).view(1, 3, 1, 1).requires_grad_()
    saved = as_saved(images, noise)
    assert torch.equal(saved.detach(), rounded((images + noise).clamp(0, 1)).detach())
    (gradient,) = torch.autograd.grad(saved.sum(), noise)
    assert gradient.flatten().tolist() == [0, 1, 0]


@pytest.mark.parametrize("arguments", [{"share": 0.0}, {"step_size": 0.0}, {"steps": 0}])
def test_arguments_that_make_no_sense_are_refused(arguments):
    with pytest.raises(InputError, match=r"share must be in \(0, 1\], step_size"):
        DAG(**arguments)
