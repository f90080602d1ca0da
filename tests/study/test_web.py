import re

import pytest

pytest.importorskip("starlette", reason="the study's server is not installed")

from starlette.testclient import TestClient

from project.study.judging import Judging
from project.study.raters import find, invite
from project.study.security import HEADERS
from project.study.web import application
from tests.study.studies import Clock, fields, form_for, key_of, make_study, rows


@pytest.fixture(params=["paper", "2afc"])
def database(tmp_path, request):
    return make_study(tmp_path, design=request.param)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def client(database, clock):
    app = application(Judging(database, clock), ["testserver"])
    with TestClient(app, follow_redirects=True) as found:
        yield found


@pytest.fixture
def joined(client, database):
    """A client of a rater who is about to be asked for consent."""
    (token,) = invite(database, 1)
    response = client.get(f"/join/{token}")
    assert response.url.path == "/"
    client.token = token
    return client


@pytest.fixture
def rater(joined):
    """A client of a rater who has agreed."""
    key = key_of(joined.get("/").text)
    response = joined.post("/consent", data={"key": key})
    assert response.url.path == "/instructions"
    return joined


def answered(client, database, **buttons):
    """Answer the page that is shown, and return what comes then."""
    key = key_of(client.get("/page").text)
    form = form_for(database, key, lambda panel: panel.modified)
    return client.post("/page", data={"key": key} | form | buttons)


def test_a_rater_agrees_judges_every_page_and_is_thanked(rater, database):
    for place in range(10):
        assert f"Page {place + 1} of 10" in rater.get("/page").text
        response = answered(rater, database)
    assert response.url.path == "/done"
    assert "Thank you" in response.text
    for address in ("/", "/page"):
        assert rater.get(address).url.path == "/done"
    missing = "SELECT count(*) FROM panels WHERE kind != 'reference' AND judged_modified IS NULL"
    assert rows(database, missing) == [(0,)]


def test_a_rater_who_comes_back_goes_on_where_they_were(rater, database, clock):
    assert answered(rater, database, pause="").url.path == "/"
    rater.cookies.clear()
    assert rater.get("/page").status_code == 403
    clock.now += 3600
    response = rater.get(f"/join/{rater.token}")
    assert "1 of 10 pages" in response.text
    assert "Page 2 of 10" in rater.get("/page").text


def test_a_pause_costs_no_time_and_a_reload_gains_none(rater, database, clock):
    answered(rater, database, pause="")
    clock.now += 5000
    html = rater.get("/page").text
    assert "Page 2 of" in html
    assert 'data-seconds="100.0"' in html
    clock.now += 40
    assert 'data-seconds="60.0"' in rater.get("/page").text


def test_a_page_works_without_script_and_goes_on_by_itself_when_time_is_up(rater):
    html = rater.get("/page").text
    assert '<noscript><meta http-equiv="refresh" content="103"></noscript>' in html
    assert re.search(r'<form [^>]*method="post" action="/page"', html)
    assert html.count("<button") == 2
    assert "style=" not in html
    assert not re.search(r"\son\w+=", html)


def test_a_missed_page_is_said_kindly(rater, clock):
    rater.get("/page")
    clock.now += 200
    assert "Time ran out" in rater.get("/page").text


def test_pictures_are_sent_to_who_sees_their_page(rater, client):
    html = rater.get("/page").text
    pictures = re.findall(r'<img src="(/image/[^"]+)"', html)
    assert len(pictures) >= 2
    for address in pictures:
        response = rater.get(address)
        assert response.headers["content-type"] == "image/png"
        assert response.content.startswith(b"\x89PNG")
    client.cookies.clear()
    assert client.get(pictures[0]).status_code == 403


def test_a_page_tells_nothing_of_what_it_shows(rater, database):
    for _ in range(10):
        drawn = r'/image/[\w-]+|name="key" value="[\w-]+"'  # may spell anything
        html = re.sub(drawn, "", rater.get("/page").text)
        words = ("pgd", "ssta", "stadv", "attack", "clean", "obvious", "identical", "resnet")
        assert not [word for word in words if word in html.lower()]
        assert "photo" not in html
        answered(rater, database)


@pytest.mark.parametrize(
    "address", ["/", "/page", "/instructions", "/done", "/image/x", "/join/x", "/join/"]
)
def test_without_a_link_of_ones_own_there_is_nothing_to_see(client, address):
    response = client.get(address)
    assert response.status_code in (403, 404)
    assert "<form" not in response.text


@pytest.mark.parametrize("token", ["", "x", "' OR 1=1 --", "ü"])
def test_a_wrong_token_lets_nobody_in(client, database, token):
    invite(database, 1)
    client.cookies.set("rater", token.encode("utf-8").hex() if token == "ü" else token)
    assert client.get("/page").status_code == 403
    assert client.post("/page", data={"key": "x"}).status_code == 403


def test_nothing_is_shown_before_consent(joined):
    for address in ("/page", "/instructions", "/done", "/image/x"):
        assert joined.get(address).url.path == "/"


def test_consent_needs_the_key_of_its_own_page(joined, database):
    assert joined.post("/consent", data={"key": "x"}).status_code == 403
    assert joined.post("/consent", data={"other": "x"}).status_code == 403
    assert not find(database, joined.token).agreed


def test_a_form_that_another_site_sends_is_not_taken(rater, database):
    key = key_of(rater.get("/page").text)
    form = {"key": key} | form_for(database, key, lambda panel: True)
    for site in ("cross-site", "same-site"):
        response = rater.post("/page", data=form, headers={"sec-fetch-site": site})
        assert response.status_code == 403
    assert "Page 1 of" in rater.get("/page").text
    rater.post("/page", data=form, headers={"sec-fetch-site": "same-origin"})
    assert "Page 2 of" in rater.get("/page").text


def test_an_answer_that_is_sent_again_changes_nothing(rater, database):
    key = key_of(rater.get("/page").text)
    form = {"key": key} | form_for(database, key, lambda panel: True)
    rater.post("/page", data=form)
    query = "SELECT slot, judged_modified FROM panels WHERE page = ?"
    first = rows(database, query, key)
    other = form_for(database, key, lambda panel: False)
    assert "Page 2 of" in rater.post("/page", data={"key": key} | other).text
    assert rows(database, query, key) == first


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(client, database):
    (token,) = invite(database, 1)
    cookie = client.get(f"/join/{token}", follow_redirects=False).headers["set-cookie"].lower()
    assert {"httponly", "samesite=lax", "path=/"} <= set(cookie.split("; "))
    assert "secure" not in cookie
    secure = TestClient(application(Judging(database), ["*"], secure=True))
    cookie = secure.get(f"/join/{token}", follow_redirects=False).headers["set-cookie"].lower()
    assert "secure" in cookie.split("; ")


@pytest.mark.parametrize(
    "address", ["/", "/page", "/style.css", "/script.js", "/nothing", "/join/x"]
)
def test_every_response_carries_the_headers(rater, address):
    response = rater.get(address)
    assert response.headers.items() >= HEADERS.items()
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


def test_a_failure_of_the_server_carries_the_headers_and_no_detail(database, monkeypatch):
    judging = Judging(database)
    monkeypatch.setattr(judging, "current", lambda rater: 1 / 0)
    (token,) = invite(database, 1)
    with TestClient(application(judging, ["*"]), raise_server_exceptions=False) as client:
        client.get(f"/join/{token}")
        client.post("/consent", data={"key": key_of(client.get("/").text)})
        response = client.get("/page")
    assert response.status_code == 500
    assert response.headers.items() >= HEADERS.items()
    assert "ZeroDivision" not in response.text


@pytest.mark.parametrize(
    "path",
    [
        "/image/../study.sqlite",
        "/image/..%2f..%2fetc%2fpasswd",
        "/image/%2e%2e/%2e%2e/etc/passwd",
        "/example/../../database.py",
        "/example/..%2fweb.png",
        "/style.css/../web.py",
        "/study.sqlite",
        "/pages/paper.html",
        "//etc/passwd",
    ],
)
def test_no_file_of_the_host_is_readable(rater, path):
    response = rater.get(path, follow_redirects=False)
    assert response.status_code == 404
    for secret in (b"SQLite format", b"root:", b"import ", b"{%"):
        assert secret not in response.content


@pytest.mark.parametrize("address", ["/page", "/consent"])
def test_no_file_can_be_sent(rater, address):
    response = rater.post(address, files={"key": ("x.png", b"\x89PNG")})
    assert response.status_code == 415
    assert rater.post(address, content=b"key=x").status_code == 415


def test_a_long_form_is_refused(rater):
    assert rater.post("/page", data={"key": "x" * 5000}).status_code == 413
    many = "&".join(f"a{k}=1" for k in range(100))
    headers = {"content-type": "application/x-www-form-urlencoded"}
    assert rater.post("/page", content=many, headers=headers).status_code == 400
    assert rater.post("/page", content=b"\xff\xfe", headers=headers).status_code == 400


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_other_methods_are_refused(rater, method):
    assert rater.request(method, "/page").status_code == 405


def test_another_hosts_name_is_refused(client):
    assert client.get("/", headers={"host": "evil.example"}).status_code == 400


def test_the_consent_text_of_a_study_is_shown_and_escaped(tmp_path):
    database = make_study(tmp_path, consent="I <b>agree</b>\nwholly.\n\nAnd more.")
    (token,) = invite(database, 1)
    with TestClient(application(Judging(database), ["*"])) as client:
        html = client.get(f"/join/{token}").text
    assert "<p>I &lt;b&gt;agree&lt;/b&gt;\nwholly.</p><p>And more.</p>" in html


def test_instructions_show_every_example(rater):
    html = rater.get("/instructions").text
    pictures = re.findall(r'src="(/example/\w+\.png)"', html)
    assert len(pictures) >= 5
    for address in pictures:
        assert rater.get(address).headers["content-type"] == "image/png"


def test_every_choice_has_a_label_and_every_picture_a_text(rater):
    html = rater.get("/page").text
    choices = [one for one in fields(html) if one.get("type") == "radio"]
    assert choices
    assert len(re.findall(r"<label><input type=\"radio\"", html)) == len(choices)
    assert all(re.findall(r'<img [^>]*alt="([^"]*)"', html))
