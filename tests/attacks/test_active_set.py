"""Images that leave a batch take nothing with them."""

import pytest
import torch

from project.attacks import SSTA, StAdv
from project.attacks.active_set import ActiveSet
from tests.models import CurvedClassifier, eight_bit_images, predicted


def uneven(images):
    """Return a different map for each image, told by its content."""
    shift = images[:, :1, :1, :1]
    ramp = torch.linspace(0, 1, images.shape[3], dtype=images.dtype)
    return ((ramp + shift) % 1).expand(-1, 1, images.shape[2], -1)


@pytest.mark.parametrize(
    "attack",
    [
        SSTA(uneven, "released", steps=60, step_size=0.02),
        SSTA(uneven, "paper", steps=60, step_size=0.02),
        StAdv(steps=60, step_size=0.02, early_stop=True),
    ],
    ids=["released", "paper", "stadv"],
)
def test_image_is_attacked_as_if_alone_though_others_leave(attack):
    victim, images = CurvedClassifier().double().eval(), eight_bit_images(8).double()
    target = predicted(victim, images)
    together = attack.run(victim, images, target)
    assert len(set(together.steps.tolist())) > 2  # they leave one after another
    for place in range(8):
        one = slice(place, place + 1)
        alone = attack.run(victim, images[one], target[one])
        assert torch.equal(alone.images, together.images[one])
        # Matrix products of another batch size differ in their last bits.
        torch.testing.assert_close(
            alone.perturbation, together.perturbation[one], rtol=0, atol=1e-9
        )
        assert torch.equal(alone.steps, together.steps[one])


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_flows_of_those_who_stay_go_on_as_in_torch(optimizer):
    images = eight_bit_images(3)
    gradients = [
        torch.randn(3, 2, 12, 16, generator=torch.Generator().manual_seed(s)) for s in range(6)
    ]
    active = ActiveSet(images, torch.arange(3), None, optimizer, 0.1)
    expected = torch.zeros(3, 2, 12, 16, requires_grad=True)
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[optimizer]
    reference = kind([expected], lr=0.1)
    rows = torch.arange(3)
    for step, gradient in enumerate(gradients):
        expected.grad = gradient.clone()
        reference.step()
        active.descend(gradient[rows], float("inf"))
        if step in (1, 3):
            staying = torch.arange(len(active)) > 0
            active.keep(staying)
            rows = rows[staying]
    assert active.rows.tolist() == active.target.tolist() == [2]
    assert torch.equal(active.images, images[2:])
    torch.testing.assert_close(active.flow, expected[2:], rtol=0, atol=0)
