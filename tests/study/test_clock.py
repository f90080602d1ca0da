"""Response times, whatever is done to the machine's clock."""

import os
import time

import pytest

from project.study.answers import answers
from project.study.clock import SteadyClock, latest
from project.study.judging import Judging
from tests.study.studies import Clock, agreed, form_for, make_study, rows


@pytest.fixture
def database(tmp_path):
    return make_study(tmp_path, seconds=100)


@pytest.fixture
def rater(database):
    return agreed(database)[0][0]


def answer(judging, rater, page):
    form = form_for(judging.database, page.key, lambda panel: panel.modified)
    judging.answer(rater, page.key, form)


def test_a_clock_that_goes_back_gives_nobody_more_time_and_no_negative_one(database, rater):
    clock = Clock()
    judging = Judging(database, clock)
    page = judging.current(rater)
    clock.now -= 3600
    assert judging.current(rater).seconds_left == 100
    answer(judging, rater, page)
    assert {one.seconds for one in answers(database)} == {0.0}


def test_times_of_an_older_clock_are_never_exported_as_negative(database, rater):
    judging = Judging(database, Clock())
    answer(judging, rater, judging.current(rater))
    with database.writing() as connection:
        connection.execute("UPDATE pages SET closed_at = shown_at - 3600 WHERE closed_at > 0")
    assert {one.seconds for one in answers(database)} == {0.0}


@pytest.mark.parametrize("jump", [-3600.0, 3600.0, -1e9, 1e9])
def test_setting_the_clock_while_a_study_is_served_changes_no_time(database, rater, jump):
    wall, elapsed = Clock(), Clock()
    judging = Judging(database, SteadyClock(0.0, wall, elapsed))
    page = judging.current(rater)
    wall.now += jump
    elapsed.now += 7.0
    assert judging.current(rater).seconds_left == pytest.approx(93.0)
    answer(judging, rater, page)
    assert [one.seconds for one in answers(database)] == pytest.approx(
        [7.0] * len(page.pictures[1:])
    )
    assert all(one.modified == one.target.modified for one in answers(database))


def test_a_clock_set_back_before_a_restart_does_not_give_the_time_again(database, rater):
    wall, elapsed = Clock(), Clock()
    judging = Judging(database, SteadyClock(latest(database), wall, elapsed))
    answer(judging, rater, judging.current(rater))
    page = judging.current(rater)
    wall.now -= 3600
    again = Judging(database, SteadyClock(latest(database), wall, elapsed))
    assert again.current(rater).key == page.key
    elapsed.now += 40.0
    assert again.current(rater).seconds_left == pytest.approx(60.0)
    elapsed.now += 100.0
    assert again.current(rater).after_missed


def test_the_served_clock_is_the_machines_and_goes_on(database):
    clock = Judging(database).clock
    assert abs(clock() - time.time()) < 1.0
    before = clock()
    time.sleep(0.02)
    assert 0.01 < clock() - before < 1.0


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="no time zones to set")
def test_another_time_zone_changes_no_time(database, rater, monkeypatch):
    judging = Judging(database)
    page = judging.current(rater)
    monkeypatch.setitem(os.environ, "TZ", "Pacific/Kiritimati")
    time.tzset()
    try:
        assert 90.0 < judging.current(rater).seconds_left <= 100.0
        answer(judging, rater, page)
    finally:
        monkeypatch.undo()
        time.tzset()
    assert all(0.0 <= one.seconds < 10.0 for one in answers(database))


def test_two_windows_of_one_rater_give_one_answer_to_a_page(database, rater):
    clock = Clock()
    judging = Judging(database, clock)
    first, second = judging.current(rater), judging.current(rater)
    assert first.key == second.key
    clock.now += 5.0
    answer(judging, rater, first)
    clock.now += 5.0
    judging.answer(rater, second.key, form_for(database, second.key, lambda panel: False))
    assert rows(database, "SELECT count(*) FROM pages WHERE closed_at IS NOT NULL") == [(1,)]
    assert {one.seconds for one in answers(database)} == {5.0}
    assert all(one.modified == one.target.modified for one in answers(database))
