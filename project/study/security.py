"""Web security of a study: response headers, no forms of other sites, and none that are long."""

from __future__ import annotations

from urllib.parse import parse_qsl

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; "
        "connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",  # a link's token stays in the link
    "cache-control": "no-store",  # the back button asks the server anew
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-robots-tag": "noindex, nofollow",
}
_LARGEST_FORM = 4096  # bytes; an answer has a few hundred


class Guarded:
    """An application whose responses carry :data:`HEADERS`, and that other sites cannot post to.

    Browsers say where a request comes from in ``Sec-Fetch-Site``; where one does not (plain HTTP
    beyond loopback), the cookie is not sent along from other sites, and every form holds a key.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        if scope["type"] == "http" and _is_foreign(scope):
            refusal = PlainTextResponse("Forms of other sites are not taken.", 403)
            await refusal(scope, receive, send_guarded)
        else:
            await self.app(scope, receive, send_guarded)


def _is_foreign(scope: Scope) -> bool:
    said = Headers(scope=scope).get("sec-fetch-site", "none")
    return scope["method"] == "POST" and said not in ("same-origin", "none")


async def read_form(request: Request) -> dict[str, str]:
    """Return the fields of a short form; files are not taken.

    Raises:
        HTTPException: 415 for anything but a plain form, 413 for a long one, 400 for no text.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise HTTPException(415)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LARGEST_FORM:
            raise HTTPException(413)
    try:
        return dict(parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=16))
    except ValueError as error:
        raise HTTPException(400) from error
