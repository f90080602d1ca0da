"""The pages of a study, as a web application.

Addresses
    /join/TOKEN         a rater's link: sets the cookie that says who it is
    /                   consent, or where to go on
    /instructions       what to do, with /example/NAME.png
    /page               the page to judge now, and where its answer goes
    /image/ID           a picture of that page, out of the study's database
    /done               thanks
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from project.study.database import StudyFileError
from project.study.distortions import examples
from project.study.judging import Judging
from project.study.raters import Rater, consent, find, hashed
from project.study.security import Guarded, read_form
from project.study.settings import paragraphs

_HERE = Path(__file__).parent / "pages"
_COOKIE = "rater"
_FILES = {
    "style.css": "text/css",
    "script.js": "text/javascript",
    "retry.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
_WEEKS_4 = 28 * 24 * 3600


class ConsentMissingError(Exception):
    """A rater asked for a page of the study before they agreed to it."""


class Pages:
    """The study's pages.

    Args:
        judging: of the study.
        secure: whether raters come by HTTPS, so that the cookie is never sent without.
    """

    def __init__(self, judging: Judging, secure: bool = False) -> None:
        self.judging = judging
        self.secure = secure
        self._trouble = ""  # what was said last
        self._database = judging.database
        self._examples = examples()
        self._templates = Environment(
            loader=FileSystemLoader(_HERE),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals |= {"design": judging.design, "settings": self._database.settings}

    def routes(self) -> list[Route]:
        """Return the addresses."""
        return [
            Route("/", self.start),
            Route("/join/{token}", self.join),
            Route("/consent", self.agree, methods=["POST"]),
            Route("/instructions", self.instructions),
            Route("/page", self.page),
            Route("/page", self.answer, methods=["POST"]),
            Route("/done", self.done),
            Route("/image/{panel}", self.image),
            Route("/example/{name}.png", self.example),
            *(Route(f"/{name}", _file(name, kind)) for name, kind in _FILES.items()),
        ]

    def join(self, request: Request) -> Response:
        """Let a rater in."""
        token = request.path_params["token"]
        if find(self._database, token) is None:
            raise HTTPException(403)
        response = RedirectResponse("/", 303)
        # lax: the cookie comes along when a link is followed from a mail, not when a form is posted
        response.set_cookie(
            _COOKIE, token, max_age=_WEEKS_4, httponly=True, samesite="lax", secure=self.secure
        )
        return response

    def start(self, request: Request) -> Response:
        """Ask for consent; later, offer to go on. No clock runs here."""
        rater = self._rater(request)
        if rater.finished:
            return RedirectResponse("/done", 303)
        if rater.agreed:
            return self._page("resume.html", rater=rater)
        return self._page(
            "consent.html", paragraphs=paragraphs(self._database.settings), key=_form_key(request)
        )

    async def agree(self, request: Request) -> Response:
        """Note the consent."""
        form = await _form(request)
        rater = await run_in_threadpool(self._rater, request)
        if form.get("key") != _form_key(request):
            raise HTTPException(403)
        await run_in_threadpool(consent, self._database, rater.id)
        return RedirectResponse("/instructions", 303)

    def instructions(self, request: Request) -> Response:
        """Show what to do."""
        rater = self._agreed(request)
        return self._page("instructions.html", examples=self._examples, rater=rater)

    def page(self, request: Request) -> Response:
        """Show the page to judge."""
        shown = self.judging.current(self._agreed(request).id)
        if shown is None:
            return RedirectResponse("/done", 303)
        return self._page(f"{self.judging.design.name}.html", page=shown)

    async def answer(self, request: Request) -> Response:
        """Take an answer; the next page, or a pause, comes once it is on the disk."""
        form = await _form(request)  # first: where the rater cannot be looked up, it is not lost
        rater = await run_in_threadpool(self._agreed, request)
        await run_in_threadpool(self.judging.answer, rater.id, form.get("key", ""), form)
        self._trouble = ""
        return RedirectResponse("/" if "pause" in form else "/page", 303)

    def done(self, request: Request) -> Response:
        """Thank the rater."""
        if not self._agreed(request).finished:
            return RedirectResponse("/", 303)
        return self._page("done.html")

    def image(self, request: Request) -> Response:
        """Send a picture."""
        rater = self._agreed(request)
        png = self.judging.picture(rater.id, request.path_params["panel"])
        if png is None:
            raise HTTPException(404)
        return Response(png, media_type="image/png")

    def example(self, request: Request) -> Response:
        """Send an example of the instructions."""
        if (found := self._examples.get(request.path_params["name"])) is None:
            raise HTTPException(404)
        return Response(found.png, media_type="image/png")

    def refusal(self, request: Request, error: Exception) -> Response:
        """Say what is wrong."""
        assert isinstance(error, HTTPException)
        phrase = HTTPStatus(error.status_code).phrase
        return self._page("refusal.html", error.status_code, code=error.status_code, phrase=phrase)

    def trouble(self, request: Request, error: Exception) -> Response:
        """Say that the study's file cannot be used now; what was sent stays in the page."""
        if str(error) != self._trouble:
            self._trouble = str(error)
            print(f"warning: {error} Raters are asked to wait.", file=sys.stderr, flush=True)
        form = getattr(request.state, "form", {})
        response = self._page("trouble.html", 503, path=request.url.path, form=form)
        response.headers["retry-after"] = "10"
        return response

    def ask_consent(self, request: Request, error: Exception) -> Response:
        """Lead back to the consent."""
        return RedirectResponse("/", 303)

    def _rater(self, request: Request) -> Rater:
        rater = find(self._database, request.cookies.get(_COOKIE, ""))
        if rater is None:
            raise HTTPException(403)
        return rater

    def _agreed(self, request: Request) -> Rater:
        rater = self._rater(request)
        if not rater.agreed:
            raise ConsentMissingError
        return rater

    def _page(self, name: str, status: int = 200, **context: Any) -> Response:
        return HTMLResponse(self._templates.get_template(name).render(context), status)


def application(judging: Judging, hosts: Sequence[str], secure: bool = False) -> Guarded:
    """Return the application of a study.

    Args:
        judging: of the study.
        hosts: names by which it may be called, ``*`` for any.
        secure: whether raters come by HTTPS.
    """
    pages = Pages(judging, secure)

    study = Starlette(
        routes=pages.routes(),
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=hosts)],
        exception_handlers={
            HTTPException: pages.refusal,
            ConsentMissingError: pages.ask_consent,
            StudyFileError: pages.trouble,
        },
    )
    return Guarded(study)


async def _form(request: Request) -> dict[str, str]:
    """Return the form that came, and note it for the page that asks to send it again."""
    request.state.form = await read_form(request)
    found: dict[str, str] = request.state.form
    return found


def _form_key(request: Request) -> str:
    """Return what the consent's form must hold, which only the rater's own pages can."""
    return hashed(f"consent:{request.cookies.get(_COOKIE, '')}")


def _file(name: str, kind: str) -> Callable[[Request], Response]:
    content = (_HERE / name).read_bytes()
    return lambda request: Response(content, media_type=kind)
