import numpy as np
import pytest

from project.report.pictures import (
    difference,
    flow_colours,
    flow_legend,
    overlay,
    palette,
    spotlight,
    strip,
)


def image(value=100, shape=(6, 9)):
    return np.full((*shape, 3), value, dtype=np.uint8)


@pytest.mark.parametrize(("change", "factor"), [(1, 64), (-8, 8), (16, 4), (90, 1), (-128, 1)])
def test_a_difference_is_the_signed_change_times_the_stated_factor(change, factor):
    adversarial = image(128)
    adversarial[2, 3, 1] = 128 + change
    picture, k = difference(image(128), adversarial)
    expected = image(128).astype(int)
    expected[2, 3, 1] = 128 + k * change
    assert k == factor
    assert np.array_equal(np.asarray(picture), expected)


def test_a_few_strong_changes_do_not_hide_the_weak_ones():
    adversarial = image(128, (20, 20)) + np.uint8(2)
    adversarial[0, :10] = 250
    picture, factor = difference(image(128, (20, 20)), adversarial)
    assert factor == 32
    assert np.asarray(picture)[1, 1, 0] == 128 + 2 * 32
    assert np.asarray(picture)[0, 0, 0] == 255


def test_a_difference_from_white_to_black_does_not_wrap_around():
    picture, factor = difference(image(255), image(0))
    assert factor == 1
    assert np.asarray(picture).max() == 0


def test_identical_images_differ_nowhere():
    assert np.array_equal(np.asarray(difference(image(7), image(7))[0]), image(128))


def test_flow_colours_are_directions_and_white_stays():
    flow = np.zeros((2, 1, 5))
    flow[:, 0, 1] = 2, 0  # right
    flow[:, 0, 2] = -2, 0  # left
    flow[:, 0, 3] = 1, 0  # half as far right
    flow[:, 0, 4] = 0, 2  # down
    picture, largest = flow_colours(flow)
    colours = np.asarray(picture)[0].tolist()
    assert largest == 2
    assert colours[:4] == [[255, 255, 255], [255, 0, 0], [0, 255, 255], [255, 128, 128]]
    assert colours[4] == [128, 255, 0]


def test_the_legend_shows_each_direction_in_the_colour_of_the_flow():
    legend = np.asarray(flow_legend(101))
    for dx, dy in [(1, 0), (0, 1), (-1, 0), (0, -1), (0.6, -0.8)]:
        flow = np.array([dx, dy], dtype=float).reshape(2, 1, 1)
        colour = np.asarray(flow_colours(flow)[0])[0, 0].astype(int)
        shown = legend[round(50 + 48 * dy), round(50 + 48 * dx)].astype(int)
        assert np.abs(shown[:3] - colour).max() <= 14  # 48 of 50.5 of the way to the rim
    assert legend[0, 0, 3] == 0
    assert legend[50, 50, :3].min() >= 250


def test_no_flow_is_white_and_zero():
    picture, largest = flow_colours(np.zeros((2, 3, 4), dtype=np.float16))
    assert largest == 0
    assert np.asarray(picture).min() == 255


def test_a_spotlight_keeps_what_may_change_and_pales_the_rest():
    colourful = image(0)
    colourful[..., 0] = 200
    mask = np.zeros((6, 9), dtype=np.uint8)
    mask[:, :4] = 255
    picture = np.asarray(spotlight(colourful, mask))
    assert np.array_equal(picture[:, :4], colourful[:, :4])
    assert picture[:, 4:].min() > 180
    assert np.ptp(picture[0, 8]) == 0


def test_an_overlay_leaves_void_grey_and_gives_each_class_one_colour():
    labels = np.array([[0, 1, 20, 255, 1]], dtype=np.uint8)
    picture = np.asarray(overlay(image(100, (1, 5)), labels))[0]
    assert picture[3].tolist() == [100, 100, 100]
    assert np.array_equal(picture[1], picture[4])
    assert np.abs(picture[0].astype(int) - picture[1]).max() > 30
    assert np.ptp(picture[2]) > 30


def test_the_colours_of_the_first_classes_are_told_apart():
    colours = palette()[:21].astype(int)
    distance = np.abs(colours[:, None] - colours[None]).max(-1) + 999 * np.eye(21)
    assert distance.min() >= 24


def test_a_strip_is_as_high_as_asked_and_as_wide_as_its_pictures():
    first, second = difference(image(), image())[0], flow_colours(np.zeros((2, 6, 3)))[0]
    picture = strip([("difference", first), ("flow", second)], height=60)
    assert picture.size == (90 + 8 + 30, 60 + 18)
    assert np.asarray(picture)[40, 45].tolist() == [128, 128, 128]
