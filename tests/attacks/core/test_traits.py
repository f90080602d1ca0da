"""What an attack tells of itself, and where it is written."""

from types import SimpleNamespace

import pytest

from project.attacks import (
    APGD,
    FAB,
    PGD,
    SEA,
    SSTA,
    Aimed,
    AutoAttack,
    BestOf,
    CrossEntropy,
    FixedClass,
    GradientAttack,
    Refined,
    Square,
)
from project.callbacks import AttackCallback
from project.callbacks.experiment.run_folder import _traits
from project.threat_models import L2, Flow

EPS = 4 / 255


@pytest.mark.parametrize(
    ("attack", "traits"),
    [
        (PGD(EPS, steps=7), ("gradient", "PGD", "linf", EPS, 7)),
        (PGD(EPS, steps=7).scaled(0.5), ("gradient", "PGD", "linf", EPS / 2, 7)),
        (
            GradientAttack(L2(1.5), CrossEntropy(), 0.1, 3),
            ("gradient", "GradientAttack", "l2", 1.5, 3),
        ),
        (APGD(0.5, 9, norm="l2"), ("gradient", "APGD", "l2", 0.5, 9)),
        (FAB(EPS, 9), ("gradient", "FAB", "linf", EPS, 9)),
        (Square(EPS, 9), ("black_box", "Square", "linf", EPS, 9)),
        (AutoAttack(EPS, steps=9), ("ensemble", "AutoAttack", "linf", EPS, 9)),
        (SEA(EPS, 9), ("ensemble", "SEA", "linf", EPS, 9)),
        (
            Aimed(PGD(EPS, steps=7, targeted=True), FixedClass(0)),
            ("gradient", "Aimed(PGD)", "linf", EPS, 7),
        ),
        (Refined(PGD(EPS, steps=7)), ("gradient", "Refined(PGD)", "linf", EPS, 7)),
    ],
    ids=lambda value: value[1] if isinstance(value, tuple) else "",
)
def test_traits_tell_what_an_attack_is(attack, traits):
    names = ("kind", "method", "norm", "eps", "steps")
    assert attack.traits() == dict(zip(names, traits, strict=True))


def test_what_has_no_ball_tells_none():
    ssta = {"kind": "flow", "method": "SSTA", "steps": 5}
    assert SSTA(steps=5).traits() == ssta
    assert SSTA(steps=5, early_stop=False).traits() == ssta | {"early_stop": False}
    moved = GradientAttack(Flow(1.0), CrossEntropy(), 0.1, 3)
    assert moved.traits() == {"kind": "gradient", "method": "GradientAttack", "steps": 3}
    both = BestOf([PGD(EPS), PGD(EPS)])
    assert both.traits() == {"kind": "ensemble", "method": "BestOf"}


def test_run_writes_the_traits_of_its_attacks_by_name():
    attacks = {"one": PGD(EPS, steps=7), "two": Square(EPS, 9)}
    trainer = SimpleNamespace(callbacks=[object(), AttackCallback(attacks)])
    assert _traits(trainer) == {name: attack.traits() for name, attack in attacks.items()}
