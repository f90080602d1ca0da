"""The largest batch that fits, and what finds it."""

from pathlib import Path

import pytest
import torch

from project.attacks import PGD
from project.core.errors import InputError
from project.core.losses import VOID
from project.data import ShapesData
from project.evaluation import Pass
from project.largest_batch.__main__ import (
    Setup,
    bytes_of,
    fitting,
    largest_fitting,
    main,
    resisting_batch,
)
from project.largest_batch.memory import peak_bytes
from tests.models import CurvedSegmenter, SpatialClassifier

CPU = torch.device("cpu")
CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.mark.parametrize("most", [1, 2, 7, 8, 9, 100])
@pytest.mark.parametrize("limit", [0, 1, 2, 3, 7, 8, 9, 31, 100, 1000])
def test_largest_fitting_number_is_found_with_few_tries(most: int, limit: int):
    asked = []

    def fits(count: int) -> bool:
        asked.append(count)
        return count <= limit

    assert largest_fitting(fits, most) == min(limit, most)
    assert all(1 <= count <= most for count in asked)
    assert len(asked) == len(set(asked)) <= 2 * most.bit_length() + 1


@pytest.mark.parametrize(
    ("text", "expected"), [("8GiB", 2**33), ("1.5 MiB", 3 * 2**19), ("100KiB", 102400)]
)
def test_memory_is_read_in_powers_of_two(text: str, expected: int):
    assert bytes_of(text) == expected


@pytest.mark.parametrize("text", ["8", "8GB", "GiB", "-1GiB"])
def test_memory_without_a_unit_is_refused(text: str):
    with pytest.raises(InputError, match="such as 8GiB, got"):
        bytes_of(text)


@pytest.mark.filterwarnings("ignore::jsonargparse._deprecated.JsonargparseDeprecationWarning")
@pytest.mark.parametrize("most", [0, -3])
def test_search_must_be_among_some_numbers(most: int):
    kinds = ("data/shapes_classification", "victims/shapes_classifiers", "attacks/fgsm")
    configs = [f"--config={CONFIGS / kind}.yaml" for kind in kinds]
    with pytest.raises(InputError, match=f"most must be at least 1 image, got {most}. Give"):
        main([*configs, f"--most={most}"])


def setup_of(task: str) -> Setup:
    data = ShapesData(task=task, limit=3, size=16)
    data.setup("test")
    victim = SpatialClassifier() if task == "classification" else CurvedSegmenter()
    return Setup(data.samples, victim.eval(), CPU)


@pytest.mark.parametrize("task", ["classification", "segmentation"])
def test_everything_in_a_batch_resists_at_first_though_the_data_set_is_smaller(task: str):
    where = setup_of(task)
    images, target, index = resisting_batch(where.samples, where.victim, 5, CPU)
    assert torch.equal(images[3:], images[:2])
    assert len(index) == 5
    void = target == VOID
    assert bool(void.any()) == (task == "segmentation")
    assert torch.equal(where.victim(images).argmax(1)[~void], target[~void])


def test_number_found_fits_and_one_image_more_does_not():
    where, attack = setup_of("segmentation"), PGD(steps=2)

    def peak(count: int) -> int:
        def work() -> None:
            batch = resisting_batch(where.samples, where.victim, count, CPU)
            attack.run(where.victim, *batch)

        return peak_bytes(work, CPU)

    limit = int(1.05 * peak(6))
    found = fitting(Pass("pgd", "it"), attack, where, limit, most=20)
    assert found.count == 6
    assert found.peak == pytest.approx(peak(6), rel=0.05)
    assert fitting(Pass("pgd", "it"), attack, where, limit, most=4).count == 4
    assert fitting(Pass("pgd", "it"), attack, where, 1, most=4).count == 0
