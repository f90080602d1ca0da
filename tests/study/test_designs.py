import pytest

from project.core.errors import InputError
from project.study.designs import DESIGNS
from project.study.settings import LEAST, Settings
from project.study.stimulus_kind import CLEAN, OBVIOUS, REFERENCE, Panel

PAGE = [REFERENCE, Panel("attack", "pgd"), CLEAN]
PAIR = [OBVIOUS, REFERENCE]


def test_same_as_left_reads_one_answer_for_each_picture():
    read = DESIGNS["paper"].verdicts
    assert read(PAGE, {"panel-1": "different", "panel-2": "same"}) == {1: True, 2: False}
    assert read(PAGE, {"panel-2": "same"}) == {2: False}


@pytest.mark.parametrize(
    "form",
    [{}, {"panel-1": "perhaps"}, {"panel-0": "same"}, {"panel-3": "same"}, {"modified": "1"}],
)
def test_same_as_left_takes_nothing_else(form):
    assert DESIGNS["paper"].verdicts(PAGE, form) == {}


def test_a_forced_choice_judges_the_modified_image_by_the_side_chosen():
    read = DESIGNS["2afc"].verdicts
    assert read(PAIR, {"modified": "0"}) == {0: True}
    assert read(PAIR, {"modified": "1"}) == {0: False}
    assert read(PAIR[::-1], {"modified": "1"}) == {1: True}


@pytest.mark.parametrize("form", [{}, {"modified": "2"}, {"modified": ""}, {"panel-1": "same"}])
def test_a_forced_choice_takes_nothing_else(form):
    assert DESIGNS["2afc"].verdicts(PAIR, form) == {}


@pytest.mark.parametrize(("attacks", "shown"), [(1, 1), (2, 2), (4, 4), (9, 4)])
def test_a_page_shows_as_many_as_there_are_attacks_so_the_clean_one_may_be_missing(attacks, shown):
    settings = Settings(attacks=tuple(map(str, range(attacks))))
    assert DESIGNS["paper"].candidates(settings) == shown
    assert len(DESIGNS["paper"].targets(settings.attacks)) > shown


@pytest.mark.parametrize(
    ("design", "attacks", "candidates"), [("paper", 1, 3), ("paper", 9, 5), ("2afc", 3, 2)]
)
def test_more_pictures_than_a_page_can_show_are_refused(design, attacks, candidates):
    settings = Settings(design, tuple("abcdefghi"[:attacks]), candidates=candidates)
    with pytest.raises(InputError, match="candidate"):
        DESIGNS[design].candidates(settings)


@pytest.mark.parametrize("name", LEAST)
def test_a_number_that_is_too_small_is_refused(name):
    with pytest.raises(InputError, match=f"{name} must be at least"):
        Settings(**{name: LEAST[name] - 1})


def test_settings_are_the_same_after_writing_and_reading():
    settings = Settings("2afc", ("a", "b"), "source", seed=3, consent="I agree.\n\nI do.")
    assert Settings.from_json(settings.to_json()) == settings
