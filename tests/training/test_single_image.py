"""Batches of one image: refused before training where BatchNorm would see one value."""

import pytest
from torch import nn

from project.core.errors import InputError
from project.training import ClassifierTraining, SegmenterTraining
from project.victims import ClassificationVictim, TimmVictim, TorchvisionSegmenter
from tests.training.resumed import data, trainer

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.. is deprecated.*"),
]


def pooled() -> ClassificationVictim:
    """A classifier that normalises what it has pooled."""
    layers = nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(4), nn.Flatten()
    return ClassificationVictim(nn.Sequential(*layers, nn.Linear(4, 6)), 6)


VICTIMS = {
    "classifier": pooled,
    "deeplab": lambda: TorchvisionSegmenter("deeplabv3_mobilenet_v3_large", num_classes=7),
}
SIZES = {
    "batches of one": {"batch_size": 1},
    "one sample": {"num_train": 1},
}


def fit(name: str, **sizes) -> None:
    task = "classification" if name == "classifier" else "segmentation"
    kind = ClassifierTraining if name == "classifier" else SegmenterTraining
    loop = trainer(max_epochs=1, accumulate_grad_batches=2)
    loop.callbacks = []  # without attacks, which would come before the step
    loop.fit(kind(VICTIMS[name]()), data(task=task, size=32, **sizes))


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("name", VICTIMS)
def test_a_batch_of_one_image_is_refused_in_one_line_that_names_the_batch_size(name, sizes):
    with pytest.raises(InputError, match=r"at least 2 images at a time.*Set --data\.batch_size 2"):
        fit(name, **SIZES[sizes])


def test_where_each_channel_has_many_values_one_image_is_enough():
    module = ClassifierTraining(TimmVictim("resnet10t", num_classes=6))
    before = {name: value.clone() for name, value in module.state_dict().items()}
    content = data(size=64, num_train=3, batch_size=1)
    loop = trainer(max_epochs=1, limit_train_batches=0)
    loop.callbacks = []
    loop.fit(module, content)
    after = module.state_dict()
    assert all(value.equal(after[name]) for name, value in before.items())
