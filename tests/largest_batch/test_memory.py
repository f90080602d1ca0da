"""What memory is counted, against what can be counted by hand; and what attacks hold."""

import pytest
import torch
from torch import Tensor

from project.attacks import MIFGSM, PGD, SSTA, AdvDrop, ChromaShift, SegPGD, StAdv, TranSegPGD
from project.largest_batch.memory import TensorBytes, peak_bytes, peaks
from tests.models import CurvedClassifier, CurvedSegmenter, eight_bit_images, predicted

CPU = torch.device("cpu")
ATTACKS = {
    "pgd": PGD(steps=12),
    "mifgsm": MIFGSM(steps=12),
    "segpgd": SegPGD(steps=12),
    "transegpgd": TranSegPGD(steps=12, stage_switch=0.0),
    "ssta": SSTA(steps=12, early_stop=False),
    "stadv_adam": StAdv(solver="adam", steps=12, early_stop=False),
    "stadv_lbfgs": StAdv(1e-4, steps=12),
    "chroma_shift": ChromaShift(steps=12, early_stop=False),
    "advdrop": AdvDrop(steps=12),
}


def test_memory_counts_while_a_tensor_lives_and_views_count_nothing():
    outside = torch.zeros(1000)
    with TensorBytes() as counted:
        one = outside + 1
        view = one[10:].view(-1)
        outside.add_(1)
        assert counted.now == 4000
        two = one.double()
        assert counted.now == 12000
        del one
        assert counted.now == 12000  # the view holds it
        del view
        assert counted.now == 8000
        del two
    assert (counted.now, counted.peak) == (0, 12000)


def test_what_autograd_keeps_counts_until_the_backward_pass():
    values = torch.zeros(1000, requires_grad=True)
    with TensorBytes() as counted:
        total = values.exp().sum()  # keeps its result
        assert counted.now == 4004
        torch.autograd.grad(total, values)
        assert counted.now == 4
    assert 8000 <= counted.peak <= 12012


def test_peak_is_on_top_of_what_was_there_before():
    before = torch.zeros(1000)

    def work() -> Tensor:
        return (before + 1).sum()

    assert peak_bytes(work, CPU) == 4004


def test_further_samples_take_as_much_as_the_second():
    victim = CurvedSegmenter()
    images = eight_bit_images(9)
    target = predicted(victim, images)

    def work(count: int) -> None:
        PGD(steps=2).run(victim, images[:count], target[:count])

    expected = peaks(work, CPU)(9)
    assert peak_bytes(lambda: work(9), CPU) == pytest.approx(expected, rel=0.01)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_peak_of_what_does_not_fit_on_a_gpu_is_infinite():
    device = torch.device("cuda")
    peak = peaks(lambda count: torch.zeros(count, 2**30, device=device), device)
    assert peak(1) == 2**32
    assert peak(2**20) == float("inf")


@pytest.mark.parametrize("name", ATTACKS)
def test_a_step_holds_no_more_than_the_steps_before(name: str):
    images = eight_bit_images(3)
    victim = CurvedSegmenter() if "seg" in name else CurvedClassifier()
    target = predicted(victim, images)
    held = []

    def look(*_: object) -> None:
        if torch.is_grad_enabled():
            held.append(counted.now)

    victim.register_forward_pre_hook(look)
    with TensorBytes() as counted:
        ATTACKS[name].perturb(victim, images, target, torch.arange(3))
    assert len(held) >= 6
    # What is told of steps grows by a few numbers; a graph kept would be several images' sizes.
    assert held[-1] - held[3] < images.nbytes / 8
