import re

import pytest

from project.study.__main__ import main
from tests.study.studies import make_run, make_study

pytest.importorskip("uvicorn", reason="the study's server is not installed")

from project.study.serving import is_loopback, listening, serve


@pytest.mark.parametrize("command", ["export", "analyse", "invite"])
def test_without_a_study_it_is_said_how_to_start_one(tmp_path, command):
    with pytest.raises(SystemExit, match="serve RUN"):
        main([command, str(make_run(tmp_path))])


def test_a_study_needs_a_finished_run(tmp_path):
    with pytest.raises(SystemExit, match=r"no rows\.parquet"):
        main(["serve", str(tmp_path)])


def test_without_answers_there_is_nothing_to_analyse(tmp_path):
    run = make_run(tmp_path)
    make_study(run)
    with pytest.raises(SystemExit, match="got none of 0 raters"):
        main(["analyse", str(run)])


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("127.0.0.1", True),
        ("127.3.2.1", True),
        ("localhost", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("192.168.0.7", False),
        ("example.org", False),
    ],
)
def test_only_this_machine_reaches_a_loopback_host(host, here):
    assert is_loopback(host) == here


@pytest.fixture
def served(monkeypatch):
    """A list that grows by the settings and sockets of each server, which ends at once."""
    servers = []

    def ended(server, sockets):
        servers.append((server.config, sockets))
        raise KeyboardInterrupt

    monkeypatch.setattr("uvicorn.Server.run", ended)
    return servers


@pytest.mark.parametrize(("host", "warned"), [("127.0.0.1", False), ("0.0.0.0", True)])
def test_a_host_that_others_reach_is_warned_of(tmp_path, capsys, served, host, warned):
    with listening(host, 0) as listener:
        serve(make_study(tmp_path), host, listener, f"http://{host}:8000")
    assert ("can be reached from other machines" in capsys.readouterr().err) == warned
    ((config, sockets),) = served
    assert (sockets, config.access_log) == ([listener], False)


def test_links_name_the_port_that_was_free(tmp_path, capsys, served):
    main(["serve", str(make_run(tmp_path)), "--port", "0"])
    link, serving = capsys.readouterr().out.splitlines()
    port = re.match(r"http://127\.0\.0\.1:(\d+)/join/", link)[1]
    assert int(port) > 0
    assert f" at http://127.0.0.1:{port};" in serving


def test_nobody_is_invited_where_nobody_can_come(tmp_path, capsys, served):
    run = make_run(tmp_path)
    with listening("127.0.0.1", 0) as taken:
        for port in (taken.getsockname()[1], 99999):
            with pytest.raises(SystemExit, match=rf"got .*{port}.* Give another --port"):
                main(["serve", str(run), "--port", str(port)])
    assert capsys.readouterr().out == ""
    assert not (run / "study.sqlite").exists()
    main(["serve", str(run), "--port", "0"])
    assert "/join/" in capsys.readouterr().out
