"""Several victims as one."""

import pytest
import torch
from torch import nn

from project.core.errors import InputError
from project.core.identity import describe, digest
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


def test_ensemble_of_segmenters_is_a_segmenter():
    torch.manual_seed(0)
    members = [SegmentationVictim(nn.Conv2d(3, 5, 1), 5) for _ in range(2)]
    ensemble = EnsembleVictim(members)
    images = torch.rand(2, 3, 6, 7, generator=torch.Generator().manual_seed(0))
    assert (ensemble.task, ensemble.num_classes) == ("segmentation", 5)
    expected = (members[0](images) + members[1](images)) / 2
    torch.testing.assert_close(ensemble(images), expected)


def test_members_move_and_change_with_the_ensemble():
    first, second = member(1), member(2)
    ensemble = EnsembleVictim([first, second])
    before = digest(describe(ensemble))
    ensemble.double().eval()
    assert not first.training
    assert not second.training
    assert ensemble(torch.rand(1, 3, 8, 8, dtype=torch.float64)).dtype == torch.float64
    ensemble.float()
    assert digest(describe(ensemble)) == before
    with torch.no_grad():
        second.network[1].weight.add_(1)
    assert digest(describe(ensemble)) != before


def test_gradient_is_that_of_all_members():
    first, second = member(1, 0.5), member(2, 0.1)
    images = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)).requires_grad_()

    def slope(victim: nn.Module) -> torch.Tensor:
        return torch.autograd.grad(victim(images)[:, 0].sum(), images)[0]

    expected = (slope(first) + slope(second)) / 2
    torch.testing.assert_close(slope(EnsembleVictim([first, second])), expected)
