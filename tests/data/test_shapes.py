import numpy as np
import pytest
import torch

from project.cli.defaults import CONFIGS
from project.core.errors import InputError
from project.core.yaml_files import parse_yaml
from project.data import Native, ShapesData
from project.data.shapes import SHAPE_NAMES, draw
from project.data.shapes_data import ShapeSet


def shapes(task="segmentation", split="test", seed=0, size=64, count=60):
    return ShapeSet(task, split, count=count, size=size, seed=seed, frame=Native())


def same(first, second):
    return all(torch.equal(first[key], second[key]) for key in ("image", "target"))


@pytest.mark.parametrize("task", ["classification", "segmentation"])
def test_a_sample_is_a_function_of_seed_split_and_index(task):
    forwards, backwards = shapes(task), shapes(task)
    ahead = [forwards[index] for index in range(10)]
    back = [backwards[index] for index in reversed(range(10))][::-1]
    assert all(same(first, second) for first, second in zip(ahead, back, strict=True))


def test_a_sample_does_not_depend_on_how_many_there_are():
    assert same(shapes(count=5)[4], shapes(count=500)[4])


@pytest.mark.parametrize("change", [{"seed": 1}, {"split": "train"}])
def test_seed_and_split_change_the_images(change):
    assert not same(shapes()[3], shapes(**change)[3])


def test_global_random_state_is_neither_read_nor_moved():
    np.random.seed(0)
    torch.manual_seed(0)
    before = np.random.get_state()[1].copy(), torch.get_rng_state()
    first = shapes()[0]
    assert np.array_equal(np.random.get_state()[1], before[0])
    assert torch.equal(torch.get_rng_state(), before[1])
    np.random.seed(1)
    torch.manual_seed(1)
    assert same(first, shapes()[0])


def test_all_classes_occur_and_the_mask_agrees_with_the_label():
    samples = shapes("classification", count=200)
    labels = []
    for index in range(200):
        drawing = samples.draw(index)
        assert set(np.unique(drawing.mask)) == {0, drawing.last + 1, 255}
        labels.append(drawing.last)
    assert set(labels) == set(range(len(SHAPE_NAMES)))


def test_segmentation_masks_hold_only_classes_and_void():
    ids = {int(number) for sample in shapes() for number in sample["target"].unique()}
    assert ids == {0, 1, 2, 3, 4, 5, 6, 255}


def test_the_void_rim_is_one_pixel_wide_and_parts_object_from_background():
    samples = shapes("classification")
    for index in range(60):
        mask = samples.draw(index).mask
        inside = (mask > 0) & (mask < 255)
        for left, right in ((mask[:, 1:], mask[:, :-1]), (mask[1:], mask[:-1])):
            touching = ((left == 0) & (right > 0) & (right < 255)) | (
                (right == 0) & (left > 0) & (left < 255)
            )
            assert not touching.any()
        # Erosion by one pixel leaves nothing of a rim that is one pixel wide.
        rim = mask == 255
        core = rim[2:, 1:-1] & rim[:-2, 1:-1] & rim[1:-1, 2:] & rim[1:-1, :-2] & rim[1:-1, 1:-1]
        assert core.mean() < 0.002
        assert inside.any()


@pytest.mark.parametrize("size", [32, 64, 96])
def test_the_object_covers_its_known_area(size):
    # Areas in units of the squared radius: disc π·0.92², square 1.6²; the radius is at most 0.4.
    samples = shapes("classification", size=size, count=40)
    for index in range(40):
        drawing = samples.draw(index)
        cover = (drawing.mask > 0).mean()
        assert 0.02 < cover < np.pi * 0.42**2
        assert drawing.image.shape == (size, size, 3)


def test_the_salient_mask_is_the_object_with_its_rim():
    for task in ("classification", "segmentation"):
        samples = shapes(task)
        expected = torch.from_numpy(samples.draw(7).mask > 0).float()[None]
        assert torch.equal(samples.salient_mask(7), expected)


def test_objects_stand_out_from_the_background():
    samples = shapes("classification")
    gaps = []
    for index in range(60):
        drawing = samples.draw(index)
        inside, outside = (drawing.mask > 0) & (drawing.mask < 255), drawing.mask == 0
        gap = drawing.image[inside].mean(0) - drawing.image[outside].mean(0)
        gaps.append(np.abs(gap).max())
    assert np.quantile(gaps, 0.1) > 20


def test_classes_and_task_follow_the_argument():
    for task, count in (("classification", 6), ("segmentation", 7)):
        data = ShapesData(task=task)
        data.setup()
        assert (data.task, data.num_classes, data.samples.task) == (task, count, task)
        assert len(data.class_names) == count


@pytest.mark.parametrize(("task", "classes"), [("classification", 2), ("segmentation", 3)])
def test_chosen_shapes_are_the_classes_in_their_order(task, classes):
    data = ShapesData(task, shapes=["ring", "disc"], num_test=40)
    data.setup("test")
    assert data.num_classes == classes
    assert data.samples.class_names[-2:] == ("ring", "disc")
    middles = {0: [], 1: []}
    for index in range(40):
        drawing = ShapesData("classification", shapes=["ring", "disc"], num_test=40).samples.draw(
            index
        )
        inside = np.argwhere((drawing.mask > 0) & (drawing.mask < 255))
        y, x = inside.mean(0).round().astype(int)
        middles[drawing.last].append(drawing.mask[y, x])
    assert set(middles[0]) == {0}  # a ring has a hole
    assert set(middles[1]) == {2}


def test_as_many_objects_as_asked_for_stand_in_an_image():
    crowded, single = (
        ShapeSet("segmentation", "test", count=30, size=64, seed=0, frame=Native(), max_objects=n)
        for n in (6, 1)
    )

    def kinds(samples):
        return [len(set(np.unique(samples.draw(k).mask)) - {0, 255}) for k in range(30)]

    assert set(kinds(single)) == {1}
    assert max(kinds(crowded)) >= 4


def test_other_shapes_are_other_samples():
    first, *others = (
        ShapesData("segmentation", **chosen).samples.fingerprint()
        for chosen in ({}, {"shapes": ["disc", "ring"]}, {"max_objects": 4})
    )
    assert first not in others


@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        ({"shapes": ["disk"]}, "Do you mean disc"),
        ({"shapes": []}, r"at least one, got \[\]"),
        ({"shapes": ["disc", "disc"]}, "different ones"),
        ({"max_objects": 0}, "at least 1, got 0"),
    ],
)
def test_what_is_no_choice_of_shapes_is_refused(chosen, told):
    with pytest.raises(InputError, match=told):
        ShapesData("segmentation", **chosen)


def test_the_embedded_segmenters_are_trained_on_what_they_are_attacked_on():
    drawn = {
        name: parse_yaml((CONFIGS / name).read_text(), name)["data"]["init_args"]
        for name in (
            *("data/shapes_segmentation.yaml", "train/shapes_unet.yaml", "train/shapes_fpn.yaml"),
        )
    }
    chosen = [
        {key: value for key, value in settings.items() if key in ("task", "shapes", "size")}
        for settings in drawn.values()
    ]
    assert chosen[0] == chosen[1] == chosen[2]


def test_a_sample_is_drawn_once_and_nobody_can_change_it(monkeypatch):
    drawn = []
    monkeypatch.setattr(
        "project.data.shapes_data.draw", lambda *told: drawn.append(1) or draw(*told)
    )
    three = shapes("segmentation", "train", count=3)
    first, again = three.draw(1), three.draw(1)
    assert len(drawn) == 1
    assert (first.image == again.image).all()
    with pytest.raises(ValueError, match="read-only"):
        again.image[0, 0] = 0


def test_drawings_are_kept_within_a_budget_of_memory(monkeypatch):
    monkeypatch.setattr("project.data.shapes_data._KEPT_BYTES", 2 * 4 * 64 * 64)
    three = shapes("segmentation", "train", count=3)
    kept = [three.draw(index) for index in range(3)]
    assert [three.draw(index) is kept[index] for index in range(3)] == [True, True, False]
    assert (three.draw(2).image == kept[2].image).all()
