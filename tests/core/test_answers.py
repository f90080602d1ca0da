"""The one rule for non-finite answers: no prediction, counted and in no rate."""

import math

import numpy as np
import pytest
import torch

from project.attacks.core.query import fooled_share, resisting
from project.core.answers import NO_PREDICTION, answered, predicted_classes

NAN, INF = math.nan, math.inf
CASES = [
    ([1.0, 2.0, 0.0], 1),
    ([0.0, 0.0, 0.0], 0),  # all equal: the first, as of any tie
    ([1.0, 3.0, 3.0], 1),
    ([NAN, 1.0, 2.0], NO_PREDICTION),
    ([1.0, NAN, 2.0], NO_PREDICTION),
    ([NAN, NAN, NAN], NO_PREDICTION),
    ([INF, 1.0, 2.0], NO_PREDICTION),
    ([INF, INF, 2.0], NO_PREDICTION),
    ([-INF, 1.0, 2.0], NO_PREDICTION),
    ([-INF, -INF, -INF], NO_PREDICTION),
    ([INF, -INF, NAN], NO_PREDICTION),
]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_any_logit_that_is_not_finite_is_no_prediction(dtype):
    logits = torch.tensor([logits for logits, _ in CASES], dtype=dtype)
    expected = [predicted for _, predicted in CASES]
    assert predicted_classes(logits).tolist() == expected
    assert answered(logits).tolist() == [one != NO_PREDICTION for one in expected]
    pixels = logits.T[None, :, :, None]  # (1, K, H, 1)
    assert predicted_classes(pixels)[0, :, 0].tolist() == expected
    assert answered(pixels)[0, :, 0].tolist() == [one != NO_PREDICTION for one in expected]


def test_the_rule_is_that_of_a_slow_count():
    generator = np.random.default_rng(0)
    values = generator.choice(
        [NAN, INF, -INF, 0.0, 1.0, 2.0], (200, 4), p=[0.05, 0.03, 0.02, 0.3, 0.3, 0.3]
    )
    for row, found in zip(values, predicted_classes(torch.tensor(values)).tolist(), strict=True):
        finite = all(math.isfinite(value) for value in row)
        assert found == (list(row).index(max(row)) if finite else NO_PREDICTION)


@pytest.mark.parametrize("targeted", [False, True])
def test_to_an_attack_it_is_never_a_success(targeted):
    logits = torch.tensor([[NAN, 1.0], [INF, 0.0], [0.0, INF], [NAN, NAN]])
    for label in (0, 1):
        target = torch.full((4,), label)
        assert resisting(logits, target, targeted).all()
        assert fooled_share(logits, target, targeted).tolist() == [0, 0, 0, 0]


def test_a_pixel_without_a_prediction_keeps_the_image_from_being_fooled_as_a_whole():
    logits = torch.zeros(1, 2, 1, 4)
    logits[0, 1, 0, :3] = 1  # the first three are class 1
    logits[0, 0, 0, 3] = NAN
    target = torch.tensor([[[0, 0, 255, 0]]])
    assert fooled_share(logits, target, targeted=False).tolist() == [pytest.approx(2 / 3)]
