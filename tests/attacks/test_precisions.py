"""Every attack in every precision: it runs and keeps its guarantees, or is refused at the start."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import pytest
import torch
from torch import Tensor, nn

from project.attacks import PGD, AdvDrop
from project.core.errors import InputError
from tests.attacks.test_contract import ROWS, every_attack_and_task, scene


class Inside(nn.Module):
    """A victim of another precision inside, as one who casts for himself has."""

    num_classes = 4

    def __init__(self, victim: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.victim = victim.to(dtype)
        self.first = victim.first  # the layer that one row names
        self.dtype = dtype

    def forward(self, images: Tensor) -> Tensor:
        return self.victim(images.to(self.dtype))


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


PRECISIONS = {
    "bf16-mixed": (torch.autocast("cpu", torch.bfloat16), None, torch.float32),
    "16-mixed": (torch.autocast("cpu", torch.float16), None, torch.float32),
    "float64": (nullcontext(), torch.float64, torch.float64),
    "float64 by default": (default_dtype, None, torch.float32),
    "64-true, images float32": (default_dtype, torch.float64, torch.float32),
    "16 inside": (nullcontext(), torch.float16, torch.float32),
    "bf16 inside": (nullcontext(), torch.bfloat16, torch.float32),
}


@pytest.mark.parametrize("precision", PRECISIONS)
@every_attack_and_task
def test_attack_runs_and_returns_8_bit_images_of_the_images_type(name, task, precision):
    context, inside, dtype = PRECISIONS[precision]
    victim, images, target = scene(task)
    if inside is not None:
        victim = Inside(victim, inside)
    images = images.to(dtype)
    with context(torch.float64) if context is default_dtype else context:
        result = ROWS[name].attack.run(victim, images, target)
    assert result.images.dtype == result.float_images.dtype == result.perturbation.dtype == dtype
    assert torch.equal(result.images, (result.images * 255).round() / 255)
    bound = ROWS[name].bound + 1e-6
    if ROWS[name].norm == "linf":
        assert (result.images - images).abs().max() <= bound


@every_attack_and_task
def test_a_half_precision_victim_that_does_not_cast_is_refused_at_the_start(name, task):
    victim, images, target = scene(task)
    with pytest.raises(InputError, match=r"must take torch.float32 images, but its weights are"):
        ROWS[name].attack(victim.half(), images, target)


def test_what_autocast_rounds_is_the_network_alone():
    # bfloat16 has 8 binary digits, of which an image's levels 128 to 255 need all: AdvDrop's
    # transform there and back must still be exact to a small part of a level.
    victim, images, target = scene("classification")
    alone = AdvDrop(5.0, steps=1).run(victim, images, target).float_images
    with torch.autocast("cpu", torch.bfloat16):
        mixed = AdvDrop(5.0, steps=1).run(victim, images, target).float_images
    assert torch.equal(alone, mixed)  # every q stays at q_min = q_size, so the victim has no say


def test_draws_do_not_depend_on_the_default_precision():
    victim, images, target = scene("classification")
    expected = PGD(steps=1).run(victim, images, target).perturbation
    with default_dtype(torch.float64):
        assert torch.equal(PGD(steps=1).run(victim, images, target).perturbation, expected)
