"""Training: losses over valid pixels, metrics over the whole set, schedules in closed form."""

import math
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from lightning.pytorch import Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader

from project.training import ClassifierTraining, SegmenterTraining
from project.training.optimisation import make_optimizer, make_schedule
from project.victims import ClassificationVictim, SegmentationVictim
from tests.models import CurvedClassifier, CurvedSegmenter, eight_bit_images

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.. is deprecated.*"),
]


def segmenter(**arguments: float) -> SegmenterTraining:
    return SegmenterTraining(SegmentationVictim(CurvedSegmenter(), 4), **arguments)


def masks(count: int) -> Tensor:
    target = torch.randint(0, 4, (count, 12, 16), generator=torch.Generator().manual_seed(1))
    target[:, :, :5] = 255
    return target


def measured(module: SegmenterTraining | ClassifierTraining, data: list[dict[str, Tensor]]) -> dict:
    loader = DataLoader(data, batch_size=None)
    trainer = Trainer(
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
    )
    return trainer.test(module, loader, verbose=False)[0]


def batches(images: Tensor, target: Tensor, size: int) -> list[dict[str, Tensor]]:
    pairs = zip(images.split(size), target.split(size), strict=True)
    return [{"image": image, "target": label} for image, label in pairs]


@pytest.mark.parametrize("dice_weight", [0.0, 0.5])
def test_void_pixels_never_change_the_loss(dice_weight: float):
    module, target = segmenter(dice_weight=dice_weight), masks(2)
    logits = torch.randn(2, 4, 12, 16)
    changed = logits.clone()
    changed[..., :5] += torch.randn(2, 4, 12, 5)
    torch.testing.assert_close(module.criterion(logits, target), module.criterion(changed, target))


def test_the_segmentation_loss_is_the_mean_over_valid_pixels():
    target, logits = masks(2), torch.randn(2, 4, 12, 16)
    expected = F.cross_entropy(logits, target, ignore_index=255)
    torch.testing.assert_close(segmenter().criterion(logits, target), expected)


def test_a_batch_of_void_alone_has_loss_zero():
    target = torch.full((2, 12, 16), 255)
    assert segmenter(dice_weight=1.0).criterion(torch.randn(2, 4, 12, 16), target) == 0


def test_miou_is_that_of_the_whole_set_and_not_a_mean_over_batches():
    module, images, target = segmenter(), eight_bit_images(5), masks(5)
    target[0] = target[0].clamp(max=1)  # batches that differ, so that their mean does
    result = measured(module, batches(images, target, 2))
    with torch.no_grad():
        prediction = module.victim.eval()(images).argmax(1)
    valid = target != 255
    ious = []
    for k in range(4):
        both = ((prediction == k) & (target == k) & valid).sum()
        either = (((prediction == k) | (target == k)) & valid).sum()
        if either:
            ious.append(float(both / either))
    assert result["test/miou"] == pytest.approx(sum(ious) / len(ious), abs=1e-6)


def test_accuracy_counts_every_image_of_unequal_batches_once():
    module = ClassifierTraining(ClassificationVictim(CurvedClassifier(), 4))
    images = eight_bit_images(7)
    with torch.no_grad():
        prediction = module.victim.eval()(images).argmax(1)
    target = prediction.clone()
    target[4:] = (target[4:] + 1) % 4
    assert measured(module, batches(images, target, 4))["test/accuracy"] == pytest.approx(4 / 7)


def test_a_victim_of_the_other_task_is_refused():
    with pytest.raises(ValueError, match="trains victims for segmentation, got one for class"):
        SegmenterTraining(ClassificationVictim(CurvedClassifier(), 4))


def test_only_matrices_decay():
    network = nn.Sequential(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2))
    groups = make_optimizer(network.parameters(), "adamw", 0.1, 0.3).param_groups
    decay = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    assert [decay[id(p)] for p in network.parameters()] == [0.3, 0, 0, 0]


def course(name: str, steps: int = 100) -> list[float]:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=2.0)
    schedule = make_schedule(optimizer, name, steps)
    rates = []
    for _ in range(steps + 1):
        rates.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    return rates


def test_one_cycle_rises_for_a_fifth_then_falls_to_zero():
    rates = course("one_cycle")
    assert rates[0] == pytest.approx(2 * 0.04)
    assert max(rates) == rates[20] == 2
    assert all(a < b for a, b in pairwise(rates[:21]))
    assert all(a > b for a, b in pairwise(rates[20:]))
    assert rates[-1] == 0


def test_cosine_falls_along_a_cosine_and_constant_stays():
    assert course("cosine")[25] == pytest.approx(1 + math.cos(math.pi / 4))
    assert set(course("constant")) == {2}
