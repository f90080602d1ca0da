"""Images that leave a batch take nothing with them."""

import pytest
import torch

from project.attacks import SSTA, ChromaShift, StAdv
from project.attacks.flow.active_set import ActiveSet
from project.attacks.flow.solvers.solver import Adam
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
        StAdv(preset="paper", solver="adam", steps=60, step_size=0.02, early_stop=True),
        StAdv(steps=60, smoothness=1e-4, early_stop=True),
        ChromaShift(steps=60, step_size=0.005),
    ],
    ids=["released", "paper", "stadv_adam", "stadv_lbfgs", "chroma_shift"],
)
def test_image_is_attacked_as_if_alone_though_others_leave(attack):
    victim, images = CurvedClassifier().double().eval(), eight_bit_images(8).double()
    target = predicted(victim, images)
    together = attack.run(victim, images, target)
    assert len(set(together.steps.tolist())) > 2  # they leave one after another
    for place in range(8):
        one = slice(place, place + 1)
        alone = attack.run(victim, images[one], target[one], torch.tensor([place]))
        assert torch.equal(alone.images, together.images[one])
        # Matrix products of another batch size differ in their last bits.
        torch.testing.assert_close(
            alone.perturbation, together.perturbation[one], rtol=0, atol=1e-9
        )
        assert torch.equal(alone.steps, together.steps[one])


@pytest.mark.parametrize("decoupled", [False, True])
def test_flows_of_those_who_stay_go_on_as_in_torch(decoupled):
    images = eight_bit_images(3)
    gradients = [
        torch.randn(3, 2, 12, 16, generator=torch.Generator().manual_seed(s)) for s in range(6)
    ]
    solver = Adam(torch.zeros(3, 2, 12, 16), 0.1, decoupled)
    active = ActiveSet(images, torch.arange(3), None, solver)
    active.memory["seen"] = torch.arange(3)
    expected = torch.zeros(3, 2, 12, 16, requires_grad=True)
    reference = (torch.optim.AdamW if decoupled else torch.optim.Adam)([expected], lr=0.1)
    rows = torch.arange(3)
    for step, gradient in enumerate(gradients):
        expected.grad = gradient.clone()
        reference.step()
        active.solver.tell(torch.zeros(len(rows)), gradient[rows])
        if step in (1, 3):
            staying = torch.arange(len(rows)) > 0
            active.shrink_to(staying)
            rows = rows[staying]
    assert active.rows.tolist() == active.target.tolist() == active.memory["seen"].tolist() == [2]
    assert torch.equal(active.images, images[2:])
    assert active.solver.resting is None
    torch.testing.assert_close(active.solver.point, expected[2:], rtol=0, atol=0)
