"""FSPGD against a hand-written loop, and how layers are named."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from project.attacks import FSPGD, PGD, FeatureSimilarity
from project.attacks.core.query import ask
from project.victims import MeanLossEnsemble, SmpVictim, TorchvisionVictim
from tests.models import CurvedSegmenter, eight_bit_images, predicted
from tests.test_configs import CONFIGS, attacks_of

EPS, ALPHA = 8 / 255, 2 / 255


def negated_similarity(features: Tensor, clean: Tensor, share: float) -> Tensor:
    """Return the objective of one image from (C, places), as the released code computes it."""
    f, c = F.normalize(features, dim=0), F.normalize(clean, dim=0)
    similar = (c.T @ c > 0.5).double() * (1 - torch.eye(c.shape[1], dtype=torch.float64))
    internal = (similar * (f.T @ f)).sum() / similar.sum() / 2
    return -share * (f * c).sum(0).mean() - (1 - share) * internal


def test_images_are_those_of_a_hand_written_loop():
    victim, images = CurvedSegmenter().double().eval(), eight_bit_images(2).double()
    steps, moved = 4, images
    clean = victim.first(images).detach().flatten(2)
    for number in range(steps):
        moved = moved.detach().requires_grad_()
        features = victim.first(moved).flatten(2)
        value = sum(
            negated_similarity(f, c, number / steps) for f, c in zip(features, clean, strict=True)
        )
        (gradient,) = torch.autograd.grad(value, moved)
        noise = (moved + ALPHA * gradient.sign() - images).clamp(-EPS, EPS)
        moved = (images + noise).clamp(0, 1)
    attack = FSPGD(EPS, ALPHA, steps=steps, layer="first", random_start=False)
    found = attack.run(victim, images, predicted(victim, images))
    torch.testing.assert_close(found.float_images, moved.detach(), rtol=0, atol=1e-12)


def test_features_end_less_like_the_clean_ones_than_noise_makes_them():
    victim, images = CurvedSegmenter().double(), eight_bit_images(2).double()
    target = predicted(victim, images)

    def likeness(changed: Tensor) -> Tensor:
        with torch.no_grad():
            return F.cosine_similarity(victim.first(changed), victim.first(images)).mean((1, 2))

    noise = FSPGD(EPS, step_size=1e-9, steps=1, layer="first")(victim, images, target)
    attacked = FSPGD(EPS, ALPHA, steps=10, layer="first")(victim, images, target)
    assert (1 - likeness(attacked) > 2 * (1 - likeness(noise))).all()


def test_layer_and_threshold_are_the_objectives():
    objective = FSPGD(layer="first", threshold=0.9).built().objective
    assert isinstance(objective, FeatureSimilarity)
    assert (objective.layer, objective.threshold) == ("first", 0.9)


def test_labels_do_not_matter():
    victim, images = CurvedSegmenter(), eight_bit_images(2)
    target = predicted(victim, images)
    attack = FSPGD(steps=3, layer="first")
    assert torch.equal(attack(victim, images, target), attack(victim, images, 3 - target))


def test_config_attacks_a_victim_of_smp_at_its_default_layer():
    victim = SmpVictim("FPN", "resnet18", 4)
    images = eight_bit_images(2, 40, 64)
    (attack,) = attacks_of(CONFIGS / "attacks/fspgd.yaml").values()
    result = replace(attack, steps=2).run(victim, images, predicted(victim, images))
    assert (result.images != images).flatten(1).any(1).all()


@pytest.mark.parametrize("layer", ["network.encoder[-2]", "network.encoder.layer3"])
def test_output_of_a_list_is_named_by_its_place(layer):
    victim, images = SmpVictim("FPN", "resnet18", 4).eval(), eight_bit_images(1, 64, 64)
    with torch.no_grad():
        answer = ask(victim, images, predicted(victim, images), layer)
    assert answer.features is not None
    assert answer.features.shape == (1, 256, 4, 4)


class Keyed(nn.Module):
    """A segmenter whose first layer gives a dictionary."""

    class First(nn.Module):
        def forward(self, images: Tensor) -> dict[str, Tensor]:
            return {"out": images, "mean": images.mean((2, 3))}

    def __init__(self) -> None:
        super().__init__()
        self.first = self.First()

    def forward(self, images: Tensor) -> Tensor:
        return self.first(images)["out"]


def test_output_of_a_dictionary_is_named_by_its_key():
    images = eight_bit_images(2)
    answer = ask(Keyed(), images, torch.zeros(2, 12, 16).long(), "first[out]")
    assert torch.equal(answer.features, images)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("nowhere", "has no layer 'nowhere'"),
        ("first", "a dictionary with out, mean"),
        ("first[nothing]", "a dictionary with out, mean"),
        ("first[mean]", "must give feature maps"),
        ("first[-1]", "a dictionary with out, mean"),
    ],
)
def test_layer_without_feature_maps_is_told_with_what_there_is(layer, message):
    with pytest.raises(ValueError, match=message):
        ask(Keyed(), eight_bit_images(1), torch.zeros(1, 12, 16).long(), layer)


@pytest.mark.parametrize(
    ("layer", "message"),
    [("network.encoder", "a list of 6"), ("network.encoder[6]", "a list of 6")],
)
def test_list_is_told_by_its_length(layer, message):
    victim, images = SmpVictim("FPN", "resnet18", 4).eval(), eight_bit_images(1, 32, 32)
    with pytest.raises(ValueError, match=message):
        ask(victim, images, torch.zeros(1, 32, 32).long(), layer)


def test_layer_that_is_run_twice_is_refused():
    class Twice(Keyed):
        def forward(self, images: Tensor) -> Tensor:
            return super().forward(super().forward(images))

    with pytest.raises(ValueError, match=r"'first\[out\]' must be run once .* not 2 times"):
        ask(Twice(), eight_bit_images(1), torch.zeros(1, 12, 16).long(), "first[out]")


def test_classifier_is_attacked_by_its_features_too():
    victim = TorchvisionVictim("resnet18", num_classes=4)
    images = eight_bit_images(2, 48, 48)
    result = FSPGD(steps=2, layer="network.layer3").run(victim, images, predicted(victim, images))
    assert (result.images != images).flatten(1).any(1).all()


def test_each_member_of_an_ensemble_is_looked_into():
    members = [SmpVictim("FPN", "resnet18", 4) for _ in range(2)]
    images = eight_bit_images(1, 32, 32)
    target = predicted(members[0], images)
    attack = FSPGD(steps=1)
    both = attack(MeanLossEnsemble(members), images, target)
    assert not torch.equal(both, attack(members[0], images, target))


def test_targeted_attack_on_features_says_what_to_do():
    victim, images = CurvedSegmenter(), eight_bit_images(1)
    attack = PGD(objective=FeatureSimilarity("first"), targeted=True, steps=1)
    with pytest.raises(ValueError, match="use it untargeted"):
        attack(victim, images, predicted(victim, images))
