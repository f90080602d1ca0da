"""Saliency training: measures over the whole set, published defaults, checkpoints that load."""

import math

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader

from project.saliency.tracer.network import TracerOutput
from project.training import BatchNormMomentum, SaliencyTraining
from project.training.pixel_intensity import edge_target, pixel_intensity_loss
from project.training.saliency_metrics import MaxF, f_curve, mean_absolute_error
from tests.models import eight_bit_images

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.. is deprecated.*"),
]


class SmallNetwork(nn.Module):
    """TRACER's outputs from one convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 4, 5, padding=2)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            nn.init.normal_(self.layer.weight, std=0.3)

    def forward(self, images: Tensor) -> TracerOutput:
        first, second, third, edge = self.layer(images).split(1, 1)
        return TracerOutput((first + second + third) / 3, (first, second, third), edge)


def training(**arguments: object) -> SaliencyTraining:
    return SaliencyTraining(SmallNetwork(), **arguments)


def masks(count: int) -> Tensor:
    target = torch.randint(0, 2, (count, 12, 16), generator=torch.Generator().manual_seed(1))
    target[:, :, :5] = 255
    target[0] = target[0].clamp(max=1)
    return target


def trainer(**arguments: object) -> Trainer:
    return Trainer(
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        **arguments,
    )


def batches(images: Tensor, target: Tensor, size: int) -> DataLoader:
    pairs = zip(images.split(size), target.split(size), strict=True)
    data = [{"image": image, "target": label} for image, label in pairs]
    return DataLoader(data, batch_size=None)


def slow_max_f(maps: np.ndarray, target: np.ndarray) -> float:
    curves = []
    for one, mask in zip(maps, target, strict=True):
        curve = []
        for k in range(256):
            found = (one >= k / 255) & (mask != 255)
            hits = (found & (mask == 1)).sum()
            precision, recall = hits / max(found.sum(), 1), hits / (mask == 1).sum()
            curve.append(1.3 * precision * recall / (0.3 * precision + recall) if hits else 0.0)
        curves.append(curve)
    return float(np.mean(curves, 0).max())


def test_max_f_is_the_formula_threshold_by_threshold():
    maps = torch.rand(4, 1, 12, 16, generator=torch.Generator().manual_seed(4))
    target, measure = masks(4), MaxF()
    measure.update(maps[:3], target[:3])
    measure.update(maps[3:], target[3:])
    expected = slow_max_f(maps[:, 0].numpy(), target.numpy())
    assert float(measure.compute()) == pytest.approx(expected, abs=1e-11)


def test_a_map_of_levels_counts_pixels_at_the_threshold_itself():
    levels = torch.arange(256).view(16, 16)
    curve = f_curve(levels.float() / 255, torch.ones(16, 16, dtype=torch.int64))
    found = 256 - torch.arange(256)  # pixels at level k or above, all of them hits
    torch.testing.assert_close(curve, 1.3 * found.double() / (0.3 * 256 + found))


def test_max_f_of_the_mask_itself_is_one_and_images_without_object_are_left_out():
    target, measure = masks(3), MaxF()
    target[1] = 0
    measure.update((target == 1).float()[:, None], target)
    assert measure.compute() == 1
    assert measure.images == 2


def test_max_f_does_not_depend_on_the_order_of_images():
    maps = torch.rand(40, 1, 12, 16, generator=torch.Generator().manual_seed(5))
    target, forwards, backwards = masks(40), MaxF(), MaxF()
    forwards.update(maps, target)
    for k in reversed(range(40)):
        backwards.update(maps[k : k + 1], target[k : k + 1])
    assert torch.equal(forwards.compute(), backwards.compute())


def test_max_f_without_any_object_is_nan():
    measure = MaxF()
    measure.update(torch.rand(1, 1, 4, 4), torch.zeros(1, 4, 4, dtype=torch.int64))
    assert math.isnan(measure.compute())


def test_measures_are_of_the_whole_set_and_not_means_over_unequal_batches():
    module, images, target = training(), eight_bit_images(5), masks(5)
    result = trainer().test(module, batches(images, target, 2), verbose=False)[0]
    with torch.no_grad():
        output = module(images)
        maps = output.saliency.sigmoid()
    assert result["test/mae"] == pytest.approx(float(mean_absolute_error(maps, target).mean()))
    assert result["test/loss"] == pytest.approx(float(module.losses(output, target).mean()))
    expected = slow_max_f(maps[:, 0].numpy(), target.numpy())
    assert result["test/max_f"] == pytest.approx(expected, abs=1e-7)


def test_the_error_of_a_map_is_a_mean_over_valid_pixels():
    target = torch.tensor([[[0, 1], [255, 255]]])
    maps = torch.tensor([[[[0.25, 0.5], [1.0, 1.0]]]])
    assert mean_absolute_error(maps, target) == 0.375


def test_the_loss_adds_up_final_map_sides_and_edge():
    module, images, target = training(), eight_bit_images(3), masks(3)
    output = module(images)
    expected = pixel_intensity_loss(output.edge, edge_target(target))
    for logits in (output.saliency, *output.sides):
        expected = expected + pixel_intensity_loss(logits, target)
    assert expected.shape == (3, 1)
    torch.testing.assert_close(module.loss({"image": images, "target": target}), expected.mean())


def _normalise_pooled(network, inputs):
    network.pooled(inputs[0].mean((2, 3), keepdim=True))


def test_a_batch_of_one_is_refused_in_training_and_measured_in_evaluation():
    module, loader = training(), batches(eight_bit_images(1), masks(1), 1)
    module.network.pooled = torch.nn.BatchNorm2d(3)  # as TRACER's attention has one
    module.network.register_forward_pre_hook(_normalise_pooled)
    with pytest.raises(ValueError, match=r"at least 2 images.*--data\.batch_size"):
        trainer(max_epochs=1).fit(module, loader, loader)
    assert trainer().validate(module, loader, verbose=False)[0]["val/loss"] > 0


def test_the_network_sees_images_normalised_as_on_imagenet():
    module = training()
    images = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1).expand(1, 3, 6, 6)
    bias = module.network.layer.bias
    torch.testing.assert_close(module(images).edge, bias[3].expand(1, 1, 6, 6))


def test_with_an_input_size_maps_come_back_at_the_images_size():
    seen = []
    module = training(input_size=64)
    module.network.register_forward_pre_hook(lambda _, given: seen.append(given[0].shape))
    output = module(eight_bit_images(2, 30, 41))
    assert seen == [(2, 3, 64, 64)]
    shapes = {tuple(logits.shape) for logits in (output.saliency, *output.sides, output.edge)}
    assert shapes == {(2, 1, 30, 41)}


def test_the_published_optimiser_is_adam_with_decay_on_every_weight():
    module = training()
    configured = module.configure_optimizers()
    optimizer, plateau = configured["optimizer"], configured["lr_scheduler"]
    assert type(optimizer) is torch.optim.Adam
    (group,) = optimizer.param_groups
    assert (group["lr"], group["weight_decay"]) == (5e-5, 1e-4)
    assert len(group["params"]) == len(list(module.network.parameters()))
    assert plateau["monitor"] == "val/loss"
    for _ in range(7):
        plateau["scheduler"].step(1.0)
    assert group["lr"] == pytest.approx(5e-6)


def test_training_lowers_the_loss_under_a_falling_rate():
    module = training(learning_rate=0.02, optimizer="adamw", schedule="cosine")
    images = eight_bit_images(8, 32, 32)
    target = (images.mean(1) > 0.5).long()
    loader = batches(images, target, 4)
    before = trainer().validate(module, loader, verbose=False)[0]
    trainer(max_epochs=20).fit(module, loader, loader)
    after = trainer().validate(module, loader, verbose=False)[0]
    assert after["val/loss"] < 0.7 * before["val/loss"]
    assert after["val/mae"] < before["val/mae"]
    assert after["val/max_f"] > before["val/max_f"]


def test_the_rate_falls_on_a_plateau_of_the_validation_loss():
    module = training(learning_rate=1e-12)  # too small to change anything
    loader = batches(eight_bit_images(2), masks(2), 2)
    fitting = trainer(max_epochs=7)
    fitting.fit(module, loader, loader)
    assert fitting.optimizers[0].param_groups[0]["lr"] == pytest.approx(1e-13)


def test_training_goes_on_from_a_checkpoint(tmp_path):
    first = training()
    torch.save({"state_dict": first.state_dict()}, tmp_path / "first.ckpt")
    second = SmallNetwork()
    nn.init.zeros_(second.layer.weight)
    SaliencyTraining(second, checkpoint=str(tmp_path / "first.ckpt"))
    assert torch.equal(second.layer.weight, first.network.layer.weight)


def test_batch_norm_momentum_is_set_before_a_training_alone():
    module = training()
    module.network.norm = nn.BatchNorm2d(3, momentum=0.01)
    BatchNormMomentum(0.2).setup(trainer(), module, "test")
    assert module.network.norm.momentum == 0.01
    BatchNormMomentum(0.2).setup(trainer(), module, "fit")
    assert module.network.norm.momentum == 0.2


def test_a_checkpoint_holds_the_weights_of_the_network_and_nothing_else():
    module = training()
    expected = {f"network.{name}" for name in module.network.state_dict()}
    assert set(module.state_dict()) == expected
