"""A study's file that is damaged, locked, read-only, of another format, or whose disk is full."""

import os
import random
import shutil
import sqlite3
from contextlib import closing

import pytest

from project.core.errors import InputError
from project.study import database as database_module
from project.study.__main__ import main
from project.study.answers import answers, measured
from project.study.database import Database, StudyFileError
from project.study.judging import Judging
from tests.storage.locks import held_by_another
from tests.study.studies import Clock, agreed, form_for, judge_all, make_run, make_study, rows


@pytest.fixture
def study(tmp_path):
    """A run's folder with a study that two raters are in the midst of."""
    database = make_study(make_run(tmp_path / "run"), pages=3, checks=1)
    (one, _), (other, _) = agreed(database, 2)
    judge_all(database, one, lambda panel: panel.modified)
    judging = Judging(database, Clock())
    page = judging.current(other)
    judging.answer(other, page.key, form_for(database, page.key, lambda panel: False))
    judging.current(other)
    return database


def told(capsys, *arguments):
    """What a command that is refused says, which is one line."""
    with pytest.raises(SystemExit) as error:
        main([*arguments])
    message = str(error.value)
    assert "\n" not in message
    return message


def damage(path, kind):
    content = path.read_bytes()
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("this is no database\n" * 200)
    elif kind == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif kind == "zeros":
        path.write_bytes(content[:4096] + bytes(len(content) - 4096))
    else:
        path.unlink()
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE other (a)")
            if kind == "newer":
                connection.execute("PRAGMA user_version = 99")
            connection.commit()


@pytest.mark.parametrize("command", ["serve", "invite", "export", "analyse"])
@pytest.mark.parametrize("kind", ["empty", "text", "cut", "zeros", "foreign", "newer"])
def test_a_file_that_is_no_study_is_told_in_one_line_and_stays(study, capsys, command, kind):
    pytest.importorskip("uvicorn", reason="the study's server is not installed")
    damage(study.path, kind)
    before = study.path.read_bytes()
    options = ["--port", "0"] if command == "serve" else []
    message = told(capsys, command, str(study.path.parent), *options)
    assert str(study.path) in message
    assert "The file is as it was." in message
    assert study.path.read_bytes() == before


def seen(path):
    """All that comes out of a study."""
    database = Database(path)
    pictures = rows(database, "SELECT image, name, kind, attack, png, facts FROM stimuli")
    return database.settings, answers(database), measured(database), sorted(pictures)


def test_no_flipped_bit_changes_a_result_without_a_word(study, tmp_path):
    right, content = seen(study.path), study.path.read_bytes()
    draw, path, refused = random.Random(0), tmp_path / "flipped.sqlite", 0
    for _ in range(500):
        place = draw.randrange(8 * len(content))
        changed = bytearray(content)
        changed[place // 8] ^= 1 << place % 8
        path.write_bytes(changed)
        try:
            found, told = seen(path), ""
        except InputError as error:
            found, told = None, str(error)
        assert found == right or len(told.splitlines()) == 1
        refused += found is None
    assert refused > 50  # of so small a file much is empty


def test_an_answer_that_was_turned_is_noticed(study):
    with closing(sqlite3.connect(study.path)) as connection:
        connection.execute("UPDATE panels SET judged_modified = 1 - judged_modified")
        connection.commit()
    with pytest.raises(StudyFileError, match=r"page 1 of rater \w+ is damaged"):
        Database(study.path)


def test_a_copy_of_the_file_is_a_copy_of_the_study_while_it_is_served(study, tmp_path):
    shutil.copy(study.path, tmp_path / "copy.sqlite")
    assert seen(tmp_path / "copy.sqlite") == seen(study.path)
    assert not [path for path in study.path.parent.iterdir() if path.name.endswith("-wal")]


def test_who_waits_for_a_locked_file_in_vain_is_told(study, capsys, monkeypatch):
    monkeypatch.setattr(database_module, "_PATIENCE", 0.05)
    with closing(sqlite3.connect(study.path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        for command in ("invite", "export"):
            message = told(capsys, command, str(study.path.parent))
            assert "database is locked" in message
            assert "end the other program" in message


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_study_that_may_not_be_written_is_told(study, capsys):
    study.path.chmod(0o444)
    assert "make the file and its folder writable" in told(capsys, "invite", str(study.path.parent))


def test_a_second_server_of_a_study_is_refused(tmp_path, capsys):
    pytest.importorskip("uvicorn", reason="the study's server is not installed")
    run = make_run(tmp_path)
    with held_by_another(run / ".study.lock") as holder:
        message = told(capsys, "serve", str(run), "--port", "0")
    assert "is served by one server" in message
    assert f"process {holder} " in message
    assert not (run / "study.sqlite").exists()


def killed_after(steps, work):
    """Whether work in a process of its own is killed at so many steps of SQLite's machine."""
    child = os.fork()
    if child == 0:
        left = steps

        def step():
            nonlocal left
            left -= 1
            if left <= 0:
                os._exit(9)
            return 0

        connected = database_module._connected

        def counted(*arguments):
            connection = connected(*arguments)
            connection.set_progress_handler(step, 1)
            return connection

        database_module._connected = counted
        try:
            work()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


@pytest.mark.slow
def test_a_study_killed_while_it_is_made_is_there_whole_or_not_at_all(tmp_path):
    make_study(tmp_path, images=1, attacks=("pgd",))
    whole = seen(tmp_path / "study.sqlite")
    states = set()
    for number in range(400):
        folder = tmp_path / str(number)
        folder.mkdir()
        killed = killed_after(
            1 + 7 * number, lambda folder=folder: make_study(folder, images=1, attacks=("pgd",))
        )
        there = (folder / "study.sqlite").exists()
        assert not there or seen(folder / "study.sqlite") == whole
        states.add((killed, there))
        if not killed:
            break
    assert states >= {(True, False), (False, True)}


def test_an_answer_killed_at_any_step_is_there_whole_or_not_at_all(tmp_path):
    database = make_study(tmp_path, images=2, pages=2, checks=0)
    ((rater, _),) = agreed(database)
    clock = Clock()
    page = Judging(database, clock).current(rater)
    form = form_for(database, page.key, lambda panel: panel.modified)
    before, content = answers(database), database.path.read_bytes()
    states = set()
    for number in range(1000):
        database.path.write_bytes(content)
        killed = killed_after(
            1 + 9 * number, lambda: Judging(database, clock).answer(rater, page.key, form)
        )
        found = answers(Database(database.path))
        states.add((killed, len(found)))
        assert found == before or all(one.modified == one.target.modified for one in found)
        if not killed:
            break
    assert states >= {(True, 0), (False, 3)}
