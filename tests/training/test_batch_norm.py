"""Whose statistics BatchNorm remembers, and that nothing else about a forward pass changes."""

import copy

import pytest
import torch
from timm.layers import BatchNormAct2d
from torch import Tensor, nn

from project.training import ClassifierTraining
from project.training.batch_norm import make_policy, still
from project.training.robust import TRADES, AdversarialLoss
from project.victims import ClassificationVictim
from project.victims.weights import load_weights
from tests.models import CurvedClassifier, CurvedSegmenter, eight_bit_images, predicted

POLICIES = ["both", "clean", "adversarial", "dual"]
CLEAN, ADVERSARIAL = eight_bit_images(6, seed=1), eight_bit_images(6, seed=2) ** 2


def network(layer: nn.Module | None = None) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        layer or nn.BatchNorm2d(3),
        nn.Conv2d(3, 4, 3),
        nn.BatchNorm2d(4),
        nn.Tanh(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 4),
    )


def training(**arguments: object) -> ClassifierTraining:
    return ClassifierTraining(ClassificationVictim(network(), 4), **arguments).train()


def batch() -> dict[str, Tensor]:
    return {"image": CLEAN, "adversarial": ADVERSARIAL, "target": torch.arange(6) % 4}


def channel_means(images: Tensor) -> Tensor:
    return images.mean((0, 2, 3))


@pytest.mark.parametrize("layer", [nn.BatchNorm2d, BatchNormAct2d])
@pytest.mark.parametrize(
    ("name", "remembered"),
    [
        ("both", [CLEAN, ADVERSARIAL]),
        ("clean", [CLEAN]),
        ("adversarial", [ADVERSARIAL]),
        ("dual", [ADVERSARIAL]),
    ],
)
def test_the_victim_remembers_the_statistics_that_the_policy_says(name, remembered, layer):
    victim = network(layer(3)).train()
    policy = make_policy(name, victim)
    policy(victim, CLEAN, "clean")
    policy(victim, ADVERSARIAL, "adversarial")
    expected = torch.zeros(3)
    for images in remembered:
        expected = 0.9 * expected + 0.1 * channel_means(images)
    torch.testing.assert_close(victim[0].running_mean, expected)
    assert [victim[0].num_batches_tracked, victim[2].num_batches_tracked] == [len(remembered)] * 2
    assert all(m.track_running_stats for m in victim.modules() if isinstance(m, nn.BatchNorm2d))


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("kind", ["clean", "adversarial"])
def test_the_logits_of_a_training_pass_are_those_of_the_plain_network(name, kind):
    victim = network().train()
    policy = make_policy(name, victim)
    assert torch.equal(policy(victim, CLEAN, kind), copy.deepcopy(victim)(CLEAN))


def test_the_auxiliary_layers_remember_clean_images():
    victim = network().train()
    policy = make_policy("dual", victim)
    policy(victim, CLEAN, "clean")
    torch.testing.assert_close(policy.auxiliary[0].running_mean, 0.1 * channel_means(CLEAN))
    assert policy.auxiliary[0].num_batches_tracked == 1
    assert not victim[0].running_mean.any()


@pytest.mark.parametrize(("kind", "own"), [("adversarial", True), ("clean", False)])
def test_each_branch_has_the_affine_gradient_of_its_images(kind, own):
    victim = network().train()
    policy = make_policy("dual", victim)
    policy(victim, CLEAN, kind).square().sum().backward()
    assert [layer.weight.grad is not None for layer in (victim[0], victim[2])] == [own] * 2
    assert [layer.weight.grad is not None for layer in policy.auxiliary] == [not own] * 2
    assert victim[1].weight.grad is not None


@pytest.mark.parametrize("name", POLICIES)
def test_a_frozen_layer_stays_frozen(name):
    victim = CurvedClassifier()
    torch.manual_seed(3)
    victim.norm.running_mean.normal_()
    before = copy.deepcopy(victim.norm.state_dict())
    victim.train()
    victim.drop.p = 0.0
    policy = make_policy(name, victim).train()
    for kind in ("clean", "adversarial"):
        logits = policy(victim, CLEAN, kind)
        hidden = torch.sin((CLEAN - 0.5).flatten(1) @ victim.mix)
        whitened = (hidden - before["running_mean"]) / (1 + victim.norm.eps) ** 0.5
        torch.testing.assert_close(logits, whitened @ victim.out)
    after = victim.norm.state_dict()
    assert all(torch.equal(after[key], before[key]) for key in before)


def test_a_frozen_instance_norm_keeps_using_its_statistics_while_all_is_still():
    layer = nn.InstanceNorm2d(3, track_running_stats=True).eval()
    expected = layer(CLEAN)
    with still(layer):
        assert torch.equal(layer(CLEAN), expected)


def test_both_branches_are_trained():
    module = training(robust=TRADES(), batch_norm="dual", weight_decay=0.0)
    module.trainer = type("OneStep", (), {"estimated_stepping_batches": 5, "current_epoch": 0})()
    optimizer = module.configure_optimizers()["optimizer"]
    trained = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert trained == {id(p) for p in module.parameters()}
    assert len(list(module.batch_norm_policy.parameters())) == 4
    before = copy.deepcopy(dict(module.named_parameters()))
    module.loss(batch()).backward()
    optimizer.step()
    assert not any(torch.equal(before[key], value) for key, value in module.named_parameters())


def test_a_checkpoint_of_dual_training_loads_as_a_victim(tmp_path):
    module = training(robust=TRADES(), batch_norm="dual")
    module.loss(batch())
    torch.save({"state_dict": module.state_dict()}, tmp_path / "dual.ckpt")
    loaded = network()
    load_weights(loaded, tmp_path / "dual.ckpt")
    own = module.victim.network.state_dict()
    assert all(torch.equal(value, own[key]) for key, value in loaded.state_dict().items())


def test_a_checkpoint_of_dual_training_keeps_the_auxiliary_layers_for_a_resume():
    module, other = (training(robust=TRADES(), batch_norm="dual") for _ in range(2))
    module.loss(batch())
    other.load_state_dict(module.state_dict())
    kept, own = (m.batch_norm_policy.auxiliary[0].running_mean for m in (other, module))
    assert kept.any()
    assert torch.equal(kept, own)


def test_dual_without_batch_norm_is_refused():
    with pytest.raises(ValueError, match="got a victim without any"):
        make_policy("dual", CurvedSegmenter())


def test_an_unknown_policy_is_refused():
    with pytest.raises(ValueError, match="must be one of both, clean, adversarial, dual, got 'no'"):
        make_policy("no", network())


@pytest.mark.parametrize(
    ("name", "robust", "missing"),
    [
        ("clean", AdversarialLoss(), "clean"),
        ("dual", AdversarialLoss(), "clean"),
        ("adversarial", None, "adversarial"),
        ("dual", None, "adversarial"),
    ],
)
def test_statistics_that_no_pass_would_move_are_refused(name, robust, missing):
    with pytest.raises(ValueError, match=f"never asks about {missing} ones"):
        training(robust=robust, batch_norm=name).loss(batch())


@pytest.mark.parametrize("name", POLICIES)
def test_a_loss_of_both_kinds_suits_every_policy(name):
    module = training(robust=AdversarialLoss(clean_weight=0.5), batch_norm=name)
    assert module.loss(batch()).isfinite()
    assert predicted(module.victim, CLEAN).shape == (6,)
