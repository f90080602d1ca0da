"""Several victims as one."""

import pytest
import torch
from torch import nn

from project.describe import describe, digest
from project.errors import InputError
from project.victims import ClassificationVictim, EnsembleVictim, SegmentationVictim


def member(seed: int, mean: float = 0.5, classes: int = 3) -> ClassificationVictim:
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, classes))
    return ClassificationVictim(network, classes, mean=(mean,) * 3, std=(0.25,) * 3)


def test_logits_are_the_mean_of_members_that_normalise_for_themselves():
    first, second = member(1, 0.5), member(2, 0.1)
    images = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    expected = (first(images) + second(images)) / 2
    torch.testing.assert_close(EnsembleVictim([first, second])(images), expected)


def test_ensemble_is_described_by_all_its_members():
    alone = EnsembleVictim([member(1), member(2)])
    other = EnsembleVictim([member(1), member(3)])
    same = EnsembleVictim([member(1), member(2)])
    assert digest(describe(alone)) == digest(describe(same))
    assert digest(describe(alone)) != digest(describe(other))


def test_members_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="classification with 3, classification with 4"):
        EnsembleVictim([member(1), member(2, classes=4)])
    with pytest.raises(InputError, match="got none"):
        EnsembleVictim([])
    segmenter = SegmentationVictim(nn.Conv2d(3, 3, 1), 3)
    with pytest.raises(InputError, match="segmentation with 3"):
        EnsembleVictim([member(1), segmenter])
