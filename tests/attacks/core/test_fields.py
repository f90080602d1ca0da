"""An attack is its fields: in their order, frozen, told by repr, and in nothing contradicted."""

import inspect
from dataclasses import MISSING, FrozenInstanceError, dataclass, fields, is_dataclass, replace

import pytest
import torch

import project.attacks
import project.saliency
import project.threat_models
from project.attacks import (
    FGSM,
    MIFGSM,
    PGD,
    Aimed,
    AutoAttack,
    Cascade,
    CrossEntropy,
    FixedClass,
    GradientRecipe,
    Momentum,
    Refined,
    StAdv,
    TranSegPGD,
)
from project.core.errors import InputError
from project.core.identity import describe, digest
from project.threat_models import Linf, Masked
from tests.attacks.test_contract import ROWS
from tests.models import CurvedClassifier, eight_bit_images, predicted

POSITIONS = {
    "Admix": "partners weight pool",
    "AdvDrop": "q_size steps step_size q_min preset targeted seed",
    "Aimed": "attack aim",
    "ALMAProx": "share steps step_size step_decay targeted seed",
    "APGD": "eps steps norm objective rho phases random_start rules transforms targeted seed track",
    "ATT": "scores qkv mlp penalty adaptation cut patch scale offset",
    "AutoAttack": "eps norm version steps classes queries seed",
    "BalancedCrossEntropy": "class_weights",
    "BestOf": "attacks distance",
    "BlockShuffle": (
        "rows columns horizontal_flip vertical_flip rotation zoom edges sampling copies"
    ),
    "Cascade": "attacks",
    "ChromaShift": "max_shift preset steps step_size smoothness early_stop targeted seed",
    "CosPGD": (
        "eps step_size steps step_schedule random_start norm rules transforms targeted "
        "seed early_stop"
    ),
    "DAG": "share step_size steps targeted seed",
    "Deformation": "mesh strength edges sampling copies",
    "Diversity": "probability scale",
    "DLRTowards": "rank",
    "FAB": "eps steps norm classes seed",
    "FeatureSimilarity": "layer threshold",
    "FGSM": "eps norm targeted seed",
    "FixedClass": "number",
    "FSPGD": (
        "eps step_size steps layer threshold step_schedule random_start norm rules transforms seed"
    ),
    "GradientAttack": (
        "threat_model objective step_size steps step_schedule rules transforms "
        "random_start targeted seed early_stop"
    ),
    "GRA": "samples radius damping",
    "MEF": "samples radius reach decay",
    "MIFGSM": "eps step_size steps decay norm targeted seed early_stop",
    "Mirage": (
        "max_shift eps step_size steps step_schedule random_start objective rules transforms "
        "targeted seed early_stop"
    ),
    "MixedFrequency": "copies radius softness sigma pool",
    "Momentum": "decay",
    "Nesterov": "decay",
    "PGD": (
        "eps step_size steps step_schedule random_start norm objective rules transforms "
        "targeted seed early_stop"
    ),
    "PGN": "samples radius balance",
    "RandomAffine": (
        "zoom aspect rotation shift horizontal_flip vertical_flip edges sampling copies"
    ),
    "Refined": "attack steps rate distance",
    "ScaleInvariant": "copies",
    "SEA": "eps steps norm objectives random_start targeted seed preset track",
    "SegPGD": (
        "eps step_size steps step_schedule random_start norm rules transforms targeted "
        "seed early_stop"
    ),
    "Spectrum": "copies sigma spread",
    "Square": "eps queries norm area targeted seed",
    "SSTA": (
        "saliency profile steps step_size smoothness edge early_stop min_area objective "
        "targeted seed max_shift"
    ),
    "StAdv": "smoothness preset solver steps step_size early_stop targeted seed",
    "StructureInvariant": "blocks changes noise copies",
    "TargetedAPGD": "eps steps norm classes seed",
    "TargetMaps": "root",
    "TGR": "scores qkv mlp",
    "TopPixels": "share",
    "TranSegPGD": (
        "eps step_size steps gamma beta stage_switch step_schedule hard_weight divergence "
        "random_start norm rules transforms targeted seed early_stop preset"
    ),
    "TranslationInvariant": "kernel_size reach",
    "TwoStage": "gamma beta stage_switch hard_weight divergence",
    "Universal": "checkpoint eps",
    "Variance": "samples radius",
    "FrequencyTuned": "sigma",
    "GradCAM": "layer",
    "MaskFiles": "root",
    "SpectralResidual": "size sigma",
    "TRACER": "variant checkpoint input_size",
    "VictimGradient": "sigma",
    "ChromaFlow": "bound smooth",
    "Flow": "bound smooth",
    "L2": "eps",
    "Linf": "eps",
    "Masked": "inner mask",
}
"""What positional arguments have meant since the first release."""

every_attack = pytest.mark.parametrize("name", ROWS)


def public(name: str) -> type:
    rooms = (project.attacks, project.saliency, project.threat_models)
    return next(getattr(room, name) for room in rooms if hasattr(room, name))


EXPORTED = sorted({*project.attacks.__all__, *project.saliency.__all__})


@pytest.mark.parametrize("name", POSITIONS)
def test_positional_arguments_keep_their_order(name: str):
    parameters = inspect.signature(public(name)).parameters.values()
    assert [one.name for one in parameters] == POSITIONS[name].split(" ")
    assert {one.kind for one in parameters} == {inspect.Parameter.POSITIONAL_OR_KEYWORD}


@every_attack
def test_no_field_can_be_set(name: str):
    attack = ROWS[name].attack
    assert is_dataclass(attack)
    for field in fields(attack):
        with pytest.raises(FrozenInstanceError):
            setattr(attack, field.name, getattr(attack, field.name))


@every_attack
def test_repr_tells_every_setting(name: str):
    attack = ROWS[name].attack
    told = repr(attack)
    assert told.startswith(f"{type(attack).__name__}(")
    for field in fields(attack):
        assert f"{field.name}={getattr(attack, field.name)!r}" in told
    assert " object at 0x" not in told


def test_repr_of_pgd_makes_it_again():
    attack = PGD(0.1, steps=3, rules=[Momentum(0.5)])
    assert eval(repr(attack), vars(project.attacks)) == attack
    assert repr(Momentum()) == "Momentum(decay=1.0)"


@pytest.mark.parametrize("name", [name for name in EXPORTED if is_dataclass(public(name))])
def test_defaults_are_plain_values_that_a_config_can_hold(name: str):
    """An object as a default is dumped as a remark, and the run's own config does not run again."""
    for field in fields(public(name)):
        assert _is_plain(field.default), f"{name}.{field.name}"


def _is_plain(value: object) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_plain, value))
    return value is None or value is MISSING or isinstance(value, bool | int | float | str)


def test_scaled_attack_says_what_it_does():
    victim, images = CurvedClassifier(), eight_bit_images(2)
    half = FGSM(8 / 255).scaled(0.5)
    assert half == FGSM(4 / 255)
    assert digest(describe(half)) != digest(describe(FGSM(8 / 255)))
    change = half(victim, images, predicted(victim, images)) - images
    assert change.abs().max() == pytest.approx(4 / 255, abs=1e-6)


def test_scaling_takes_the_steps_along_and_leaves_what_follows_from_the_budget():
    assert PGD(0.1, 0.02, 7).scaled(0.5) == PGD(0.05, 0.01, 7)
    assert MIFGSM(0.1, steps=5).scaled(0.5) == MIFGSM(0.05, steps=5)
    assert MIFGSM(0.1).scaled(0.5).built().step_size == pytest.approx(0.005)
    assert AutoAttack(0.1).scaled(0.5).cascade.attacks[3].eps == 0.05
    both = Cascade([FGSM(0.1), PGD(0.2, 0.02)]).scaled(0.5)
    assert both == Cascade([FGSM(0.05), PGD(0.1, 0.01)])
    aimed = Aimed(PGD(0.1, 0.02, targeted=True), FixedClass(1)).scaled(0.5)
    assert aimed.attack == PGD(0.05, 0.01, targeted=True)


@pytest.mark.parametrize("attack", [StAdv(), Refined(PGD())])
def test_what_has_no_budget_cannot_be_scaled(attack):
    with pytest.raises(InputError, match="has no budget that can be scaled"):
        attack.scaled(0.5)


def test_other_draws_are_those_of_all_attacks_inside():
    both = Refined(Cascade([FGSM(seed=1), PGD(seed=2)])).reseeded(9)
    assert [attack.seed for attack in both.attack.attacks] == [9, 9]
    assert both.seed == 9
    assert PGD(seed=1).reseeded(9) == PGD(seed=9)


def test_a_changed_field_changes_what_runs_and_what_it_is_called():
    attack = TranSegPGD(gamma=0.1)
    other = replace(attack, gamma=0.9)
    assert other.built().objective.gamma == 0.9
    assert describe(other)["gamma"] == 0.9
    assert digest(describe(other)) != digest(describe(attack))


def test_classes_with_constructors_of_the_users_own_are_reseeded_too():
    class Mine(project.attacks.Attack):
        targeted = False

        def __init__(self, seed: int) -> None:
            self.seed = seed

        def perturb(self, victim, images, target, index):
            raise NotImplementedError

    class Fixed(Mine):
        seed = 0

        def __init__(self) -> None:
            pass

    attack = Mine(1)
    assert attack.reseeded(2).seed == 2
    assert attack.seed == 1
    assert Fixed().reseeded(3).seed == 3


def test_masks_are_compared_by_identity_and_others_by_value():
    assert Linf(0.1) == Linf(0.1) != Linf(0.2)
    mask = torch.ones(1, 1, 2, 2)
    assert Masked(Linf(0.1), mask) != Masked(Linf(0.1), mask)


class Undecorated(PGD):
    eps: float = 1 / 255


class Constructed(PGD):
    def __init__(self, extra: int = 1) -> None:
        super().__init__(eps=1 / 255)


@dataclass
class Thawed(GradientRecipe):
    eps: float = 1 / 255
    norm: str = "linf"
    seed: int = 0

    def built(self):
        return self.with_parts(CrossEntropy(), step_size=self.eps, steps=1)


@dataclass(frozen=True)
class Mine(PGD):
    extra: float = 0.5


class Renamed(PGD):
    def built(self):
        return super().built()


def test_subclasses_whose_fields_python_would_overlook_are_refused():
    scene = CurvedClassifier(), eight_bit_images(1), torch.zeros(1, dtype=torch.int64)
    for wrong in (Undecorated(), Constructed(), Thawed()):
        with pytest.raises(InputError, match=f"but {wrong.name} has a constructor or fields"):
            wrong(*scene)
        with pytest.raises((InputError, TypeError), match=r"frozen dataclass|as an attribute"):
            describe(wrong)
        with pytest.raises(InputError, match="frozen dataclass"):
            wrong.reseeded(1)
    for right in (Mine(extra=2.0), Renamed()):
        assert right.run(*scene).images.shape == (1, 3, 12, 16)
    assert Mine(extra=2.0).reseeded(1).scaled(0.5).extra == 2.0
    assert describe(Mine(extra=2.0))["extra"] == 2.0
