"""Every objective with every part: no image depends on its batch mates, and void is left alone."""

import pytest
import torch
from torch import Tensor

import project.attacks
from project.attacks import (
    ATT,
    DLR,
    GRA,
    MEF,
    PGD,
    PGN,
    TGR,
    Admix,
    AdversarialSplit,
    BalancedCrossEntropy,
    BlockShuffle,
    CosineWeighted,
    CrossEntropy,
    Deformation,
    Diversity,
    DLRTowards,
    FeatureSimilarity,
    GradientRule,
    InputTransform,
    JensenShannon,
    KullbackLeibler,
    Margin,
    MaskedCrossEntropy,
    MaskedNormalisedLogit,
    MixedFrequency,
    Momentum,
    Nesterov,
    Objective,
    RandomAffine,
    ScaleInvariant,
    Spectrum,
    StructureInvariant,
    TopPixels,
    TranslationInvariant,
    TwoStage,
    Variance,
)
from tests.attacks.photos import Photos
from tests.models import CurvedSegmenter, eight_bit_images, predicted


def mixing(part: InputTransform) -> InputTransform:
    part.attach(Photos(False, 8, 10))
    return part


OBJECTIVES = [
    CrossEntropy(),
    Margin(),
    DLR(),
    AdversarialSplit(),
    CosineWeighted(),
    TwoStage(),
    TwoStage(stage_switch="all_fooled", hard_weight="wrong"),
    FeatureSimilarity("first"),
    MaskedCrossEntropy(),
    BalancedCrossEntropy(),
    MaskedNormalisedLogit(),
    JensenShannon(),
    DLRTowards(1),
    KullbackLeibler(),
]
RULES = [
    Momentum(),
    Nesterov(),
    Variance(2),
    TranslationInvariant(5),
    PGN(2),
    GRA(2),
    MEF(2),
    TopPixels(0.5),
]
FOR_TRANSFORMERS = {TGR, ATT}  # which this victim is not: test_token_rules.py has them
TRANSFORMS = [
    Diversity(0.7, 1.4),
    ScaleInvariant(2),
    mixing(Admix(partners=2)),
    mixing(MixedFrequency(copies=2, radius=2.0, softness=1.0)),
    Spectrum(2),
    BlockShuffle(rotation=24.0, edges="zeros"),
    RandomAffine(),
    StructureInvariant(copies=2),
    Deformation(copies=2),
]
PARTS = {type(part).__name__: ([part], []) for part in RULES}
PARTS |= {type(part).__name__: ([], [part]) for part in TRANSFORMS}
PARTS["all"] = ([RULES[2], RULES[3], RULES[1]], [*TRANSFORMS[:3]])

every_objective = pytest.mark.parametrize(
    "objective", OBJECTIVES, ids=lambda objective: type(objective).__name__
)
every_part = pytest.mark.parametrize("part", PARTS)


def scene() -> tuple[CurvedSegmenter, Tensor, Tensor]:
    """Return a victim, images, and targets: one wholly void, others in part wrong or void."""
    victim, images = CurvedSegmenter().double(), eight_bit_images(4, 8, 10).double()
    target = predicted(victim, images)
    target[0, 2:4, 3:7] = (target[0, 2:4, 3:7] + 1) % 4
    target[:, :1, :5] = 255
    target[3] = 255
    return victim, images, target


def exported(kind: type) -> set[type]:
    public = [value for value in vars(project.attacks).values() if isinstance(value, type)]
    return {value for value in public if issubclass(value, kind) and value is not kind}


def test_every_public_objective_and_part_is_in_the_table():
    assert exported(Objective) == {type(each) for each in OBJECTIVES}
    assert exported(GradientRule) == {type(each) for each in RULES} | FOR_TRANSFORMERS
    assert exported(InputTransform) == {type(each) for each in TRANSFORMS}


@every_objective
@every_part
def test_no_image_depends_on_its_batch_mates_and_one_of_void_alone_stays(
    objective: Objective, part: str
):
    victim, images, target = scene()
    rules, transforms = PARTS[part]
    attack = PGD(
        steps=2, objective=objective, rules=rules, transforms=transforms, random_start=False
    )
    index = torch.tensor([5, 3, 7, 1])
    together = attack.run(victim, images, target, index)
    for one in (slice(2, 3), slice(0, 1)):
        alone = attack.run(victim, images[one], target[one], index[one])
        assert torch.equal(alone.float_images, together.float_images[one])
    change = (together.float_images - images).abs().amax((1, 2, 3))
    assert (change[:3] > 1 / 255).all()
    assert change[3] == 0
    assert (together.traces["objective"][3] == 0).all()
