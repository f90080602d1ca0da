from collections import Counter
from itertools import product

import numpy as np
import pytest

from project.study.assignment import deal
from project.study.designs import DESIGNS
from project.study.settings import Settings
from project.study.stimulus_kind import REFERENCE, Panel


def dealt(raters, images, design="paper", attacks=3, **given):
    """The pages of the first raters, and how often each image was dealt as each target."""
    settings = Settings(design=design, attacks=tuple("abcdefgh"[:attacks]), **given)
    past, hands = Counter(), []
    for number in range(raters):
        hands.append(deal(number, past, range(images), DESIGNS[design], settings))
        past.update(
            (page.image, panel)
            for page in hands[-1]
            for panel in page.panels
            if panel.kind in ("attack", "clean")
        )
    return hands, past


def cells(images, design, attacks):
    return list(product(range(images), DESIGNS[design].targets("abcdefgh"[:attacks])))


@pytest.mark.parametrize("design", ["paper", "2afc"])
@pytest.mark.parametrize("attacks", [1, 3, 5])
@pytest.mark.parametrize("raters", [1, 7, 20])
def test_targets_of_an_image_are_dealt_equally_often_give_or_take_one(design, attacks, raters):
    _, past = dealt(raters, 5, design, attacks)
    for image in range(5):
        times = [past[cell] for cell in cells(5, design, attacks) if cell[0] == image]
        assert max(times) - min(times) <= 1


@pytest.mark.parametrize("pages", [2, 3, 7])
def test_with_fewer_pages_than_images_no_picture_is_dealt_two_times_more_than_another(pages):
    for raters in (1, 5, 12, 40):
        _, past = dealt(raters, 7, pages=pages, candidates=2)
        times = [past[cell] for cell in cells(7, "paper", 3)]
        assert max(times) - min(times) <= 2
        images = [
            sum(past[cell] for cell in cells(7, "paper", 3) if cell[0] == k) for k in range(7)
        ]
        assert max(images) - min(images) <= 2  # one page


def test_a_whole_round_of_raters_judges_every_picture_equally_often():
    _, past = dealt(4, 6, candidates=3)
    assert {past[cell] for cell in cells(6, "paper", 3)} == {3}
    _, past = dealt(6, 6, "2afc")
    assert {past[cell] for cell in cells(6, "2afc", 3)} == {2}


@pytest.mark.parametrize("design", ["paper", "2afc"])
def test_a_rater_sees_an_image_on_one_page_only_while_there_are_others_for_checks(design):
    hands, _ = dealt(9, 12, design, pages=8, checks=4)
    for hand in hands:
        assert len(hand) == 12
        assert sorted(page.image for page in hand) == list(range(12))


def test_checks_reuse_images_only_where_all_are_taken():
    (hand,), _ = dealt(1, 3, checks=5)
    assert Counter(page.image for page in hand).total() == 8
    checks = [page for page in hand if any(panel.is_check for panel in page.panels)]
    assert len(checks) == 5
    assert all(panel.is_check for page in checks for panel in page.panels[1:])


@pytest.mark.parametrize("candidates", [1, 2, 3, 4])
def test_half_of_the_checks_are_changed_and_half_identical(candidates):
    hands, _ = dealt(3, 8, candidates=candidates, checks=4)
    for hand in hands:
        kinds = Counter(panel.kind for page in hand for panel in page.panels)
        assert kinds["obvious"] == kinds["identical"] == 2 * candidates


def test_a_page_has_the_clean_image_at_the_left_and_different_targets_in_any_order():
    hands, _ = dealt(30, 4, candidates=3)
    pages = [page for hand in hands for page in hand if not page.panels[1].is_check]
    assert all(page.panels[0] == REFERENCE for page in pages)
    assert all(len(set(page.panels)) == 4 for page in pages)
    clean = Counter(
        page.panels.index(Panel("clean")) for page in pages if Panel("clean") in page[1]
    )
    assert set(clean) == {1, 2, 3}


@pytest.mark.parametrize("images", [6, 7])
def test_the_modified_image_is_at_the_left_on_half_of_a_raters_pages(images):
    hands, _ = dealt(12, images, "2afc", checks=2)
    lefts = [sum(page.panels[1] == REFERENCE for page in hand) for hand in hands]
    assert set(lefts) <= {len(hands[0]) // 2, (len(hands[0]) + 1) // 2}
    first = [hand[0].panels[0] == REFERENCE for hand in hands]
    assert len(set(first)) == 2


def test_a_rater_gets_about_as_much_of_each_attack():
    hands, _ = dealt(1, 12, "2afc")
    times = Counter(panel for page in hands[0] for panel in page.panels if panel.kind == "attack")
    assert set(times.values()) == {4}


def test_the_seed_and_the_raters_number_decide_everything():
    assert dealt(3, 9) == dealt(3, 9)
    assert dealt(3, 9)[0] != dealt(3, 9, seed=1)[0]
    first, second = dealt(2, 9)[0]
    assert [page.image for page in first] != [page.image for page in second]


def test_checks_are_anywhere_in_a_session():
    hands, _ = dealt(60, 6, checks=2)
    places = [place for hand in hands for place, page in enumerate(hand) if page.panels[1].is_check]
    assert np.ptp(places) == 7
