"""Answers on a full disk: the rater is told, nothing is lost, and the server lives on."""

import functools
import sqlite3

import pytest

pytest.importorskip("starlette", reason="the study's server is not installed")

from starlette.testclient import TestClient

from project.study.answers import answers
from project.study.judging import Judging
from project.study.raters import invite
from project.study.web import application
from tests.study.studies import Clock, fields, form_for, key_of, make_study


class Disk:
    """A disk that a test fills."""

    full = False


@pytest.fixture
def disk(monkeypatch):
    made = Disk()

    class Connection(sqlite3.Connection):
        def execute(self, command, *values):
            if made.full and command == "COMMIT":
                raise sqlite3.OperationalError("database or disk is full")
            return super().execute(command, *values)

    connect = functools.partial(sqlite3.connect, factory=Connection)
    monkeypatch.setattr("project.study.database.sqlite3.connect", connect)
    return made


@pytest.fixture(params=["paper", "2afc"])
def database(tmp_path, request):
    return make_study(tmp_path, design=request.param, seconds=100)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def client(disk, database, clock):
    app = application(Judging(database, clock), ["testserver"])
    with TestClient(app, follow_redirects=True) as found:
        (token,) = invite(database, 1)
        start = found.get(f"/join/{token}")
        found.key = key_of(start.text)
        yield found


@pytest.fixture
def rater(client):
    client.post("/consent", data={"key": client.key})
    return client


def sent(client, database):
    """Answer the page that is shown, and return the form and what comes then."""
    key = key_of(client.get("/page").text)
    form = {"key": key} | form_for(database, key, lambda panel: panel.modified)
    return form, form | {"pause": ""}


def test_an_answer_stays_in_the_page_and_is_taken_when_there_is_room(
    rater, database, disk, clock, capsys
):
    _, posted = sent(rater, database)
    disk.full = True
    clock.now += 6.0
    told = rater.post("/page", data=posted)
    assert told.status_code == 503
    assert "Your answer is not lost." in told.text
    held = {one["name"]: one["value"] for one in fields(told.text)}
    assert held == posted
    clock.now += 500.0  # long after its time, for which the rater cannot be blamed
    assert rater.post("/page", data=held).status_code == 503
    assert answers(database) == []
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert "make room on the disk" in said[0]
    disk.full = False
    assert rater.post("/page", data=held).url.path == "/"
    found = answers(database)
    assert [one.modified for one in found] == [one.target.modified for one in found]
    assert {one.seconds for one in found} == {6.0}


def test_an_answer_that_waits_is_kept_too_where_the_page_is_loaded_anew(
    rater, database, disk, clock
):
    _, posted = sent(rater, database)
    disk.full = True
    clock.now += 6.0
    rater.post("/page", data=posted)
    waiting = rater.get("/page")
    assert waiting.status_code == 503
    assert "The study has to wait." in waiting.text
    disk.full = False
    clock.now += 500.0
    assert "Page 2 of" in rater.get("/page").text
    assert {one.seconds for one in answers(database)} == {6.0}
    assert all(one.modified == one.target.modified for one in answers(database))


def test_the_first_answer_stands_where_a_second_comes_meanwhile(rater, database, disk):
    form, posted = sent(rater, database)
    disk.full = True
    rater.post("/page", data=posted)
    disk.full = False
    key = form["key"]
    rater.post("/page", data={"key": key} | form_for(database, key, lambda panel: False))
    assert all(one.modified == one.target.modified for one in answers(database))


def test_a_consent_is_asked_again(client, disk):
    disk.full = True
    told = client.post("/consent", data={"key": client.key})
    assert told.status_code == 503
    disk.full = False
    held = {one["name"]: one["value"] for one in fields(told.text)}
    assert client.post("/consent", data=held).url.path == "/instructions"


def test_what_is_sent_comes_back_as_text(rater, database, disk):
    disk.full = True
    evil = '"><script>alert(1)</script>'
    told = rater.post("/page", data={"key": key_of_page(database), evil: evil})
    assert told.status_code == 503
    assert "<script>alert" not in told.text


def key_of_page(database):
    with database.reading() as connection:
        return connection.execute("SELECT key FROM pages ORDER BY place").fetchone()[0]


def test_a_study_that_was_moved_away_is_told_of_and_not_made_anew(rater, database):
    moved = database.path.rename(database.path.with_name("moved.sqlite"))
    assert rater.get("/page").status_code == 503
    assert not database.path.exists()
    moved.rename(database.path)
    assert "Page 1 of" in rater.get("/page").text
