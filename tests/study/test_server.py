import random
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from project.study.__main__ import main
from project.study.answers import answers, spread
from project.study.database import Database
from tests.processes import PATIENCE
from tests.study.serving import choices, serving
from tests.study.studies import key_of, make_run, rows

pytest.importorskip("uvicorn", reason="the study's server is not installed")
httpx = pytest.importorskip("httpx2")
pytestmark = pytest.mark.slow


class Visitor:
    """A rater who answers by chance, and notes what the server has acknowledged."""

    def __init__(self, link, seed):
        self.link = link
        self.random = random.Random(seed)
        self.given = {}

    def judge_all(self, after_each=lambda: None):
        """Go through all pages, from wherever the study left off."""
        with httpx.Client(timeout=120) as client:
            client.get(self.link, follow_redirects=True)
            home = str(httpx.URL(self.link).join("/"))
            start = client.get(home, follow_redirects=True).text
            if 'action="/consent"' in start:
                client.post(f"{home}consent", data={"key": key_of(start)})
            while (page := client.get(f"{home}page")).status_code == 200:
                key = key_of(page.text)
                form = {
                    name: self.random.choice(values) for name, values in choices(page.text).items()
                }
                if client.post(f"{home}page", data={"key": key} | form).status_code == 303:
                    self.given[key] = form
                    after_each()
            assert page.headers["location"] == "/done"


def kept(database, key):
    """A page's answer as a form would give it."""
    query = "SELECT slot, judged_modified FROM panels WHERE page = ? AND kind != 'reference'"
    return {
        f"panel-{slot}": "different" if modified else "same"
        for slot, modified in rows(database, query, key)
    }


def test_fifty_raters_at_once_lose_nothing_and_judge_every_picture_equally_often(tmp_path):
    run = make_run(tmp_path, images=4)
    with serving(run, 50, "--checks", "1") as server:
        visitors = [Visitor(link, seed) for seed, link in enumerate(server.links)]
        with ThreadPoolExecutor(50) as pool:
            list(pool.map(Visitor.judge_all, visitors))
    database = Database(run / "study.sqlite")
    given = {key: form for one in visitors for key, form in one.given.items()}
    assert len(given) == 50 * 5
    assert {key: kept(database, key) for key in given} == given
    few, many = spread(answers(database))
    assert many - few <= 1
    assert rows(database, "SELECT count(DISTINCT number), max(number) FROM raters") == [(50, 49)]


def test_a_server_that_is_killed_loses_no_answer_that_it_took(tmp_path):
    run = make_run(tmp_path, images=4)
    enough, killed = threading.Event(), threading.Event()

    def until_cut_off(visitor):
        def after_each():
            if sum(len(one.given) for one in visitors) >= 12:
                enough.set()
            if len(visitor.given) == 5:  # nobody is through before the server is gone
                killed.wait()

        with pytest.raises(httpx.TransportError):
            visitor.judge_all(after_each)

    options = ("--checks", "2")
    with serving(run, 6, *options) as server, ThreadPoolExecutor(6) as pool:
        visitors = [Visitor(link, seed) for seed, link in enumerate(server.links)]
        cut = [pool.submit(until_cut_off, visitor) for visitor in visitors]
        assert enough.wait(PATIENCE)
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
        killed.set()
        for one in cut:
            one.result()
    database = Database(run / "study.sqlite")
    before = {key: form for one in visitors for key, form in one.given.items()}
    assert 12 <= len(before) < 36
    assert {key: kept(database, key) for key in before} == before

    with serving(run, 6, *options, port=server.port) as again:
        assert again.links == []  # the same command invites nobody twice
        for visitor in visitors:
            visitor.judge_all()
    assert rows(database, "SELECT count(*), count(closed_at) FROM pages") == [(36, 36)]
    assert {key: kept(database, key) for key in before} == before


def test_more_raters_are_invited_while_the_study_is_served(tmp_path, capsys):
    run = make_run(tmp_path, images=2)
    with serving(run, 0, "--checks", "1") as server:
        main(["invite", str(run), "--raters", "2", "--address", f"http://localhost:{server.port}/"])
        links = capsys.readouterr().out.split()
        assert len(set(links)) == 2
        for link in links:
            Visitor(link, 0).judge_all()
    assert not (run / "study.sqlite-wal").exists()  # stopped in order: one file holds all
    main(["export", str(run)])
    main(["analyse", str(run), "--minimum", "0"])
    written = [line.rpartition("/")[2] for line in capsys.readouterr().out.split()]
    assert written == ["study_answers.csv", "study_answers.parquet", "study.csv", "study.md"]
