"""Training for free: one backward pass trains and attacks, image by image, inside the ball."""

import copy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning as L
import pytest
import torch
import torch.nn.functional as F
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor, nn

from project.attacks import FGSM
from project.callbacks import FreeAdversarialBatches
from project.data import Augmentation, ShapesData
from project.threat_models import Linf
from project.training import ClassifierTraining
from project.training.robust import AdversarialLoss, RobustLoss
from project.victims import ClassificationVictim
from tests.models import SpatialClassifier, eight_bit_images

EPS = 8 / 255
REPLAYS = 3

quiet = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.. is deprecated.*"),
]
pytestmark = quiet


class Counted(nn.Module):
    """A small network that counts its forward passes with gradient, where nothing else can."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 6, 3, stride=2)
        self.head = nn.Linear(6, 6)
        self.passes = 0

    def forward(self, images: Tensor) -> Tensor:
        self.passes += self.training
        logits: Tensor = self.head(torch.sin(9 * self.conv(images)).mean((2, 3)))
        return logits


def free(**arguments: Any) -> FreeAdversarialBatches:
    return FreeAdversarialBatches({"fgsm": FGSM(eps=EPS)}, eps=EPS, **arguments)


def data(**arguments: Any) -> ShapesData:
    return ShapesData(size=16, num_train=8, num_val=2, batch_size=4, **arguments)


def training(robust: RobustLoss | None = None) -> ClassifierTraining:
    return ClassifierTraining(
        ClassificationVictim(Counted(), 6),
        optimizer="sgd",
        schedule="constant",
        learning_rate=0.01,
        robust=robust or AdversarialLoss(),
    )


class Recorder(L.Callback):
    """Keeps each batch, and the weights that saw it."""

    def __init__(self) -> None:
        self.batches: list[dict[str, Tensor]] = []
        self.victims: list[nn.Module] = []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:
        self.batches.append({key: values.detach().clone() for key, values in batch.items()})
        self.victims.append(copy.deepcopy(pl_module.victim))


def fitted(callback: L.Callback, *others: L.Callback, epochs: int = 1, **arguments: Any):
    resumed = arguments.pop("ckpt_path", None)
    module = training(arguments.pop("robust", None))
    trainer = L.Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        callbacks=[callback, *others],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=any(isinstance(other, ModelCheckpoint) for other in others),
        num_sanity_val_steps=0,
        **arguments,
    )
    trainer.fit(module, datamodule=data(), ckpt_path=resumed)
    return module


@pytest.fixture(scope="module")
def run() -> tuple[ClassifierTraining, Recorder]:
    recorder = Recorder()
    return fitted(free(replays=REPLAYS), recorder), recorder


def test_every_batch_comes_several_times_in_a_row_with_the_same_augmentation():
    twice, once = (data(augment=Augmentation(colour_jitter=0.3)) for _ in range(2))
    twice.replays = 2
    loaders = [module.train_dataloader() for module in (once, twice)]
    assert [len(loader) for loader in loaders] == [2, 4]
    single, replayed = (list(loader) for loader in loaders)
    for number, batch in enumerate(replayed):
        assert all(torch.equal(batch[key], single[number // 2][key]) for key in batch)


def test_an_epoch_is_one_pass_per_replay_and_no_more(run):
    module, recorder = run
    assert len(recorder.batches) == 2 * REPLAYS
    assert module.victim.network.passes == 2 * REPLAYS


def test_images_stay_in_the_ball_and_in_range_and_move(run):
    _, recorder = run
    for batch in recorder.batches:
        change = batch["adversarial"] - batch["image"]
        assert change.abs().max() <= EPS + 1e-7
        assert batch["adversarial"].min() >= 0
        assert batch["adversarial"].max() <= 1
        assert change.abs().mean() > EPS / 4


def test_a_batch_begins_with_noise_and_goes_on_along_the_gradient_of_the_pass_before(run):
    _, recorder = run
    threat = Linf(EPS)
    for number, (batch, victim) in enumerate(zip(recorder.batches, recorder.victims, strict=True)):
        image = batch["image"]
        if number % REPLAYS == 0:
            perturbation = threat.random(image, batch["index"], 0, "FreeAdversarialBatches", 0)
        shown = image + perturbation
        torch.testing.assert_close(batch["adversarial"], shown, rtol=0, atol=1e-7)
        shown.requires_grad_()
        loss = F.cross_entropy(victim(shown), batch["target"])
        (slope,) = torch.autograd.grad(loss, shown)
        moved = (perturbation + EPS * slope.sign()).clamp(-EPS, EPS)
        perturbation = (image + moved).clamp(0, 1) - image


def passes(callback: FreeAdversarialBatches, batch: dict[str, Tensor], count: int = 3) -> Tensor:
    """Return the images of the last of several passes over a batch, with the weights as they are.

    In double precision, where rounding does not turn a sign.
    """
    victim = SpatialClassifier().double()
    trainer: Any = SimpleNamespace(current_epoch=0)
    for _ in range(count):
        callback.on_train_batch_start(trainer, None, batch, 0)
        F.cross_entropy(victim(batch["adversarial"]), batch["target"]).backward()
        callback.on_after_backward(trainer, None)
    return batch["adversarial"].detach()


def batch(count: int) -> dict[str, Tensor]:
    images = eight_bit_images(4)[:count].double()
    return {"image": images, "target": torch.arange(count) % 4, "index": torch.arange(count) + 7}


def test_an_image_does_not_depend_on_its_batch_mates():
    assert torch.equal(passes(free(), batch(4))[:2], passes(free(), batch(2)))


def test_an_image_does_not_depend_on_the_batches_before():
    callback = free()
    passes(callback, {**batch(4), "index": torch.arange(4) + 90})
    assert torch.equal(passes(callback, batch(4)), passes(free(), batch(4)))


def test_a_gradient_that_overflowed_moves_nothing():
    callback, values = free(), batch(2)
    trainer: Any = SimpleNamespace(current_epoch=0)
    callback.on_train_batch_start(trainer, None, values, 0)
    before = values["adversarial"].detach()
    (values["adversarial"] * torch.nan).sum().backward()
    callback.on_after_backward(trainer, None)
    callback.on_train_batch_start(trainer, None, values, 0)
    torch.testing.assert_close(values["adversarial"].detach(), before)


def test_the_gradient_of_the_weights_is_that_of_the_images_alone():
    victim, values = SpatialClassifier(), {**batch(4)}
    values["image"] = values["image"].float()
    callback = free()
    callback.on_train_batch_start(SimpleNamespace(current_epoch=0), None, values, 0)
    weights = list(victim.parameters())
    gradients = [
        torch.autograd.grad(F.cross_entropy(victim(images), values["target"]), weights)
        for images in (values["adversarial"], values["adversarial"].detach())
    ]
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))


@pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty.*")
def test_a_run_killed_between_two_replays_goes_on_as_if_it_had_not_been(tmp_path: Path):
    saving = ModelCheckpoint(tmp_path, "{step}", every_n_train_steps=1, save_top_k=-1)
    straight = fitted(free(replays=REPLAYS), saving, epochs=2)
    path = tmp_path / f"step={2 * REPLAYS + 2}.ckpt"  # second epoch, third replay to come
    resumed = fitted(free(replays=REPLAYS), copy.copy(saving), epochs=2, ckpt_path=path)
    pairs = zip(straight.victim.parameters(), resumed.victim.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_a_single_pass_is_refused():
    with pytest.raises(ValueError, match="replays must be at least 2, got 1"):
        free(replays=1)


def test_accumulation_is_refused():
    with pytest.raises(ValueError, match="got accumulate_grad_batches 2"):
        fitted(free(replays=2), accumulate_grad_batches=2)


class CleanLoss(RobustLoss):
    def __call__(self, learner, batch):
        return learner.criterion(learner.answer(batch["image"], "clean"), batch["target"])


def test_a_loss_that_ignores_the_adversarial_images_is_refused():
    with pytest.raises(ValueError, match="got one that ignores them"):
        fitted(free(replays=2), robust=CleanLoss())


def test_a_checkpoint_holds_the_perturbations_of_all_processes_and_each_takes_its_own(monkeypatch):
    ranks = [free(replays=REPLAYS) for _ in range(2)]
    for rank, callback in enumerate(ranks):
        callback._shown = (3, [10 * rank, 10 * rank + 1])
        callback._perturbation = torch.full((2, 3, 4, 4), rank + 1.0)
    told = [(*one._shown, one._perturbation) for one in ranks]
    monkeypatch.setattr("project.callbacks.training.free_batches.all_gather", lambda own: told)
    state = ranks[0].state_dict()
    for rank in range(2):
        resumed = free(replays=REPLAYS)
        resumed.load_state_dict(state)
        assert resumed.state_dict() == state  # until a batch has come
        images = torch.zeros(2, 3, 4, 4)
        batch = {"image": images, "index": torch.tensor([10 * rank, 10 * rank + 1])}
        resumed.on_train_batch_start(SimpleNamespace(current_epoch=3), None, batch, 1)
        assert torch.equal(resumed._perturbation, told[rank][2])
