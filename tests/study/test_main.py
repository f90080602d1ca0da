import pytest

from project.study.__main__ import main
from tests.study.studies import make_run, make_study

pytest.importorskip("uvicorn", reason="the study's server is not installed")

from project.study.serving import is_loopback, serve


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


@pytest.mark.parametrize(("host", "warned"), [("127.0.0.1", False), ("0.0.0.0", True)])
def test_a_host_that_others_reach_is_warned_of(tmp_path, monkeypatch, capsys, host, warned):
    calls = []
    monkeypatch.setattr("uvicorn.run", lambda app, **given: calls.append(given))
    serve(make_study(tmp_path), host, 8000, f"http://{host}:8000")
    assert ("can be reached from other machines" in capsys.readouterr().err) == warned
    (given,) = calls
    assert (given["host"], given["access_log"]) == (host, False)
