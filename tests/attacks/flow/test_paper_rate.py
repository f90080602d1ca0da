"""The success rate as SSTA's paper counts it, against counting pixels one by one."""

import pytest
import torch
from torch import Tensor, nn

from project.attacks import PGD, SSTA, BestOf, Refined
from project.core.answers import answers_of
from project.evaluation.classification import ClassificationJudge, ClassificationMetrics
from project.evaluation.plan import Pass
from tests.models import CurvedClassifier, eight_bit_images, predicted


def grey_maps(counts: list[int], height: int, width: int, high: int = 180) -> Tensor:
    """Return 8-bit maps (N, 1, H, W) with so many pixels of a value, the others one level less."""
    flat = torch.full((len(counts), height * width), high - 1, dtype=torch.uint8)
    for place, count in enumerate(counts):
        flat[place, :count] = high
    return flat.view(-1, 1, height, width)


def counted_slowly(maps: Tensor) -> list[bool]:
    """Whether the paper's code keeps an image: more than 2500 of 224² pixels reach 180."""
    kept = []
    for one in maps.tolist():
        values = [value for row in one[0] for value in row]
        kept.append(sum(value >= 180 for value in values) * 224 * 224 > 2500 * len(values))
    return kept


@pytest.mark.parametrize("profile", ["paper", "released"])
@pytest.mark.parametrize(
    ("counts", "height", "width"),
    [
        ([0, 2499, 2500, 2501, 50176], 224, 224),
        ([624, 625, 626, 627, 12544], 112, 112),
        ([9, 10, 20, 191, 192], 12, 16),
    ],
)
def test_the_mask_at_180_decides_whatever_the_profile(profile, counts, height, width):
    pooled = nn.Sequential(nn.AdaptiveAvgPool2d((12, 16)), CurvedClassifier())
    victim, images = pooled.eval(), eight_bit_images(len(counts), height, width)
    target = predicted(victim, images)
    target[-1] = (target[-1] + 1) % 4  # wrong when clean
    maps = grey_maps(counts, height, width)
    attack = SSTA(lambda shown: maps[: len(shown)] / 255, profile, steps=2, step_size=1.0)
    result = attack.run(victim, images, target)

    judge, metrics = ClassificationJudge(range(len(counts))), {}
    for clean in (True, False):
        shown = images if clean else result.images
        names = ("", "") if clean else ("ssta", "a")
        step = Pass(*names)
        with torch.no_grad():
            rows = judge.rows(
                answers_of(victim(shown), target), target, torch.arange(len(counts)), clean
            )
        facts = {} if clean else {"salient_area_180": result.facts["salient_area_180"].tolist()}
        rows = [row | {k: v[n] for k, v in facts.items()} for n, row in enumerate(rows)]
        judged = ClassificationMetrics(step, "a", torch.device("cpu"))
        judged.update(rows, predicted(victim, shown), target)
        metrics = {measure.metric: measure for measure in judged.measures()}

    kept = counted_slowly(maps)
    right = (predicted(victim, images) == target).tolist()
    fooled = (predicted(victim, result.images) != target).tolist()
    paper = [f for f, k, r in zip(fooled, kept, right, strict=True) if k and r]
    assert 0 < sum(kept) < len(kept)
    assert (metrics["asr_paper"].hits, metrics["asr_paper"].total) == (sum(paper), len(paper))
    small = [not k for k, r in zip(kept, right, strict=True) if r]
    assert (metrics["small_mask"].hits, metrics["small_mask"].total) == (sum(small), len(small))
    assert metrics["asr"].total == sum(right)


def test_attacks_made_of_ssta_have_its_rate_and_others_have_none():
    victim, images = CurvedClassifier().eval(), eight_bit_images(2)
    target = predicted(victim, images)
    inner = SSTA(steps=2)
    for attack in (inner, Refined(inner, steps=1), BestOf([inner, SSTA(steps=3)])):
        assert "salient_area_180" in attack.run(victim, images, target).facts
    assert "salient_area_180" not in PGD(steps=1).run(victim, images, target).facts
