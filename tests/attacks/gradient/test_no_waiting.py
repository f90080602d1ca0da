"""Inside the loop of a gradient attack the host never waits for the device."""

from contextlib import suppress

import pytest
import torch
from torch import Tensor, nn

from project.attacks import (
    FSPGD,
    GRA,
    MEF,
    MIFGSM,
    PGD,
    PGN,
    BlockShuffle,
    CosPGD,
    Deformation,
    Diversity,
    GradientAttack,
    Margin,
    MaskedCrossEntropy,
    Momentum,
    Nesterov,
    RandomAffine,
    ScaleInvariant,
    SegPGD,
    Spectrum,
    StructureInvariant,
    TopPixels,
    TranSegPGD,
    TranslationInvariant,
    Variance,
)
from tests.attacks.waits import DEVICE, waits
from tests.models import CurvedClassifier, CurvedSegmenter, eight_bit_images, predicted

TI, MI, DI = TranslationInvariant(5), Momentum(), Diversity()
BOTH: dict[str, GradientAttack] = {
    "pgd": PGD(steps=3),
    "uniform": PGD(steps=3, step_schedule="uniform", targeted=True),
    "l2": PGD(1.0, 0.3, 3, norm="l2"),
    "mifgsm": MIFGSM(steps=3),
    "mi_di_ti": PGD(steps=3, rules=[TI, MI], transforms=[DI]),
    "all": PGD(
        steps=2,
        rules=[Variance(1), TI, Nesterov()],
        transforms=[DI, ScaleInvariant(1), Spectrum(1)],
    ),
    "shuffled": PGD(steps=3, transforms=[BlockShuffle(vertical_flip=0.5)]),
    "moved": PGD(
        steps=2,
        transforms=[
            BlockShuffle(rotation=24.0),
            RandomAffine(edges="zeros"),
            StructureInvariant(copies=1),
            Deformation(copies=1),
        ],
    ),
    "pgn": PGD(steps=2, rules=[PGN(2), MI]),
    "gra": PGD(steps=2, rules=[GRA(2), MI]),
    "mef": PGD(steps=2, rules=[MEF(2), MI]),
    "top_pixels": PGD(steps=3, rules=[MI, TopPixels()]),
    "margin": PGD(steps=3, objective=Margin()),
    "masked": PGD(steps=3, objective=MaskedCrossEntropy()),
    "segpgd": SegPGD(steps=3),
    "cospgd": CosPGD(steps=3),
    "transegpgd": TranSegPGD(steps=3),
    "transegpgd_views": TranSegPGD(steps=3, rules=[TI, MI], transforms=[DI]),
    "fspgd": FSPGD(steps=3, layer="first"),
}
CASES = [("classes", name) for name in BOTH if name != "fspgd"] + [("pixels", n) for n in BOTH]
every_case = pytest.mark.parametrize(("on", "name"), CASES)


def scene(on: str, device: torch.device) -> tuple[nn.Module, Tensor, Tensor, Tensor]:
    images = eight_bit_images(3)
    victim = CurvedClassifier() if on == "classes" else CurvedSegmenter()
    target = predicted(victim, images)
    victim = victim.eval().requires_grad_(False).to(device)
    return victim, images.to(device), target.to(device), torch.arange(3)


@every_case
def test_no_step_looks_at_a_value_or_waits_for_a_copy(on, name):
    arguments = scene(on, DEVICE)
    with waits() as found:
        result = BOTH[name].perturb(*arguments)
    assert result.images.device == DEVICE
    assert found == []


@pytest.mark.parametrize(
    "looks",
    [
        lambda x: x.sum().item(),
        lambda x: bool(x.any()),
        lambda x: x[x > 0],
        lambda x: x.nonzero(),
        lambda x: x.new_tensor(1.0),
        lambda x: torch.as_tensor(1.0, device=x.device),
        lambda x: x + torch.ones(3).to(x.device),
        lambda x: x[torch.tensor([0, 1])],
        lambda x: x.cpu(),
    ],
)
def test_what_waits_is_noticed(looks):
    here = torch.empty(3, device=DEVICE)
    with waits() as found, suppress(RuntimeError, NotImplementedError):  # where there is no value
        looks(here)
    assert found


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype")
@every_case
def test_cuda_is_never_waited_for(on, name):
    victim, images, target, index = scene(on, torch.device("cuda"))
    BOTH[name].perturb(victim, images, target, index)  # libraries set themselves up
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        BOTH[name].perturb(victim, images, target, index)
    finally:
        torch.cuda.set_sync_debug_mode("default")
