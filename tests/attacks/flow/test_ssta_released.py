"""SSTA's profile ``released`` against a slow loop over one image, from what the code does."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from project.attacks import SSTA, CrossEntropy, Refined
from project.core.errors import InputError
from project.images.warping import warp
from tests.models import CurvedClassifier, eight_bit_images, predicted

HEIGHT, WIDTH = 12, 16


def island(images: Tensor) -> Tensor:
    """Return maps with values above and below 180 away from the border."""
    maps = torch.zeros(len(images), 1, HEIGHT, WIDTH, dtype=images.dtype)
    maps[:, :, 3:9, 3:12] = 172 / 255  # in a mask that would grow, but not in the one at 180
    maps[:, :, 4:8, 4:11] = 220 / 255
    return maps


def bilinear(image: Tensor, flow: Tensor) -> Tensor:
    """Sample (3, H, W) at each place plus its flow (dx, dy), pixel by pixel."""
    rows = []
    for y in range(HEIGHT):
        for x in range(WIDTH):
            at_x = (x + flow[0, y, x]).clamp(0, WIDTH - 1)
            at_y = (y + flow[1, y, x]).clamp(0, HEIGHT - 1)
            left, top = min(int(at_x.floor()), WIDTH - 2), min(int(at_y.floor()), HEIGHT - 2)
            part_x, part_y = at_x - left, at_y - top
            upper = (1 - part_x) * image[:, top, left] + part_x * image[:, top, left + 1]
            lower = (1 - part_x) * image[:, top + 1, left] + part_x * image[:, top + 1, left + 1]
            rows.append((1 - part_y) * upper + part_y * lower)
    return torch.stack(rows, 1).view(3, HEIGHT, WIDTH)


def slow_release(victim, image, label, rate, steps) -> tuple[Tensor, Tensor, int]:
    """Return adversarial image, flow and updates of the published loop."""
    mask = (island(image[None])[0] >= 180 / 255).to(image)
    black = image * mask
    flow = torch.zeros(2, HEIGHT, WIDTH, dtype=image.dtype, requires_grad=True)
    adam = torch.optim.Adam([flow], lr=rate)
    for number in range(steps + 1):
        cut = torch.minimum(torch.maximum(flow, -torch.ones(())), torch.ones(()))
        warped = bilinear(black, cut)
        shown = torch.where(warped != 0, warped, image)
        logits = victim(shown[None])[0]
        if int(logits.argmax()) != label or number == steps:
            return shown.detach(), cut.detach(), number
        others = torch.cat([logits[:label], logits[label + 1 :]])
        loss = (logits[label] - others.max()).clamp(min=0)
        adam.zero_grad()
        (0.5 * loss**2).backward()
        adam.step()
    raise AssertionError


@pytest.fixture(scope="module")
def scene():
    victim, images = CurvedClassifier().double().eval(), eight_bit_images(4).double()
    return victim, images, predicted(victim, images)


@pytest.mark.parametrize(("rate", "steps"), [(0.06, 30), (1.5, 4)], ids=["inside", "cut"])
def test_released_is_the_published_loop_image_by_image(scene, rate, steps):
    victim, images, target = scene
    result = SSTA(island, "released", steps=steps, step_size=rate).run(victim, images, target)
    assert result.success_float.any()
    for place in range(len(images)):
        label = int(target[place])
        shown, flow, updates = slow_release(victim, images[place], label, rate, steps)
        assert int(result.steps[place]) == updates
        for found, expected in ((result.float_images, shown), (result.perturbation, flow)):
            torch.testing.assert_close(found[place], expected, rtol=0, atol=1e-9)


def test_released_cuts_its_flow_in_the_forward_pass(scene):
    result = SSTA(island, "released", steps=1, step_size=1.5).run(*scene)
    assert float(result.perturbation.abs().max()) == 1.0


def test_released_darkens_the_rim_of_its_mask_and_changes_nothing_outside(scene):
    victim, images, target = scene
    attack = SSTA(island, "released", steps=30, step_size=0.06)
    result = attack.run(victim, images, target)
    assert torch.equal(result.mask, (island(images) >= 180 / 255).to(images))
    outside = (result.mask == 0).expand_as(images)
    assert torch.equal(result.float_images[outside], images[outside])
    darker = result.float_images < warp(images, result.perturbation) - 1e-9
    inner = -F.max_pool2d(-result.mask, 3, stride=1, padding=1) > 0
    assert (darker & ~outside).any()
    assert not (darker & inner).any()


def test_threat_model_of_released_makes_its_images_also_in_parts(scene):
    victim, images, target = scene
    attack = SSTA(island, "released", steps=30, step_size=0.06)
    for most in (None, 3):
        result = attack.run(victim, images, target, max_batch=most)
        applied = result.threat_model.apply(images, result.perturbation)
        assert torch.equal(applied, result.float_images)
        projected = result.threat_model.project(images, result.perturbation)
        assert torch.equal(projected, result.perturbation)


def test_released_can_be_refined(scene):
    victim, images, target = scene
    attack = SSTA(island, "released", steps=30, step_size=0.06)
    first, least = (one.run(victim, images, target) for one in (attack, Refined(attack)))
    assert (least.fooled >= first.fooled).all()
    assert (least.images - images).square().sum() < (first.images - images).square().sum()


@pytest.mark.parametrize(
    "more", [{"edge": 1.0}, {"smoothness": 0.1}, {"objective": CrossEntropy()}]
)
def test_released_refuses_what_the_code_does_not_have(more):
    with pytest.raises(InputError, match="Take profile 'repaired'"):
        SSTA(profile="released", **more)
