"""A budget of visibility is kept by the 8-bit image, and used."""

import numpy as np
import pytest
import torch
from skimage.color import deltaE_ciede2000, rgb2lab

from project.attacks import PGD, FlowPGD, Within
from project.attacks.combined import within
from project.core.errors import InputError
from tests.models import CurvedClassifier, eight_bit_images, predicted

ATTACKS = {
    "noise": PGD(32 / 255, 8 / 255, 8),
    "flow": FlowPGD(2.0, steps=8),
    "salient flow": FlowPGD(2.0, steps=8, saliency=lambda images: images[:, :1], min_area=0.5),
}


def scene():
    victim, images = CurvedClassifier().eval(), eight_bit_images(5)
    return victim, images, predicted(victim, images)


def difference(clean, images) -> np.ndarray:
    """Return the mean ΔE00 of each image, by scikit-image."""
    pairs = zip(clean.permute(0, 2, 3, 1).numpy(), images.permute(0, 2, 3, 1).numpy(), strict=True)
    return np.array([deltaE_ciede2000(rgb2lab(a), rgb2lab(b)).mean() for a, b in pairs])


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_the_largest_part_that_keeps_to_the_budget_is_taken(attack):
    victim, images, target = scene()
    whole = attack.run(victim, images, target)
    budget = float(np.median(difference(images, whole.images))) / 2
    found = Within(attack, budget).run(victim, images, target)
    seen = difference(images, found.images)
    assert (seen <= budget + 1e-4).all()
    np.testing.assert_allclose(found.facts["visibility"].numpy(), seen, atol=1e-4)
    cut = found.facts["kept"] < 1
    assert cut.any()
    for row in cut.nonzero()[:, 0].tolist():
        one = slice(row, row + 1)
        more = (found.facts["kept"][row] + 2**-9) * whole.perturbation[one].double()
        space = whole.threat_model.at(torch.tensor([row]))
        larger = space.round(images[one], space.apply(images[one], more.to(images)))
        assert difference(images[one], larger)[0] > budget - 1e-3


def test_what_is_small_enough_stays_as_it_is():
    victim, images, target = scene()
    attack = ATTACKS["noise"]
    found = Within(attack, 100.0).run(victim, images, target)
    assert torch.equal(found.images, attack(victim, images, target))
    assert (found.facts["kept"] == 1).all()


def test_a_budget_below_one_level_leaves_the_image_clean():
    victim, images, target = scene()
    found = Within(ATTACKS["noise"], 1e-9).run(victim, images, target)
    assert torch.equal(found.images, images)


def test_images_of_a_batch_do_not_share_a_factor():
    victim, images, target = scene()
    attack = Within(ATTACKS["flow"], 1.0)
    together = attack.run(victim, images, target)
    assert together.facts["kept"].unique().numel() > 1
    for row in range(5):
        index = torch.tensor([row])
        alone = attack(victim, images[index], target[index], index)
        assert torch.equal(alone, together.images[index])


def test_a_metric_that_cannot_be_had_is_refused_before_anything_is_attacked(monkeypatch):
    monkeypatch.setattr(within, "perceptual_panel", lambda names: ([], ["no weights here"]))
    within._metric.cache_clear()
    with pytest.raises(InputError, match="metric lpips_vgg cannot be computed: no weights here"):
        Within(PGD(), 0.1, "lpips_vgg").attach(None)
    within._metric.cache_clear()


@pytest.mark.parametrize("budget", [0.0, float("inf"), -1.0])
def test_a_budget_must_be_one(budget):
    with pytest.raises(InputError, match="budget must be"):
        Within(PGD(), budget)
