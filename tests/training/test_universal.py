"""One perturbation fitted to a data set: its steps, what it leaves alone, what it saves."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor, nn
from torch.utils.data import DataLoader

from project.attacks import Universal
from project.data import ShapesData
from project.training import UniversalTraining
from project.victims import (
    ClassificationVictim,
    MeanLossEnsemble,
    SegmentationVictim,
    Victim,
)
from tests.models import CLASSES, CurvedClassifier, CurvedSegmenter, eight_bit_images, predicted
from tests.processes import together

PLAIN = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
Batches = list[dict[str, Tensor]]

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.. is deprecated.*"),
    # the classifier has a frozen BatchNorm
    pytest.mark.filterwarnings("ignore:Found 1 module.s. in eval mode at the start of training"),
    pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no"),
]


def segmenter() -> Victim:
    return SegmentationVictim(CurvedSegmenter(), CLASSES, **PLAIN)


def classifier() -> Victim:
    return ClassificationVictim(CurvedClassifier(), CLASSES, **PLAIN)


def batches(victim: Victim, count: int, size: int, void: bool = False) -> Batches:
    """Return images that the victim gets right; the first one void everywhere, where asked."""
    images = eight_bit_images(count)
    target = predicted(victim, images)
    if void:
        target[0] = 255
    split = (images.split(size), target.split(size), torch.arange(count).split(size))
    return [
        {"image": image, "target": label, "index": index}
        for image, label, index in zip(*split, strict=True)
    ]


def trainer(epochs: int = 1, **arguments: Any) -> Trainer:
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    quiet |= {"enable_checkpointing": False, "accelerator": "cpu", "devices": 1}
    return Trainer(max_epochs=epochs, **(quiet | arguments))


def fitted(module: UniversalTraining, data: Batches, epochs: int = 1) -> Tensor:
    trainer(epochs).fit(module, DataLoader(data, batch_size=None))
    return module.perturbation.detach()


def plain(victim: Victim, **arguments: Any) -> UniversalTraining:
    """Return a fit of constant steps, to a victim that comes in train mode."""
    module = UniversalTraining(victim, (12, 16), schedule="constant", **arguments)
    return module.train()


def mean_slope(victim: nn.Module, batch: dict[str, Tensor], perturbation: Tensor) -> Tensor:
    """Return the gradient of the mean over images of their mean cross-entropy over valid pixels."""
    perturbation = perturbation.double().requires_grad_()
    victim = victim.double().eval()
    total = perturbation.new_zeros(())
    for image, target in zip(batch["image"].double(), batch["target"], strict=True):
        logits = victim((image + perturbation).clamp(0, 1))
        losses = F.cross_entropy(logits, target[None], reduction="none", ignore_index=255)
        total = total + losses.sum() / max(1, int((target != 255).sum()))
    (slope,) = torch.autograd.grad(total / len(batch["image"]), perturbation)
    victim.float()
    return slope


@pytest.mark.parametrize("make", [classifier, segmenter])
def test_each_step_follows_the_sign_of_the_mean_gradient_and_is_projected(make):
    victim, eps, step_size = make(), 0.03, 0.02
    data = batches(victim, 8, 4, void=make is segmenter)
    expected = torch.zeros(1, 3, 12, 16).double()
    for batch in data * 2:
        step = step_size * mean_slope(victim, batch, expected).sign()
        expected = (expected + step).clamp(-eps, eps)
    found = fitted(plain(victim, eps=eps, step_size=step_size), data, epochs=2)
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=1e-6)


def test_ensemble_of_mean_losses_pulls_along_the_mean_of_its_members():
    first, second = segmenter(), segmenter()
    second.network.second.weight.data.mul_(-0.7)
    data = batches(first, 4, 4)
    zero = torch.zeros(1, 3, 12, 16)
    slope = mean_slope(first, data[0], zero) + mean_slope(second, data[0], zero)
    found = fitted(plain(MeanLossEnsemble([first, second]), step_size=0.01), data)
    torch.testing.assert_close(found.double(), 0.01 * slope.sign(), rtol=0, atol=1e-8)


def test_linear_model_is_fooled_as_far_as_the_budget_goes():
    class Linear(nn.Module):
        weight = torch.randn(3 * 12 * 16, generator=torch.Generator().manual_seed(3))

        def forward(self, images: Tensor) -> Tensor:
            score = images.flatten(1) @ self.weight
            return torch.stack([score, -score], 1) / 40

    victim = ClassificationVictim(Linear(), 2, **PLAIN)
    images = eight_bit_images(6)
    batch = {"image": images, "target": torch.zeros(6).long(), "index": torch.arange(6)}
    found = fitted(UniversalTraining(victim, (12, 16), eps=8 / 255), [batch] * 30)
    expected = -8 / 255 * Linear.weight.sign().view(1, 3, 12, 16)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


def test_image_whose_objective_has_reached_the_cap_pulls_no_more():
    victim = classifier()
    (batch,) = batches(victim, 4, 4)
    batch["target"][1:] = (batch["target"][1:] + 1) % CLASSES
    logits = victim.eval()(batch["image"])
    losses = F.cross_entropy(logits, batch["target"], reduction="none").detach()
    cap = float(losses.sort().values[1:3].mean())
    low = losses < cap
    kept = {name: values[low] for name, values in batch.items()}
    expected = 0.01 * mean_slope(victim, kept, torch.zeros(1, 3, 12, 16)).sign()
    module = plain(victim, step_size=0.01, cap=cap)
    torch.testing.assert_close(fitted(module, [batch]).double(), expected, rtol=0, atol=1e-8)


def test_images_void_everywhere_leave_the_perturbation_at_zero():
    victim = segmenter()
    data = batches(victim, 2, 2)
    data[0]["target"][:] = 255
    assert fitted(plain(victim), data, epochs=3).abs().max() == 0


def test_victim_stays_frozen_and_its_statistics_stay():
    victim = classifier().train()
    state = {name: value.clone() for name, value in victim.state_dict().items()}
    data = batches(victim, 8, 4)
    fitted(plain(victim), data, epochs=2)
    assert not any(part.training for part in victim.modules())
    assert not any(parameter.requires_grad for parameter in victim.parameters())
    assert all(torch.equal(state[name], value) for name, value in victim.state_dict().items())


def test_share_fooled_counts_valid_elements_that_the_victim_got_right():
    victim = segmenter()
    module = plain(victim, eps=0.2)
    data = batches(victim, 6, 4, void=True)
    data[1]["target"][0, :3] = (data[1]["target"][0, :3] + 1) % CLASSES
    torch.nn.init.uniform_(module.perturbation, -0.2, 0.2)
    result = trainer().validate(module, DataLoader(data, batch_size=None), verbose=False)[0]
    fooled = right = 0
    with torch.no_grad():
        for batch in data:
            noisy = (batch["image"] + module.perturbation).clamp(0, 1).mul(255).round() / 255
            kept = (predicted(victim, batch["image"]) == batch["target"]) & (batch["target"] != 255)
            right += int(kept.sum())
            fooled += int((kept & (predicted(victim, noisy) != batch["target"])).sum())
    assert 0 < fooled < right
    assert result["val/fooled"] == pytest.approx(fooled / right)


def test_checkpoint_holds_the_perturbation_alone_and_the_attack_takes_it(tmp_path: Path):
    victim = classifier()
    data = batches(victim, 8, 4)
    saving = ModelCheckpoint(tmp_path, "universal", save_weights_only=True)
    module = plain(victim)
    run = trainer(2, enable_checkpointing=True, callbacks=[saving])
    run.fit(module, DataLoader(data, batch_size=None))
    file = tmp_path / "universal.ckpt"
    assert set(torch.load(file, weights_only=True)["state_dict"]) == {"perturbation"}
    found = Universal(file)(victim, data[0]["image"], data[0]["target"])
    assert torch.equal(found, module(data[0]["image"]).detach())


@pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty")
def test_fit_goes_on_from_a_checkpoint_to_the_same_perturbation(tmp_path: Path):
    victim = classifier()
    data = batches(victim, 8, 4)
    straight = fitted(plain(victim), data, epochs=2)

    def run(epochs: int) -> Trainer:
        saving = ModelCheckpoint(tmp_path, "half")
        return trainer(epochs, enable_checkpointing=True, callbacks=[saving])

    run(1).fit(plain(victim), DataLoader(data, batch_size=None))
    module = plain(victim)
    run(2).fit(module, DataLoader(data, batch_size=None), ckpt_path=tmp_path / "half.ckpt")
    assert torch.equal(module.perturbation, straight)


def test_images_of_another_size_are_refused():
    with pytest.raises(ValueError, match=r"the perturbation's size 6×6, got 12×16\. Correct --mod"):
        fitted(UniversalTraining(classifier(), (6, 6)), batches(classifier(), 4, 4))


def test_victim_that_does_not_suit_the_data_is_refused():
    data = ShapesData(num_train=4, num_val=4)
    with pytest.raises(ValueError, match=f"the data's 6 classes, but has {CLASSES}"):
        trainer().fit(UniversalTraining(classifier(), (64, 64)), datamodule=data)


def fit_shapes(folder: str, batch_size: int, **arguments: Any) -> None:
    """Fit to masks with void rims in double precision, and save what comes out."""
    torch.manual_seed(1)
    network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Tanh(), nn.Conv2d(8, 7, 1))
    module = UniversalTraining(SegmentationVictim(network, 7), (32, 32), eps=0.1)
    data = ShapesData("segmentation", size=32, num_train=24, num_val=6, batch_size=batch_size)
    run = trainer(2, precision="64-true", use_distributed_sampler=False, **arguments)
    run.fit(module, datamodule=data)
    if run.is_global_zero:
        kept = [module.perturbation.detach(), run.callback_metrics["val/fooled"].double()]
        torch.save(kept, f"{folder}/{run.world_size}.pt")


def fit_shapes_in_halves(folder: str) -> None:
    fit_shapes(folder, batch_size=3, devices=2, strategy="ddp")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*is smaller than the logging interval.*")
def test_two_processes_fit_what_one_fits_with_the_joint_batch(tmp_path: Path):
    fit_shapes(str(tmp_path), batch_size=6)
    together(fit_shapes_in_halves, str(tmp_path))
    one, two = torch.load(tmp_path / "1.pt"), torch.load(tmp_path / "2.pt")
    assert one[0].abs().max() > 0
    torch.testing.assert_close(two[0], one[0], rtol=0, atol=1e-12)
    torch.testing.assert_close(two[1], one[1])
