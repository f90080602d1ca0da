"""AWP: the gradient is that at the perturbed weights, and the weights are never touched."""

import copy
import os
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from lightning.pytorch import Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader

from project.training import ClassifierTraining, SegmenterTraining
from project.training.robust import AWP, TRADES, AdversarialLoss, RobustLoss
from project.training.robust.robust_loss import Learner
from project.victims import ClassificationVictim, SegmentationVictim
from tests.models import CurvedSegmenter, eight_bit_images
from tests.processes import together

TARGET = torch.arange(6) % 4


def network(norm: bool = True) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 5, 3, stride=2),
        nn.BatchNorm2d(5) if norm else nn.Identity(),
        nn.Tanh(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(20, 4),
    )


def batch() -> dict[str, Tensor]:
    images = eight_bit_images(6)
    return {"image": images, "adversarial": images**1.5, "target": TARGET}


def double(values: dict[str, Tensor]) -> dict[str, Tensor]:
    return {k: v.double() if v.is_floating_point() else v for k, v in values.items()}


class Spied(AdversarialLoss):
    """Remembers the weights at each call."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[dict[str, Tensor]] = []

    def __call__(self, learner: Learner, batch: dict[str, Tensor]) -> Tensor:
        weights = learner.victim.named_parameters()
        self.seen.append({name: weight.detach().clone() for name, weight in weights})
        return super().__call__(learner, batch)


def learner(victim: nn.Module, epoch: int = 0) -> Learner:
    return Learner(lambda images, kind: victim(images), F.cross_entropy, victim, epoch)


def by_proxy(victim: nn.Module, loss: RobustLoss, batch: dict[str, Tensor], gamma: float):
    """Return the victim with perturbed weights, from the difference that one SGD step makes."""
    proxy = copy.deepcopy(victim)
    optimizer = torch.optim.SGD(proxy.parameters(), lr=0.01)
    (-loss(learner(proxy), batch)).backward()
    optimizer.step()
    perturbed = copy.deepcopy(victim)
    with torch.no_grad():
        for old, new, weight in zip(
            victim.parameters(), proxy.parameters(), perturbed.parameters(), strict=True
        ):
            if old.ndim > 1:
                difference = new - old
                weight.add_(gamma * old.norm() / difference.norm() * difference)
    return perturbed


@pytest.mark.parametrize("inner", [AdversarialLoss(), TRADES()], ids=["AT", "TRADES"])
def test_the_gradient_is_that_of_a_copy_perturbed_by_way_of_a_proxy(inner):
    victim, values = network().double(), double(batch())
    perturbed = by_proxy(victim, inner, values, 0.1)
    inner(learner(perturbed), values).backward()
    AWP(inner, gamma=0.1)(learner(victim), values).backward()
    for own, other in zip(victim.parameters(), perturbed.parameters(), strict=True):
        torch.testing.assert_close(own.grad, other.grad, rtol=1e-6, atol=1e-9)


def test_each_matrix_moves_by_gamma_of_its_norm_uphill_and_nothing_else_moves():
    victim, values, spied = network().double(), double(batch()), Spied()
    victim[5].weight.requires_grad_(False)
    loss = AWP(spied, gamma=0.02)(learner(victim), values)
    before, after = spied.seen
    moves = {name: after[name] - weight for name, weight in before.items()}
    matrix = moves.pop("0.weight")
    assert matrix.norm() == pytest.approx(0.02 * before["0.weight"].norm())
    assert not any(move.any() for move in moves.values())
    assert loss > AdversarialLoss()(learner(victim), values)


def test_weights_and_their_grad_are_never_touched():
    victim = network()
    for weight in victim.parameters():
        weight.grad = torch.ones_like(weight)
    before = copy.deepcopy([*victim.parameters()])
    loss = AWP(AdversarialLoss(), gamma=0.5)(learner(victim), batch())
    assert all(isinstance(weight, nn.Parameter) for weight in victim.parameters())
    assert all(torch.equal(a, b) for a, b in zip(before, victim.parameters(), strict=True))
    assert all((weight.grad == 1).all() for weight in victim.parameters())
    loss.backward()
    assert all(torch.equal(a, b) for a, b in zip(before, victim.parameters(), strict=True))


class Broken(AdversarialLoss):
    calls = 0

    def __call__(self, learner: Learner, batch: dict[str, Tensor]) -> Tensor:
        self.calls += 1
        if self.calls == 2:
            raise RuntimeError("in the perturbed pass")
        return super().__call__(learner, batch)


def test_weights_are_their_own_after_an_error_in_the_perturbed_pass():
    victim = network()
    before = copy.deepcopy([*victim.parameters()])
    with pytest.raises(RuntimeError, match="perturbed pass"):
        AWP(Broken(), gamma=0.5)(learner(victim), batch())
    assert all(torch.equal(a, b) for a, b in zip(before, victim.parameters(), strict=True))


def test_statistics_move_once_and_in_the_perturbed_pass():
    victim = network().double()
    values = double(batch())
    perturbed = by_proxy(victim, AdversarialLoss(), values, 0.3)
    perturbed[1].reset_running_stats()
    perturbed(values["adversarial"])
    AWP(AdversarialLoss(), gamma=0.3)(learner(victim), values)
    assert victim[1].num_batches_tracked == 1
    torch.testing.assert_close(victim[1].running_mean, perturbed[1].running_mean)


def test_it_starts_after_the_warm_up():
    for epoch, calls in ((0, 1), (1, 1), (2, 2)):
        spied = Spied()
        AWP(spied, warm_up=2)(learner(network(), epoch), batch())
        assert len(spied.seen) == calls


def test_a_batch_of_void_alone_perturbs_nothing_and_has_loss_zero():
    spied = Spied()
    module = SegmenterTraining(SegmentationVictim(CurvedSegmenter(), 4), robust=AWP(spied))
    images = eight_bit_images(2)
    target = torch.full((2, 12, 16), 255)
    loss = module.loss({"image": images, "adversarial": images, "target": target})
    loss.backward()
    assert loss == 0
    assert all(torch.equal(spied.seen[0][name], w) for name, w in spied.seen[1].items())
    assert all((weight.grad == 0).all() for weight in module.victim.parameters())


def test_under_autocast_the_perturbed_weights_are_the_ones_that_count():
    # Autocast keeps half-precision copies of weights: those of the first pass must not serve again.
    victim, spied = network(), Spied()
    with torch.autocast("cpu", torch.bfloat16):
        loss = AWP(spied, gamma=0.2)(learner(victim), batch())
    perturbed = network()
    perturbed.load_state_dict(spied.seen[1], strict=False)
    with torch.autocast("cpu", torch.bfloat16):
        expected = AdversarialLoss()(learner(perturbed), batch())
        unperturbed = AdversarialLoss()(learner(network()), batch())
    assert torch.equal(loss, expected)
    assert loss > unperturbed


@pytest.mark.filterwarnings("ignore:.*does not have many workers.*")
@pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no `val_dataloader`")
@pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.. is deprecated.*")
@pytest.mark.parametrize("batch_norm", ["both", "dual"])
def test_clipped_accumulated_half_precision_steps_are_as_long_as_the_clipped_gradient(batch_norm):
    robust = AWP(AdversarialLoss(clean_weight=0.5), gamma=0.5)
    module = ClassifierTraining(
        ClassificationVictim(network(), 4),
        robust=robust,
        batch_norm=batch_norm,
        optimizer="sgd",
        schedule="constant",
        learning_rate=1.0,
        weight_decay=0.0,
    )
    before = copy.deepcopy([*module.parameters()])
    trainer = Trainer(
        accelerator="cpu",
        precision="bf16-mixed",
        max_steps=1,
        accumulate_grad_batches=2,
        gradient_clip_val=1e-3,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
    )
    trainer.fit(module, DataLoader([batch()] * 2, batch_size=None))
    moves = [new - old for new, old in zip(module.parameters(), before, strict=True)]
    length = torch.stack([move.norm() for move in moves]).norm()
    assert length.item() == pytest.approx(1.9 * 1e-3, rel=1e-3)  # Nesterov's first step: 1 + 0.9


@pytest.mark.parametrize(("gamma", "warm_up"), [(0.0, 0), (-1.0, 0), (0.1, -1)])
def test_arguments_without_meaning_are_refused(gamma, warm_up):
    with pytest.raises(ValueError, match="gamma must be greater than 0"):
        AWP(AdversarialLoss(), gamma, warm_up)


def worker(folder: Path) -> None:
    rank = int(os.environ["LOCAL_RANK"])
    dist.init_process_group("gloo", rank=rank)
    victim, spied = network(norm=False).double(), Spied()
    module = nn.parallel.DistributedDataParallel(victim)
    share = {name: values[rank * 3 :][:3] for name, values in double(batch()).items()}
    answering = Learner(lambda images, kind: module(images), F.cross_entropy, victim, 0)
    AWP(spied, gamma=0.1)(answering, share).backward()
    gradients = [weight.grad for weight in victim.parameters()]
    torch.save((spied.seen[1], gradients), folder / f"{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.slow
def test_two_processes_perturb_and_learn_as_one_with_both_their_batches(tmp_path):
    together(worker, tmp_path)
    victim, spied = network(norm=False).double(), Spied()
    AWP(spied, gamma=0.1)(learner(victim), double(batch())).backward()
    for rank in range(2):
        seen, gradients = torch.load(tmp_path / f"{rank}.pt")
        torch.testing.assert_close(seen, spied.seen[1])
        torch.testing.assert_close(gradients, [weight.grad for weight in victim.parameters()])
