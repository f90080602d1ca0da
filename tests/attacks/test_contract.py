"""What every attack guarantees: a table with one row per attack, and the tests run over it."""

from dataclasses import dataclass
from importlib.util import find_spec

import pytest
import torch
from torch import Tensor, nn

import project.attacks
from project.attacks import (
    APGD,
    DAG,
    FAB,
    FGSM,
    FSPGD,
    GRA,
    MEF,
    MIFGSM,
    PGD,
    PGN,
    SEA,
    SSTA,
    AdvDrop,
    Aimed,
    ALMAProx,
    ArtAttack,
    Attack,
    AttackResult,
    AutoAttack,
    BestOf,
    BlockShuffle,
    Cascade,
    ChromaShift,
    CosPGD,
    Deformation,
    Diversity,
    FixedClass,
    FlowAttack,
    FlowPGD,
    FoolboxAttack,
    GradientAttack,
    GradientRecipe,
    KullbackLeibler,
    Mirage,
    Momentum,
    NearestWrongClass,
    Nesterov,
    RandomAffine,
    RandomFlow,
    Refined,
    ScaleInvariant,
    SegPGD,
    Spectrum,
    Square,
    StAdv,
    StructureInvariant,
    TargetedAPGD,
    TopPixels,
    TorchattacksAttack,
    TranSegPGD,
    TranslationInvariant,
    TwoStage,
    Universal,
    Variance,
    Within,
)
from project.core.errors import InputError
from project.saliency import FrequencyTuned
from tests.attacks.fitted import universal_file
from tests.models import CurvedClassifier, CurvedSegmenter, eight_bit_images, predicted

EPS = 8 / 255
INFINITE = float("inf")
DROPPED = (12 * 64) ** 0.5 / 2
"""Each coefficient of 12 blocks moves by at most half a q, each pixel by half a level more."""


@dataclass
class Row:
    """An attack, the size that its perturbation may have, and what it can attack."""

    attack: Attack
    norm: str
    bound: float
    tasks: tuple[str, ...] = ("classification", "segmentation")


CLASSIFIERS = ("classification",)

ROWS = {
    "fgsm": Row(FGSM(EPS), "linf", EPS),
    "fgsm_l2": Row(FGSM(1.5, norm="l2"), "l2", 1.5),
    "pgd": Row(PGD(EPS, steps=8), "linf", EPS),
    "pgd_uneven": Row(PGD(0.03, step_size=0.011, steps=8), "linf", 0.03),
    "pgd_l2": Row(PGD(1.5, step_size=0.5, steps=12, norm="l2"), "l2", 1.5),
    "pgd_targeted": Row(PGD(EPS, steps=8, targeted=True), "linf", EPS),
    "pgd_away_from_clean": Row(PGD(EPS, steps=8, objective=KullbackLeibler()), "linf", EPS),
    "mifgsm": Row(MIFGSM(EPS, steps=4), "linf", EPS),
    "pgd_looking_around": Row(
        PGD(EPS, steps=8, rules=[Variance(2), Nesterov()], transforms=[ScaleInvariant(2)]),
        "linf",
        EPS,
    ),
    "pgn": Row(PGD(EPS, steps=8, rules=[PGN(2), Momentum()]), "linf", EPS),
    "gra": Row(PGD(EPS, steps=8, rules=[GRA(2), Momentum()]), "linf", EPS),
    "mef": Row(PGD(EPS, steps=8, rules=[MEF(2), Momentum(0.5)]), "linf", EPS),
    "pgd_top_pixels": Row(PGD(EPS, steps=8, rules=[Momentum(), TopPixels(0.5)]), "linf", EPS),
    "pgd_everything": Row(
        PGD(
            EPS,
            steps=4,
            rules=[Variance(2), TranslationInvariant(5), Nesterov()],
            transforms=[Diversity(), ScaleInvariant(2), Spectrum(2)],
        ),
        "linf",
        EPS,
    ),
    "pgd_moved_pixels": Row(
        PGD(
            EPS,
            steps=4,
            transforms=[
                BlockShuffle(),
                RandomAffine(edges="zeros"),
                StructureInvariant(copies=2),
                Deformation(copies=1),
            ],
        ),
        "linf",
        EPS,
    ),
    "pgd_early_stop": Row(PGD(EPS, steps=8, early_stop=True), "linf", EPS),
    "pgd_views_early_stop": Row(
        PGD(1.5, 0.3, 8, norm="l2", transforms=[Diversity()], early_stop=True), "l2", 1.5
    ),
    "segpgd": Row(SegPGD(EPS, steps=8), "linf", EPS),
    "cospgd": Row(CosPGD(EPS, steps=8), "linf", EPS),
    "cospgd_targeted": Row(CosPGD(EPS, steps=8, targeted=True), "linf", EPS),
    "fspgd": Row(FSPGD(EPS, steps=8, layer="first"), "linf", EPS),
    "aimed_nearest": Row(Aimed(PGD(EPS, steps=8, targeted=True), NearestWrongClass()), "linf", EPS),
    "aimed_fixed": Row(Aimed(SegPGD(EPS, steps=8, targeted=True), FixedClass(1)), "linf", EPS),
    "apgd": Row(APGD(EPS, steps=10), "linf", EPS),
    "apgd_l2": Row(APGD(1.5, steps=10, norm="l2"), "l2", 1.5),
    "apgd_targeted": Row(APGD(EPS, steps=10, targeted=True), "linf", EPS),
    "sea": Row(SEA(EPS, 10, track="objective", random_start=False), "linf", EPS),
    "sea_tracking_cross_entropy": Row(SEA(EPS, steps=10), "linf", EPS),
    "sea_released": Row(SEA(EPS, steps=10, preset="released"), "linf", EPS),
    "targeted_apgd": Row(TargetedAPGD(EPS, steps=5, classes=2), "linf", EPS),
    "square": Row(Square(EPS, queries=20), "linf", EPS),
    "square_l2": Row(Square(1.5, queries=20, norm="l2"), "l2", 1.5),
    "fab": Row(FAB(EPS, steps=10), "linf", EPS, CLASSIFIERS),
    "fab_l2": Row(FAB(1.5, steps=10, norm="l2"), "l2", 1.5, CLASSIFIERS),
    "cascade": Row(Cascade([FGSM(EPS), Square(EPS, queries=20)]), "linf", EPS),
    "auto_attack": Row(AutoAttack(1 / 255, steps=5, queries=10), "linf", 1 / 255, CLASSIFIERS),
    "auto_attack_l2": Row(AutoAttack(0.2, "l2", "fast", steps=5), "l2", 0.2, CLASSIFIERS),
    "dag": Row(DAG(0.5, steps=10), "linf", float("inf")),
    "alma_prox": Row(ALMAProx(0.5, steps=25), "linf", float("inf")),
    "transegpgd": Row(TranSegPGD(EPS, steps=20), "linf", EPS),
    "transegpgd_transfer": Row(TranSegPGD(EPS, steps=8, preset="transfer"), "linf", EPS),
    "transegpgd_all_fooled": Row(
        TranSegPGD(EPS, steps=12, stage_switch="all_fooled", hard_weight="wrong"), "linf", EPS
    ),
    "stadv": Row(StAdv(preset="paper", steps=20), "flow", float("inf")),
    "stadv_sized": Row(StAdv(steps=20), "flow", float("inf")),
    "stadv_fast": Row(StAdv(preset="fast", steps=6), "flow", float("inf")),
    "chroma_shift": Row(ChromaShift(steps=6), "flow", 1.0),
    "chroma_shift_targeted": Row(ChromaShift(0.5, "fast", steps=6, targeted=True), "flow", 0.5),
    "refined_flow": Row(Refined(SSTA(steps=6), steps=4), "flow", 2.0),
    "refined_noise": Row(Refined(PGD(EPS, steps=4), steps=4), "linf", EPS),
    "within_noise": Row(Within(PGD(EPS, steps=4), 1.0), "linf", EPS),
    "within_flow": Row(Within(FlowPGD(1.0, steps=4), 1.0), "flow", 1.0),
    "best_of": Row(BestOf([SSTA(steps=4), SSTA(profile="repaired", steps=4)]), "flow", 1.0),
    "ssta": Row(SSTA(steps=6), "flow", 0.5),
    "ssta_soft": Row(SSTA(edge=1.0, steps=6), "flow", 0.5),
    "ssta_objective": Row(SSTA(objective=TwoStage(), steps=6), "flow", 0.5),
    "ssta_released": Row(SSTA(profile="released", steps=6), "flow", 1.0),
    "ssta_repaired": Row(SSTA(profile="repaired", steps=6), "flow", 1.0),
    "random_flow": Row(RandomFlow(), "flow", 0.5),
    "random_flow_smooth": Row(RandomFlow(1.0, smooth=2.0), "flow", 1.0),
    "ssta_transfer": Row(SSTA(profile="transfer", steps=6), "flow", 1.0),
    "mirage": Row(Mirage(steps=8), "flow", 1.0),
    "within_mirage": Row(Within(Mirage(steps=4), 0.5), "flow", 1.0),
    "flow_pgd": Row(FlowPGD(), "flow", 0.5),
    "flow_pgd_smooth": Row(FlowPGD(1.0, steps=6, smooth=1.5, random_start=True), "flow", 1.0),
    "flow_pgd_colour": Row(FlowPGD(1.0, steps=6, colour=True), "flow", 1.0),
    "flow_pgd_salient": Row(
        FlowPGD(1.0, steps=6, saliency=FrequencyTuned(), transforms=[Diversity()]), "flow", 1.0
    ),
    "flow_pgd_salient_early_stop": Row(
        FlowPGD(1.0, steps=6, saliency=FrequencyTuned(), early_stop=True), "flow", 1.0
    ),
    "advdrop": Row(AdvDrop(steps=6), "l2", DROPPED * 61 / 255),
    "universal": Row(Universal(universal_file(EPS), EPS), "linf", EPS),
    "advdrop_targeted": Row(AdvDrop(20, preset="fast", targeted=True), "l2", DROPPED * 21 / 255),
}
ROWS |= {
    "foolbox": Row(
        FoolboxAttack("LinfPGD", {"steps": 5, "abs_stepsize": 0.01}, EPS),
        "linf",
        EPS,
        CLASSIFIERS,
    ),
    "foolbox_least_change": Row(FoolboxAttack("L2DeepFoolAttack"), "l2", INFINITE, CLASSIFIERS),
    "foolbox_by_decisions": Row(
        FoolboxAttack("BoundaryAttack", {"steps": 20}, 3.0, "l2"), "l2", 3.0, CLASSIFIERS
    ),
}
EXTRAS = {TorchattacksAttack: "torchattacks", ArtAttack: "art"}
"""Adapters of libraries that the tests do without where they are not installed."""
if find_spec("torchattacks"):
    ROWS |= {
        "torchattacks": Row(TorchattacksAttack("PGD", {"steps": 5}, EPS), "linf", EPS, CLASSIFIERS),
        "torchattacks_targeted": Row(
            TorchattacksAttack("MIFGSM", {"steps": 5}, EPS, targeted=True),
            "linf",
            EPS,
            CLASSIFIERS,
        ),
        "torchattacks_least_change": Row(
            TorchattacksAttack("CW", {"steps": 10, "c": 10.0}), "l2", INFINITE, CLASSIFIERS
        ),
        "torchattacks_by_queries": Row(
            TorchattacksAttack("Square", {"n_queries": 40}, 0.2), "linf", 0.2, CLASSIFIERS
        ),
    }
if find_spec("art"):
    ROWS |= {
        "art": Row(
            ArtAttack("ProjectedGradientDescent", {"max_iter": 5, "eps_step": 0.01}, EPS),
            "linf",
            EPS,
            CLASSIFIERS,
        ),
        "art_by_decisions": Row(
            ArtAttack("HopSkipJump", {"max_iter": 2, "max_eval": 50, "init_eval": 5}),
            "l2",
            INFINITE,
            CLASSIFIERS,
        ),
        "art_by_queries": Row(
            ArtAttack("SimBA", {"max_iter": 20, "attack": "px"}), "linf", INFINITE, CLASSIFIERS
        ),
    }
ABSTRACT = {Attack, FlowAttack, GradientAttack, GradientRecipe}

every_attack = pytest.mark.parametrize("name", ROWS)
every_attack_and_task = pytest.mark.parametrize(
    ("name", "task"), [(name, task) for name, row in ROWS.items() for task in row.tasks]
)


def scene(task: str, count: int = 4) -> tuple[nn.Module, Tensor, Tensor]:
    """Return a victim, images, and targets that it gets right; some pixels are void."""
    images = eight_bit_images(count)
    victim = CurvedClassifier() if task == "classification" else CurvedSegmenter()
    target = predicted(victim, images)
    if task == "segmentation":
        target[:, :2, :5] = 255
    return victim, images, target


def attack_result(name: str, task: str) -> tuple[Tensor, AttackResult]:
    victim, images, target = scene(task)
    return images, ROWS[name].attack.run(victim, images, target)


def test_every_public_attack_has_a_row():
    public = {
        value
        for value in vars(project.attacks).values()
        if isinstance(value, type) and issubclass(value, Attack)
    }
    missing = {kind for kind, library in EXTRAS.items() if not find_spec(library)}
    assert public - ABSTRACT - missing == {type(row.attack) for row in ROWS.values()}


@every_attack_and_task
def test_result_is_detached_in_range_and_made_of_8_bit_values(name: str, task: str):
    _, result = attack_result(name, task)
    assert not result.images.requires_grad
    assert not result.perturbation.requires_grad
    levels = result.images * 255
    assert torch.equal(result.images, levels.round() / 255)
    assert result.images.min() >= 0
    assert result.images.max() <= 1


@every_attack_and_task
def test_8_bit_result_stays_in_the_threat_model(name: str, task: str):
    row = ROWS[name]
    images, result = attack_result(name, task)
    change = (result.images - images).flatten(1).double()
    sizes = {
        "linf": change.abs().amax(1),
        "l2": change.norm(dim=1),
        "flow": result.perturbation.flatten(1).abs().amax(1),
    }
    assert (sizes[row.norm] <= row.bound + 1e-6).all()
    assert change.abs().max() > 0


@every_attack_and_task
def test_result_does_not_depend_on_batch_mates(name: str, task: str):
    victim, images, target = scene(task)
    victim, images = victim.double(), images.double()
    attack = ROWS[name].attack
    index = torch.tensor([5, 3, 8, 1])
    together = attack(victim, images, target, index)
    for place in (2, 0):
        one = slice(place, place + 1)
        alone = attack(victim, images[one], target[one], index[one])
        assert torch.equal(alone, together[one])


@every_attack
def test_result_belongs_to_the_sample_not_to_its_place(name: str):
    victim, images, target = scene("classification")
    attack = ROWS[name].attack
    index, order = torch.arange(4), torch.tensor([2, 0, 3, 1])
    straight = attack(victim, images, target, index)
    shuffled = attack(victim, images[order], target[order], index[order])
    assert torch.equal(shuffled, straight[order])


@every_attack
def test_global_random_state_is_neither_used_nor_changed(name: str):
    victim, images, target = scene("classification")
    torch.manual_seed(1)
    first = ROWS[name].attack(victim, images, target)
    torch.manual_seed(2)
    state = torch.get_rng_state()
    assert torch.equal(ROWS[name].attack(victim, images, target), first)
    assert torch.equal(torch.get_rng_state(), state)


@every_attack
def test_victim_is_afterwards_exactly_as_before(name: str):
    victim, images, target = scene("classification")
    victim.train()
    victim.mix.requires_grad_(False)
    victim.out.grad = torch.ones_like(victim.out)
    flags = [module.training for module in victim.modules()]
    state = {key: value.clone() for key, value in victim.state_dict().items()}
    ROWS[name].attack.run(victim, images, target)
    assert [module.training for module in victim.modules()] == flags
    assert not victim.mix.requires_grad
    assert victim.out.requires_grad
    assert torch.equal(victim.out.grad, torch.ones_like(victim.out))
    assert victim.mix.grad is None
    assert victim.norm.weight.grad is None
    assert all(torch.equal(state[key], value) for key, value in victim.state_dict().items())


@every_attack
def test_victim_in_train_mode_is_attacked_in_eval_mode(name: str):
    victim, images, target = scene("classification")
    expected = ROWS[name].attack(victim.eval(), images, target)
    assert torch.equal(ROWS[name].attack(victim.train(), images, target), expected)


@every_attack_and_task
def test_attack_works_inside_inference_mode(name: str, task: str):
    victim, images, target = scene(task)
    expected = ROWS[name].attack(victim, images, target)
    with torch.inference_mode():
        found = ROWS[name].attack(victim, images.clone(), target.clone())
    assert torch.equal(found, expected)


@every_attack
def test_arguments_are_not_changed(name: str):
    victim, images, target = scene("classification")
    kept = images.clone(), target.clone()
    result = ROWS[name].attack.run(victim, images, target)
    for own in (result.images, result.float_images):  # nor are they what is returned
        own.fill_(2)
    assert torch.equal(images, kept[0])
    assert torch.equal(target, kept[1])


@every_attack
def test_run_tells_the_verdict_on_the_8_bit_images(name: str):
    victim, images, target = scene("classification")
    attack = ROWS[name].attack
    result = attack.run(victim, images, target)
    hit = predicted(victim, result.images) == target
    assert torch.equal(result.success, hit if attack.targeted else ~hit)
    assert torch.equal(result.images, attack(victim, images, target))


@every_attack
def test_normalised_images_are_rejected(name: str):
    victim, images, target = scene("classification")
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\].*Normalise inside the victim"):
        ROWS[name].attack(victim, (images - 0.45) / 0.22, target)


@every_attack
def test_images_with_nan_are_rejected(name: str):
    victim, images, target = scene("classification")
    images[0, 0, 0, 0] = float("nan")
    with pytest.raises(ValueError, match="must lie in"):
        ROWS[name].attack(victim, images, target)


@every_attack
def test_labels_out_of_range_are_rejected(name: str):
    victim, images, target = scene("classification")
    target[1] = 4
    with pytest.raises(ValueError, match=r"labels must lie in 0 … 3.*got . … 4"):
        ROWS[name].attack(victim, images, target)


@every_attack
def test_a_mask_for_a_classifier_is_rejected(name: str):
    victim, images, _ = scene("classification")
    _, _, target = scene("segmentation")
    with pytest.raises(ValueError, match="A classifier takes class labels"):
        ROWS[name].attack(victim, images, target)


@every_attack
def test_a_victim_that_returns_more_than_logits_is_refused(name: str):
    victim, images, target = scene("classification")
    victim.register_forward_hook(lambda module, inputs, logits: {"logits": logits})
    with pytest.raises(InputError, match="one tensor of logits, got a dictionary with"):
        ROWS[name].attack(victim, images, target)


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.tasks == CLASSIFIERS])
def test_attack_for_classifiers_refuses_a_segmenter(name: str):
    attack = ROWS[name].attack
    with pytest.raises(InputError, match=f"^{attack.name} looks for .* a segmenter with SEA"):
        attack(*scene("segmentation"))


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, row in ROWS.items()
        # Those who look at a layer or at the clean prediction do not look at labels; smoothed
        # gradients and moved pixels are of other victims than this one; the strongest pixels are
        # not all. They have another optimum.
        if isinstance(row.attack, GradientRecipe)
        and row.norm != "flow"
        and row.attack.built().objective.layer is None
        and not row.attack.built().early_stop
        and name
        not in (
            "pgd_everything",
            "pgd_moved_pixels",
            "pgd_top_pixels",
            "transegpgd_transfer",
            "pgd_away_from_clean",
        )
    ],
)
def test_noise_attack_reaches_the_optimum_of_a_linear_model(name: str):
    class Linear(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            generator = torch.Generator().manual_seed(3)
            self.weight = torch.randn(3 * 6 * 5, generator=generator, dtype=torch.float64)

        def forward(self, images: Tensor) -> Tensor:
            score = images.flatten(1) @ self.weight
            return torch.stack([score, -score], 1)

    victim, row = Linear(), ROWS[name]
    # Grey images: no budget here crosses a border of the range, so nothing is cut.
    images = torch.full((3, 3, 6, 5), 128 / 255, dtype=torch.float64)
    target = torch.zeros(3, dtype=torch.int64)
    result = row.attack.run(victim, images, target)
    sign = 1.0 if row.attack.targeted else -1.0
    gain = sign * (victim(result.float_images) - victim(images))[:, 0]
    weight = victim.weight
    best = row.bound * (weight.abs().sum() if row.norm == "linf" else weight.norm())
    torch.testing.assert_close(gain, best.expand(3), rtol=tolerance(row), atol=0)


def tolerance(row: Row) -> float:
    """An L2 step from a random start turns towards the optimum, and is not there after a few."""
    return 0.02 if row.norm == "l2" and row.attack.built().random_start else 1e-6
