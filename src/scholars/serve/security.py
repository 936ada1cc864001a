"""Who may ask, from where, and how much: one layer around the whole studio."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from hashlib import sha256
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
COOKIE = "scholars"
# What a person looks at, and costs nothing.
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
    """Lets through what may pass, and adds the headers of `HEADERS` to every answer.

    token: asked for in ``Authorization: Bearer``, the cookie, or ``?token=`` (which sets the cookie); None: no token is
        needed, and then only requests to this machine's own names are answered, so that a page of another site whose
        name was pointed here (DNS rebinding) gets nothing
    most: bytes of a body, by path
    """

    def __init__(self, app: App, token: str | None, most: Callable[[str], int]) -> None:
        self._app, self._token, self._most = app, token, most
        # Of this studio alone: cookies do not tell the ports of a host apart.
        self._cookie = f"{COOKIE}-{sha256((token or '').encode()).hexdigest()[:12]}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, as ASGI has it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in scope["headers"]}
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]

        size, begun = 0, False

        async def guarded(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                message["headers"] = [*message["headers"], *((k.encode(), v.encode()) for k, v in HEADERS.items())]
                # Never with a refusal: a cookie holds the token itself.
                if self._token and refusal is None and _same(given, self._token):
                    cookie = f"{self._cookie}={self._token}; HttpOnly; SameSite=Strict; Path=/"
                    message["headers"].append((b"set-cookie", cookie.encode()))
            await send(message)

        most = self._most(scope["path"])
        refusal = self._refusal(scope["method"], scope["path"], headers, given)
        length = headers.get("content-length", "")
        if refusal is None and length.isdecimal() and int(length) > most:
            refusal = 413, _too_large(most)
        if refusal:
            await _answer(refusal, scope, receive, guarded)
            return

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > most:
                raise HTTPException(413, _too_large(most))
            return message

        try:
            await self._app(scope, counted, guarded)
        except asyncio.CancelledError:
            # The server does not wait any longer for what is still being sent to it.
            if not begun:
                await _answer((503, "the studio is closed"), scope, receive, guarded)

    def _refusal(self, method: str, path: str, headers: dict[str, str], given: str) -> tuple[int, str] | None:
        host = headers.get("host", "")
        if self._token is None:
            if _name(host) not in LOOPBACK:
                return 421, "the studio answers to localhost only; give --host to serve others, with a token"
        elif not any(_same(word, self._token) for word in _tokens(headers, given, self._cookie)):
            return 401, "a token is needed: open the address that `scholars serve` printed"
        # Another site may lead a person to a page here by a link, and nothing else: it cannot read an answer, but
        # asking costs, by a frame that nobody sees as well.
        led = headers.get("sec-fetch-mode") == "navigate" and path in PAGES
        if headers.get("sec-fetch-site") in ("cross-site", "same-site") and not led:
            return 403, "a request made by a page of another site is refused"
        origin = headers.get("origin")
        # Whatever changes something and says where it comes from comes from the studio's own page.
        if method not in ("GET", "HEAD") and origin is not None and _netloc(origin) != host:
            return 403, f"a request from {origin} is refused"
        return None


def _name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _netloc(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


def _tokens(headers: dict[str, str], given: str, name: str) -> list[str]:
    bearer = headers.get("authorization", "").removeprefix("Bearer ")
    try:
        cookie = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        cookie = None
    return [bearer, given, cookie.value if cookie else ""]


def _same(word: str, token: str) -> bool:
    return hmac.compare_digest(word.encode(), token.encode())


def _too_large(most: int) -> str:
    return f"the request is larger than {most / 2**20:,.0f} MiB"


async def _answer(refusal: tuple[int, str], scope: Scope, receive: Receive, send: Send) -> None:
    code, words = refusal
    await JSONResponse({"detail": words}, code)(scope, receive, send)
