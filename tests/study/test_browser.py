import pytest

pytest.importorskip("uvicorn", reason="the study's server is not installed")

from project.study.answers import answers
from project.study.database import Database
from tests.browser import chromium
from tests.study.serving import serving
from tests.study.studies import form_for, make_run, panels, rows

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


@pytest.fixture(scope="module", params=["paper", "2afc"])
def server(tmp_path_factory, request):
    run = make_run(tmp_path_factory.mktemp("run"), images=3)
    with serving(run, 10, "--design", request.param, "--checks", "1") as found:
        found.database = Database(run / "study.sqlite")
        yield found


@pytest.fixture
def visit(browser, server):
    """Open a link that is still unused, and return its page; what goes wrong there fails."""
    opened = []

    def opening(link=None, refused=False, **options):
        context = browser.new_context(**options)
        page = context.new_page()
        wrong = []
        if not refused:
            page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        opened.append((context, wrong))
        page.link = link or server.links.pop()
        page.goto(page.link)
        return page

    yield opening
    for context, wrong in opened:
        context.close()
        assert wrong == []


def follow(page, role, name):
    """Click what leads to another page, and wait until that has come and its script has run."""
    with page.expect_navigation():
        page.get_by_role(role, name=name).click()


def begin(page):
    page.get_by_role("checkbox").check()
    follow(page, "button", "Take part")
    follow(page, "link", "Begin")


def place(page):
    return page.locator(".place").inner_text()


def shown_key(page):
    return page.locator("input[name=key]").get_attribute("value")


def choose(page, database, modified):
    for name, value in form_for(database, shown_key(page), modified).items():
        page.locator(f"input[name={name}][value='{value}']").check()


def test_a_whole_session_with_a_pause_and_a_closed_browser(visit, server):
    page = visit()
    begin(page)
    choose(page, server.database, lambda panel: panel.modified)
    follow(page, "button", "Save and pause")
    link = page.link
    page.context.close()

    page = visit(link)
    assert "1 of 4 pages" in page.locator("main").inner_text()
    follow(page, "link", "Continue")
    for number in (2, 3, 4):
        assert place(page) == f"Page {number} of 4"
        pictures = page.locator(".view img")
        loaded = "all => Promise.all(all.map(one => one.decode().then(() => one.naturalWidth)))"
        assert set(pictures.evaluate_all(loaded)) == {24}
        choose(page, server.database, lambda panel: panel.modified)
        follow(page, "button", "Finish" if number == 4 else "Next")
    assert "Thank you" in page.locator("main").inner_text()
    page.go_back()
    assert "Thank you" in page.locator("main").inner_text()
    finished = "SELECT rater FROM pages GROUP BY rater HAVING count(*) = count(closed_at)"
    ((rater,),) = rows(server.database, finished)
    found = [one for one in answers(server.database) if one.rater == rater]
    assert all(one.modified == one.target.modified for one in found)


def test_the_whole_page_is_done_by_keys(visit, server):
    page = visit()
    begin(page)
    key = shown_key(page)
    targets = [panel for panel in panels(server.database, key) if panel.kind != "reference"]
    for digit in range(len(targets), 0, -1):
        page.keyboard.press(str(digit))
    chosen = page.locator("input:checked").evaluate_all("all => all.map(one => one.value)")
    if server.database.settings.design == "paper":
        assert chosen == ["same"] * len(targets)
        page.keyboard.press("1")
        page.keyboard.press("1")
        page.keyboard.press("1")
        assert page.locator("input:checked").first.get_attribute("value") == "different"
    else:
        assert chosen == ["0"]
        page.keyboard.press("2")
        assert page.locator("input:checked").get_attribute("value") == "1"
    page.keyboard.press("Enter")
    page.get_by_text("Page 2 of 4").wait_for()


def test_back_does_not_lead_to_a_page_that_is_answered(visit, server):
    page = visit()
    begin(page)
    choose(page, server.database, lambda panel: False)
    follow(page, "button", "Next")
    page.go_back()
    page.goto(page.link)
    follow(page, "link", "Continue")
    assert place(page) == "Page 2 of 4"


def test_all_pictures_zoom_together_and_to_the_same_place(visit):
    page = visit()
    begin(page)
    views = page.locator(".view")
    box = views.first.bounding_box()
    views.first.click(position={"x": box["width"] / 4, "y": box["height"] / 4})
    seen = page.locator(".view img").evaluate_all(
        "all => all.map(one => [getComputedStyle(one).transform,"
        " Math.round(parseFloat(getComputedStyle(one).transformOrigin))])"
    )
    assert {transform for transform, _ in seen} == {"matrix(3, 0, 0, 3, 0, 0)"}
    assert max(x for _, x in seen) - min(x for _, x in seen) <= 1
    assert seen[0][1] == pytest.approx(box["width"] / 4, abs=2)
    page.keyboard.press("ArrowRight")
    moved = views.first.locator("img").evaluate(
        "one => parseFloat(getComputedStyle(one).transformOrigin)"
    )
    assert moved == pytest.approx(0.35 * box["width"], abs=2)
    page.keyboard.press("+")
    assert page.locator("output").inner_text() == "×3.5"
    page.keyboard.press("Escape")
    assert page.locator("output").inner_text() == "×1"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_everything_within_its_width(visit, scheme):
    page = visit(viewport={"width": 390, "height": 844}, color_scheme=scheme, has_touch=True)
    overflows = "document.documentElement.scrollWidth > innerWidth"
    assert not page.evaluate(overflows)
    page.get_by_role("checkbox").check()
    follow(page, "button", "Take part")
    assert not page.evaluate(overflows)
    follow(page, "link", "Begin")
    assert not page.evaluate(overflows)
    boxes = page.locator(".target label").evaluate_all(
        "all => all.map(one => one.getBoundingClientRect().height)"
    )
    assert min(boxes) >= 40  # wide enough for a thumb


def test_without_script_a_page_can_be_answered(visit, server):
    page = visit(java_script_enabled=False)
    begin(page)
    assert not page.locator(".zoom").is_visible()
    choose(page, server.database, lambda panel: True)
    follow(page, "button", "Next")
    assert place(page) == "Page 2 of 4"


def test_when_time_is_up_the_page_sends_what_was_chosen(visit, server):
    page = visit()
    page.clock.install(time=0)
    page.clock.pause_at(1)
    begin(page)
    choose(page, server.database, lambda panel: panel.modified)
    page.clock.fast_forward(89_000)
    assert page.get_by_text("Ten seconds left.").count() == 0
    page.clock.fast_forward(3_000)  # past the tenth second, as a page in the background may be
    page.get_by_text("Ten seconds left.").wait_for(state="attached")
    assert place(page) == "Page 1 of 4"
    page.clock.fast_forward(9_000)
    page.get_by_text("Page 2 of 4").wait_for()
    assert page.locator(".notice:visible").count() == 0


@pytest.mark.parametrize("trouble", ["away", "full"])
def test_an_answer_waits_in_the_page_until_the_server_has_it(visit, server, trouble):
    page = visit(refused=True)  # which the console tells of
    page.clock.install(time=0)
    page.clock.pause_at(1)
    begin(page)

    def fail(route):
        if route.request.method != "POST":
            route.continue_()
        elif trouble == "away":
            route.abort("connectionrefused")
        else:
            route.fulfill(status=503, body="")

    page.route("**/page", fail)
    choose(page, server.database, lambda panel: panel.modified)
    chosen = "all => all.filter(one => one.checked).map(one => one.value)"
    answer = page.locator("input").evaluate_all(chosen)
    page.get_by_role("button", name="Next").click()
    page.get_by_text("Your answer is not saved yet").wait_for()
    assert place(page) == "Page 1 of 4"
    assert page.locator("input").evaluate_all(chosen) == answer
    page.unroute("**/page")
    page.clock.fast_forward(3_500)
    page.get_by_text("Page 2 of 4").wait_for()
