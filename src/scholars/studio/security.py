"""Access control for the studio: one ASGI layer around all of its routes."""

import asyncio
import hmac
from collections.abc import Callable
from hashlib import sha256
from urllib.parse import SplitResult, urlsplit

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
COOKIE = "scholars"
# Other sites may link to these.
PAGES = ("/", "/docs")
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


class Guard:
    """Refuses requests that are not allowed, and adds `HEADERS` to every response.

    token: required in ``Authorization: Bearer``, in the cookie, or as ``?token=``, which sets the cookie. None: no
        token is needed, and only requests to this machine's own names are answered, which refuses pages of other sites
        whose names were pointed to this machine (DNS rebinding)
    max_body: the most bytes of a request body, by path
    """

    def __init__(self, app: ASGIApp, token: str | None, max_body: Callable[[str], int]) -> None:
        self._app, self._token, self._max_body = app, token, max_body
        # Another name for each studio: cookies do not tell the ports of a host apart.
        self._cookie = f"{COOKIE}-{sha256((token or '').encode()).hexdigest()[:12]}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        refusal = self._refusal(request)
        max_body, size, started = self._max_body(scope["path"]), 0, False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                # Not in a refusal: the cookie's value is the token.
                if self._token and refusal is None and _equal(request.query_params.get("token", ""), self._token):
                    headers.append("set-cookie", f"{self._cookie}={self._token}; HttpOnly; SameSite=Strict; Path=/")
            await send(message)

        async def receive_limited() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > max_body:
                raise HTTPException(413, _too_large(max_body))
            return message

        if refusal:
            await refusal(scope, receive, send_with_headers)
            return
        try:
            await self._app(scope, receive_limited, send_with_headers)
        except asyncio.CancelledError:
            # The server shuts down and no longer waits for this request.
            if not started:
                await _error(503, "the studio is closed")(scope, receive, send_with_headers)

    def _refusal(self, request: Request) -> JSONResponse | None:
        """Return the response to a request that is not allowed."""
        headers, path = request.headers, request.scope["path"]
        host = headers.get("host", "")
        bearer, query = headers.get("authorization", "").removeprefix("Bearer "), request.query_params.get("token", "")
        if self._token is None:
            if _split(f"//{host}").hostname not in LOOPBACK:
                return _error(421, "the studio answers to localhost only; give --host to serve others, with a token")
        elif not any(_equal(token, self._token) for token in (bearer, query, request.cookies.get(self._cookie, ""))):
            return _error(401, "a token is needed: open the address that `scholars serve` printed")
        # Links to a page are harmless. Any other request costs computing time, even if its response cannot be read.
        is_link = headers.get("sec-fetch-mode") == "navigate" and path in PAGES
        if headers.get("sec-fetch-site") in ("cross-site", "same-site") and not is_link:
            return _error(403, "a request made by a page of another site is refused")
        origin = headers.get("origin")
        if request.method not in ("GET", "HEAD") and origin is not None and _split(origin).netloc != host:
            return _error(403, f"a request from {origin} is refused")
        length, max_body = headers.get("content-length", ""), self._max_body(path)
        if length.isdecimal() and int(length) > max_body:
            return _error(413, _too_large(max_body))
        return None


def _split(url: str) -> SplitResult:
    """Split a URL; an invalid one has empty parts."""
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


def _equal(given: str, token: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(given.encode(), token.encode())


def _too_large(max_body: int) -> str:
    return f"the request is larger than {max_body / 2**20:,.0f} MiB"


def _error(status: int, detail: str) -> JSONResponse:
    return JSONResponse({"detail": detail}, status)
