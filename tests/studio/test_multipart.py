"""A folder sent as a form: many files, more than a process may hold open, and what strangers send."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from scholars.errors import InputError
from scholars.studio import uploads
from scholars.studio.multipart import parse_multipart
from scholars.studio.uploads import UploadWriter


def body(files: list[tuple[str, bytes]]) -> tuple[str, bytes]:
    """Content type and content, as an ordinary client makes them."""
    request = httpx.Request("POST", "http://x/", files=[("files", file) for file in files])
    return request.headers["content-type"], request.read()


def take(kind: str, content: bytes, folder: Path, at_a_time: int = 1000) -> UploadWriter:
    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(content), at_a_time):
            yield content[start : start + at_a_time]

    intake = UploadWriter(folder)
    asyncio.run(parse_multipart(kind, pieces(), intake))
    return intake


@pytest.fixture
def few_open_files() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    # What this process has open already depends on the tests before.
    used = max(int(path.name) for path in Path("/proc/self/fd").iterdir()) + 1
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 48, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_more_files_than_may_be_open(tmp_path: Path, few_open_files: None) -> None:
    kind, content = body([(f"photos/cat/{i}.png", b"x" * 20_000) for i in range(200)])
    intake = take(kind, content, tmp_path / "images", 2**16)
    assert intake.find_root()[0].name == "photos"
    assert len(list((tmp_path / "images" / "photos" / "cat").iterdir())) == 200


@pytest.mark.parametrize("at_a_time", [1, 7, 4096])
def test_every_byte_arrives_however_it_is_cut(tmp_path: Path, at_a_time: int) -> None:
    first, second = bytes(range(256)) * 3, b"\r\n--boundary\r\n--" * 9
    kind, content = body([("Kätzchen/a b.png", first), ("notes.txt", b"no image"), ("dog/1.jpg", second)])
    take(kind, content, tmp_path / "i", at_a_time)
    assert (tmp_path / "i" / "Kätzchen" / "a b-000001.png").read_bytes() == first
    assert (tmp_path / "i" / "dog" / "1-000002.jpg").read_bytes() == second
    assert len([path for path in (tmp_path / "i").rglob("*") if path.is_file()]) == 2


@pytest.mark.parametrize("name", ["../cat/a.png", "/etc/a.png", "cat/../../a.png"])
def test_no_name_leads_out(tmp_path: Path, name: str) -> None:
    kind, content = body([(name, b"x")])
    with pytest.raises(InputError, match="leads out"):
        take(kind, content, tmp_path / "images")
    assert list(tmp_path.rglob("*.png")) == []


def test_what_is_no_form_or_breaks_off(tmp_path: Path) -> None:
    kind, content = body([("cat/a.png", b"x" * 100)])
    for wrong, words in (
        (content[:-40], "is incomplete"),
        (b"", "is incomplete"),
        (b"nonsense" * 10, "cannot be read"),
    ):
        with pytest.raises(InputError, match=words):
            take(kind, wrong, tmp_path / "images")
    with pytest.raises(InputError, match="no boundary"):
        take("multipart/form-data", content, tmp_path / "images")


def test_too_much_is_stopped_as_it_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MAX_FILE_BYTES", 1000)
    kind, content = body([("cat/a.png", b"x" * 5000)])
    with pytest.raises(InputError, match="an image of over"):
        take(kind, content, tmp_path / "images", 100)
    assert (tmp_path / "images" / "cat" / "a-000001.png").stat().st_size <= 1000
