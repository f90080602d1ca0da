"""How often a gradient attack asks its victim: no hidden forward or backward pass."""

import pytest
from torch import Tensor

from project.attacks import (
    FGSM,
    FSPGD,
    GRA,
    MEF,
    MIFGSM,
    PGD,
    PGN,
    Admix,
    BlockShuffle,
    CosPGD,
    Deformation,
    Diversity,
    GradientAttack,
    KullbackLeibler,
    MixedFrequency,
    Momentum,
    Nesterov,
    RandomAffine,
    ScaleInvariant,
    SegPGD,
    Spectrum,
    StructureInvariant,
    TranSegPGD,
    TranslationInvariant,
    Variance,
)
from project.victims import ClassificationVictim, EnsembleVictim, MeanLossEnsemble, RandomEnsemble
from tests.attacks.passes import Counted
from tests.models import CurvedClassifier, CurvedSegmenter, eight_bit_images, predicted

T = 5
MI, TI, DI, SI = Momentum(), TranslationInvariant(5), Diversity(), ScaleInvariant(3)

ROWS: dict[str, tuple[GradientAttack, int, int]] = {
    # attack, passes forwards and backwards, forward passes of clean images
    "fgsm": (FGSM(), 1, 0),
    "pgd": (PGD(steps=T), T, 0),
    "pgd_l2": (PGD(1.0, 0.2, T, norm="l2"), T, 0),
    "mifgsm": (MIFGSM(steps=T), T, 0),
    "mi_di_ti": (PGD(steps=T, rules=[TI, MI], transforms=[DI]), T, 0),
    "nesterov": (PGD(steps=T, rules=[Nesterov()]), T, 0),
    "scales": (PGD(steps=T, transforms=[SI]), 3 * T, 0),
    "spectrum": (PGD(steps=T, transforms=[Spectrum(4)]), 4 * T, 0),
    "shuffle": (PGD(steps=T, transforms=[BlockShuffle()]), T, 0),
    "shuffles": (PGD(steps=T, transforms=[BlockShuffle(copies=3)]), 3 * T, 0),
    "affine": (PGD(steps=T, transforms=[RandomAffine(copies=2)]), 2 * T, 0),
    "structure_invariant": (PGD(steps=T, transforms=[StructureInvariant(copies=2)]), 2 * T, 0),
    "deformation": (PGD(steps=T, transforms=[Deformation(copies=2)]), 2 * T, 0),
    "all_views": (PGD(steps=T, transforms=[DI, SI, Spectrum(2)]), 6 * T, 0),
    "admix": (PGD(steps=T, transforms=[Admix(2, pool=4), SI]), 6 * T, 0),
    "mixed_frequency": (PGD(steps=T, transforms=[MixedFrequency(2, pool=4), SI]), 6 * T, 0),
    "variance": (PGD(steps=T, rules=[Variance(3), MI]), T + 3 * (T - 1), 0),
    "pgn": (PGD(steps=T, rules=[PGN(3), MI]), 2 * 3 * T, 0),
    "gra": (PGD(steps=T, rules=[GRA(3), MI]), (3 + 1) * T, 0),
    "mef": (PGD(steps=T, rules=[MEF(3), MI]), 3 * T, 0),
    "all": (PGD(steps=T, rules=[Variance(3)], transforms=[SI]), 3 * (T + 3 * (T - 1)), 0),
    "kullback_leibler": (PGD(steps=T, objective=KullbackLeibler()), T, 1),
}
ON_PIXELS: dict[str, tuple[GradientAttack, int, int]] = {
    "pgd": (PGD(steps=T), T, 0),
    "segpgd": (SegPGD(steps=T), T, 0),
    "segpgd_views": (SegPGD(steps=T, rules=[MI], transforms=[DI]), T, 0),
    "cospgd": (CosPGD(steps=T), T, 0),
    "fspgd": (FSPGD(steps=T, layer="inner.first"), T, 1),
    "transegpgd": (TranSegPGD(steps=T), T, 1),
    "transegpgd_views": (TranSegPGD(steps=T, transforms=[DI, SI]), 3 * T, 1),
    "transegpgd_shuffled": (TranSegPGD(steps=T, transforms=[BlockShuffle()]), T, 1),
    "transegpgd_stage_1": (TranSegPGD(steps=T, stage_switch=1.0), T, 0),
}


class Curved(ClassificationVictim):
    """A classifier that can be a member of an ensemble."""

    def __init__(self) -> None:
        super().__init__(Counted(CurvedClassifier()), 4)


class Others:
    """A data set of noise, to be mixed in."""

    names = ("a", "b", "c", "d")

    def image(self, index: int) -> Tensor:
        return eight_bit_images(1, seed=index)[0]

    def label(self, index: int) -> int:
        return index


@pytest.mark.parametrize("on", ["classes", "pixels"])
def test_attack_asks_as_often_as_its_formula_says(on):
    for name, (attack, looks, clean) in (ROWS if on == "classes" else ON_PIXELS).items():
        victim = Counted(CurvedClassifier() if on == "classes" else CurvedSegmenter())
        images = eight_bit_images(3)
        target = predicted(victim.inner, images)
        attack.attach(Others())
        attack(victim, images, target)
        assert victim.forwards == [3] * (looks + clean), name
        assert victim.backwards == [3] * looks, name
        attack.run(victim, images, target)
        assert len(victim.forwards) == 2 * (looks + clean) + 2, (
            name
        )  # one verdict in 8 bits, one not
        assert len(victim.backwards) == 2 * looks, name


@pytest.mark.parametrize("name", ROWS | ON_PIXELS)
def test_attack_tells_how_often_a_step_asks_its_source(name):
    for attack, looks, _ in (rows[name] for rows in (ROWS, ON_PIXELS) if name in rows):
        told = attack.traits().get("passes_per_step", 1) * attack.traits()["steps"]
        rules = attack._attack.rules
        views = attack.traits().get("passes_per_step", 1) // (
            1 + sum(rule.extra_gradients for rule in rules)
        )
        # Variance does without its neighbours at one step.
        fewer = sum(rule.extra_gradients for rule in rules if isinstance(rule, Variance))
        assert looks == told - views * fewer


@pytest.mark.parametrize(
    ("kind", "passes"), [(EnsembleVictim, T), (MeanLossEnsemble, T), (RandomEnsemble, None)]
)
def test_each_member_of_an_ensemble_is_asked_once_a_step_or_one_of_them(kind, passes):
    members = [Curved(), Curved()]
    images = eight_bit_images(3)
    PGD(steps=T)(kind(members), images, predicted(CurvedClassifier(), images))
    for counts in ("forwards", "backwards"):
        asked = [len(getattr(member.network, counts)) for member in members]
        assert asked == [passes, passes] if passes else sum(asked) == T, counts


def test_gradients_of_weights_are_never_computed():
    victim = Counted(CurvedSegmenter())
    images = eight_bit_images(3)
    TranSegPGD(steps=T).run(victim, images, predicted(victim.inner, images))
    assert not victim.trained
    assert all(parameter.requires_grad for parameter in victim.parameters())
    assert all(parameter.grad is None for parameter in victim.parameters())
