"""Who gets in, and who does not: every request as a stranger would make it."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from scholars.studio.security import HEADERS, Guard

TOKEN = "a-secret"
MOST = 100
METHODS = ["GET", "POST", "DELETE"]


async def inside(request: Request) -> PlainTextResponse:
    """What is guarded: reads the whole body, says its size."""
    return PlainTextResponse(str(len(await request.body())))


def visitor(token: str | None = None, host: str = "127.0.0.1:8000") -> TestClient:
    app = Starlette(routes=[Route("/{path:path}", inside, methods=METHODS)])
    return TestClient(Guard(app, token, lambda path: MOST), base_url=f"http://{host}")


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost", "localhost:1", "[::1]:8000"])
def test_this_machine_is_answered_without_a_token(host: str) -> None:
    assert visitor(host=host).get("/").status_code == 200


@pytest.mark.parametrize("host", ["rebound.example", "127.0.0.1.example", "localhost.example:8000", "192.0.2.1"])
def test_a_name_that_was_pointed_here_is_not(host: str) -> None:
    assert visitor(host=host).get("/").status_code == 421


@pytest.mark.parametrize("header", ["", "[", "@", "127.0.0.1:8000@rebound.example"])
def test_a_strange_host_is_not_either(header: str) -> None:
    assert visitor().get("/", headers={"host": header}).status_code == 421


def test_a_wrong_token_gets_nothing_and_learns_nothing() -> None:
    client = visitor(TOKEN, "studio.example")
    wrong = [
        client.get("/"),
        client.get("/?token=wrong"),
        client.get("/?token="),
        client.get("/", headers={"authorization": "Bearer wrong"}),
        client.get("/", headers={"cookie": "scholars=wrong"}),
        client.get("/", headers={"cookie": "scholars="}),
        client.get("/", headers={b"authorization": b"Bearer \xff"}),
    ]
    for answer in wrong:
        assert answer.status_code == 401
        assert TOKEN not in str(answer.headers) + answer.text
    assert client.get("/").status_code == 401, "no cookie was left by what was refused"


def test_the_token_opens_by_address_cookie_and_header() -> None:
    client = visitor(TOKEN, "studio.example")
    assert client.get("/", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200
    assert client.get("/").status_code == 401, "a header leaves no cookie"
    opened = client.get(f"/?token={TOKEN}")
    assert opened.status_code == 200
    assert {"HttpOnly", "SameSite=Strict"} <= set(opened.headers["set-cookie"].split("; "))
    assert client.get("/").status_code == 200, "the cookie"


def test_two_studios_on_one_host_do_not_shut_each_other_out() -> None:
    """Cookies do not tell ports apart."""
    one, other = visitor(TOKEN, "studio.example"), visitor("another", "studio.example")
    one.get(f"/?token={TOKEN}")
    other.get("/?token=another")
    one.cookies.update(other.cookies)
    assert one.get("/").status_code == 200
    assert set(one.cookies) > set(other.cookies)


def test_what_is_too_large_for_one_with_the_token_leaves_no_cookie() -> None:
    answer = visitor(TOKEN, "studio.example").post(f"/?token={TOKEN}", content=b"x" * (MOST + 1))
    assert answer.status_code == 413
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "origin", ["http://other.example", "http://127.0.0.1:3000", "null", "http://127.0.0.1:8000.example", "http://[x"]
)
def test_another_page_can_change_nothing(origin: str) -> None:
    assert visitor().post("/", headers={"origin": origin}).status_code == 403
    assert visitor().delete("/", headers={"origin": origin}).status_code == 403


def test_the_own_page_can() -> None:
    assert visitor().post("/", headers={"origin": "http://127.0.0.1:8000"}).status_code == 200


def test_another_page_cannot_make_the_browser_ask_but_may_link_here() -> None:
    image = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}
    assert visitor().get("/dreams", headers=image).status_code == 403
    link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert [visitor().get(path, headers=link).status_code for path in ("/", "/docs")] == [200, 200]
    assert visitor().get("/dreams", headers=link).status_code == 403, "a frame that nobody sees"
    assert visitor().get("/", headers={"sec-fetch-site": "same-origin", "sec-fetch-mode": "cors"}).status_code == 200


def test_a_body_is_counted_whatever_was_said_of_it() -> None:
    client = visitor()
    assert client.post("/", content=b"x" * MOST).text == str(MOST)
    assert client.post("/", content=b"x" * (MOST + 1)).status_code == 413
    assert client.post("/", content=iter([b"x" * MOST, b"x"])).status_code == 413, "in pieces, with no length given"
    assert client.post("/", content=b"x", headers={"content-length": "-1"}).status_code == 200
    assert client.post("/", content=b"x", headers={"content-length": "many"}).status_code == 200


def test_every_answer_carries_the_headers() -> None:
    refused = visitor(TOKEN).get("/")
    for answer in (visitor().get("/"), refused):
        assert {key: answer.headers[key] for key in HEADERS} == HEADERS
    policy = HEADERS["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_the_pages_need_nothing_that_the_policy_forbids() -> None:
    """No script or style in a page, no handler in an attribute, nothing from another place."""
    import scholars.studio

    for page in (Path(scholars.studio.__file__).parent / "static").glob("*.html"):
        words = page.read_text()
        assert "<style" not in words
        assert not any(mark in words for mark in (" style=", " onclick=", " onload=", "https://", "http://"))
        assert words.count("<script") == words.count('<script type="module" src="/static/')
