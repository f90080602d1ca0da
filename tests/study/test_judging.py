import pytest

from project.study.database import Database
from project.study.judging import GRACE, Judging
from project.study.raters import consent, find, invite
from project.study.stimulus_kind import CLEAN, OBVIOUS, Panel
from tests.study.studies import Clock, agreed, coloured, form_for, make_study, panels, rows


@pytest.fixture(params=["paper", "2afc"])
def database(tmp_path, request):
    return make_study(tmp_path, design=request.param, seconds=100)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def judging(database, clock):
    return Judging(database, clock)


@pytest.fixture
def rater(database):
    return agreed(database)[0][0]


def judged(database, key):
    query = "SELECT judged_modified FROM panels WHERE page = ? AND kind != 'reference'"
    return [value for (value,) in rows(database, query, key)]


def all_modified(database, key):
    return form_for(database, key, lambda panel: panel.modified)


def all_same(database, key):
    return form_for(database, key, lambda panel: False)


def test_a_rater_stays_at_a_page_until_it_is_answered(judging, rater, database):
    page = judging.current(rater)
    assert judging.current(rater).key == page.key
    judging.answer(rater, page.key, all_modified(database, page.key))
    after = judging.current(rater)
    assert (after.place, after.total) == (1, 10)
    assert after.key != page.key


def test_an_answer_is_kept_as_it_was_given(judging, rater, database):
    page = judging.current(rater)
    judging.answer(rater, page.key, all_modified(database, page.key))
    targets = [panel for panel in panels(database, page.key) if panel.kind != "reference"]
    assert judged(database, page.key) == [panel.modified for panel in targets]


def test_the_first_answer_stands(judging, rater, database):
    page = judging.current(rater)
    judging.answer(rater, page.key, all_same(database, page.key))
    first = judged(database, page.key)
    judging.answer(rater, page.key, all_modified(database, page.key))
    judging.current(rater)
    judging.answer(rater, page.key, all_modified(database, page.key))
    assert judged(database, page.key) == first
    assert judging.current(rater).place == 1


def test_a_page_that_was_not_shown_cannot_be_answered(judging, rater, database):
    judging.current(rater)
    (key,) = rows(database, "SELECT key FROM pages WHERE rater = ? AND place = 1", rater)[0]
    judging.answer(rater, key, all_same(database, key))
    assert judging.current(rater).place == 0
    page = judging.current(rater)
    judging.answer(rater, page.key, all_same(database, page.key))
    judging.answer(rater, key, all_same(database, key))  # next in turn, and still unseen
    assert set(judged(database, key)) == {None}


def test_nobody_answers_for_another(judging, rater, database):
    page = judging.current(rater)
    other = agreed(database)[0][0]
    judging.current(other)
    judging.answer(other, page.key, all_same(database, page.key))
    assert set(judged(database, page.key)) == {None}


def test_an_answer_that_leaves_something_out_changes_nothing(judging, rater, database):
    page = judging.current(rater)
    judging.answer(rater, page.key, {})
    assert judging.current(rater).key == page.key
    if database.settings.design == "paper":
        judging.answer(rater, page.key, {"panel-1": "same"})
        assert set(judged(database, page.key)) == {None}


def test_the_clock_starts_when_a_page_is_shown_and_does_not_start_again(judging, rater, clock):
    assert judging.current(rater).seconds_left == 100
    for left in (70, 40):
        clock.now += 30
        assert judging.current(rater).seconds_left == left


def test_the_clock_outlives_the_server(judging, rater, clock, database):
    judging.current(rater)
    clock.now += 30
    assert Judging(Database(database.path), clock).current(rater).seconds_left == 70


@pytest.mark.parametrize("spent", [100, 100 + GRACE])
def test_an_answer_counts_up_to_the_end_and_a_little_for_the_way(
    judging, rater, clock, database, spent
):
    page = judging.current(rater)
    clock.now += spent
    judging.answer(rater, page.key, all_same(database, page.key))
    assert None not in judged(database, page.key)
    assert not judging.current(rater).after_missed


def test_a_late_answer_closes_its_page_without_a_judgement(judging, rater, clock, database):
    page = judging.current(rater)
    clock.now += 101 + GRACE
    judging.answer(rater, page.key, all_same(database, page.key))
    assert set(judged(database, page.key)) == {None}
    after = judging.current(rater)
    assert (after.place, after.after_missed, after.seconds_left) == (1, True, 100)


def test_a_page_that_nobody_answers_is_passed_over_and_the_next_has_all_its_time(
    judging, rater, clock
):
    judging.current(rater)
    clock.now += 5000
    after = judging.current(rater)
    assert (after.place, after.after_missed, after.seconds_left) == (1, True, 100)


def test_what_is_there_when_time_is_up_counts(judging, rater, clock, database):
    page = judging.current(rater)
    clock.now += 100.5
    form = {"panel-1": "different"} if database.settings.design == "paper" else {}
    judging.answer(rater, page.key, form)
    assert judged(database, page.key).count(1) == len(form)
    assert judging.current(rater).place == 1


def test_a_rater_is_finished_after_the_last_page(judging, database):
    [(rater, token)] = agreed(database)
    while page := judging.current(rater):
        assert not find(database, token).finished
        judging.answer(rater, page.key, all_same(database, page.key))
    assert find(database, token).finished
    assert judging.current(rater) is None


def test_pictures_are_those_of_the_page_and_the_left_one_is_clean(judging, rater, database):
    page = judging.current(rater)
    (image,) = rows(database, "SELECT image FROM pages WHERE key = ?", page.key)[0]
    places = {CLEAN: 0, OBVIOUS: 1} | {
        Panel("attack", name): 2 + k for k, name in enumerate(database.settings.attacks)
    }
    for panel, picture in zip(panels(database, page.key), page.pictures, strict=True):
        expected = coloured(image, places[panel.stimulus])
        assert judging.picture(rater, picture) == expected


def test_no_picture_is_sent_to_others_or_before_its_page(judging, rater, database):
    page = judging.current(rater)
    other = agreed(database)[0][0]
    assert judging.picture(other, page.pictures[0]) is None
    ((later,),) = rows(
        database,
        "SELECT panels.id FROM panels JOIN pages ON pages.key = page "
        "WHERE rater = ? AND place = 1 AND slot = 0",
        rater,
    )
    assert judging.picture(rater, later) is None
    assert judging.picture(rater, "../../etc/passwd") is None


def test_addresses_do_not_tell_which_pictures_are_equal(judging, rater, database):
    shown = set()
    while page := judging.current(rater):
        assert not shown & set(page.pictures)
        shown |= set(page.pictures)
        judging.answer(rater, page.key, all_same(database, page.key))


def test_consent_is_given_once(database):
    (token,) = invite(database, 1)
    rater = find(database, token)
    assert (rater.agreed, rater.total, rater.finished) == (False, 0, False)
    consent(database, rater.id)
    before = rows(database, "SELECT key FROM pages")
    consent(database, rater.id)
    assert rows(database, "SELECT key FROM pages") == before


def test_unused_links_leave_no_gaps(database):
    tokens = invite(database, 6)
    for token in tokens[::2]:
        consent(database, find(database, token).id)
    numbers = rows(database, "SELECT number FROM raters WHERE number IS NOT NULL ORDER BY number")
    assert numbers == [(0,), (1,), (2,)]
    times = [
        times
        for (times,) in rows(
            database,
            "SELECT count(*) FROM panels JOIN pages ON pages.key = page "
            "WHERE kind IN ('attack', 'clean') GROUP BY image, kind, attack",
        )
    ]
    assert max(times) - min(times) <= 1


def test_the_study_cannot_tell_a_link_from_what_it_keeps(database):
    (token,) = invite(database, 1)
    assert token.encode() not in database.path.read_bytes()
    assert find(database, token) is not None
    (stored,) = rows(database, "SELECT token FROM raters")[0]
    assert find(database, stored) is None
