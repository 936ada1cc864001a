"""However a studio ends: no request is waited for, and no upload stays."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import httpx
import pytest
from filelock import FileLock
from forked import run_main, start
from starlette.requests import Request
from starlette.testclient import TestClient
from starlette.types import Message

from scholars.scholar import Scholar
from scholars.studio.app import studio
from scholars.studio.bodies import receive_images
from scholars.studio.upload_folder import ActiveUploads, UploadFolder, remove_stale_uploads
from scholars.tasks.task import Task

from .test_app import zipped
from .test_serving import free_port

# Learns until it is stopped, or the studio no longer reads what it says.
WORKER = """#!/bin/sh
while echo '{"stage": "solver", "step": 1, "steps": 2}'; do sleep 0.1; done
"""


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    return folder


@contextmanager
def opened(one: Scholar, temporary: Path) -> Iterator[tuple[ForkServerProcess, str]]:
    """A studio in a process of its own, with `WORKER`; its output is written to ``temporary/../output``."""
    tmp_path = temporary.parent
    one.save(tmp_path / "home")
    (tmp_path / "worker").write_text(WORKER)
    (tmp_path / "worker").chmod(0o755)
    port = free_port()
    server = start(serve, tmp_path, port)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(lambda: httpx.get(address).status_code == 200)
        yield server, address
    finally:
        server.kill()
        server.join()


def serve(tmp_path: Path, port: int) -> None:
    tempfile.tempdir = str(tmp_path / "temporary")
    sys.executable = str(tmp_path / "worker")
    run_main(["serve", str(tmp_path / "home"), "--port", str(port)], tmp_path / "output")


def wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(1200):
        try:
            if condition():
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    pytest.fail("the condition did not come true in a minute")


def teach(address: str, task: Task) -> str:
    """Send two tasks; return the id of the first when it is being learned."""
    job, _ = (httpx.post(f"{address}/tasks?name={name}", content=zipped(task)).json()["id"] for name in ("a", "b"))
    wait_for(lambda: bool(httpx.get(f"{address}/jobs/{job}").json()["progress"]))
    return str(job)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGHUP], ids=["interrupted", "hung up"])
def test_event_streams_end_when_the_studio_is_closed(
    one: Scholar, high: Task, temporary: Path, how: signal.Signals
) -> None:
    with opened(one, temporary) as (server, address):
        job = teach(address, high)
        assert list(temporary.glob("scholars-task-*/archive.zip"))
        headers = {"accept": "text/event-stream"}
        with httpx.stream("GET", f"{address}/jobs/{job}", headers=headers, timeout=60) as answer:
            lines = answer.iter_lines()
            assert next(lines).startswith("data: ")
            assert server.pid
            os.kill(server.pid, how)
            for _ in lines:  # to its end, which comes
                pass
        server.join(60)
        assert server.exitcode is not None
    output = (temporary.parent / "output").read_text()
    assert "Traceback" not in output
    assert "ERROR" not in output
    assert list(temporary.glob("scholars-*")) == []


def test_the_next_studio_removes_what_a_killed_one_left(
    one: Scholar, high: Task, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(one, temporary) as (server, address):
        teach(address, high)
        server.kill()
        server.join()
    assert list(temporary.glob("scholars-task-*/archive.zip"))
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    with TestClient(studio(temporary.parent / "home")):
        assert not list(temporary.glob("scholars-*"))


def test_only_what_nobody_holds_is_removed(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    (temporary / "elsewhere").mkdir()
    (temporary / "scholars-task-link").symlink_to(temporary / "elsewhere")
    (temporary / "scholars-task-left" / "images").mkdir(parents=True)
    held = UploadFolder()
    remove_stale_uploads()
    assert not (temporary / "scholars-task-left").exists()
    assert (temporary / "elsewhere").is_dir()
    assert held.folder.is_dir()
    held.close()
    assert sorted(path.name for path in temporary.iterdir()) == ["elsewhere", "scholars-task-link"]


def test_uploads_work_where_nothing_can_be_locked(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unable(lock: FileLock, **_: Any) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.setattr(FileLock, "acquire", unable)
    held = UploadFolder()
    remove_stale_uploads()
    assert [held.folder] == list(temporary.iterdir())
    held.close()
    assert not list(temporary.iterdir())


def test_an_upload_that_breaks_off_is_not_kept(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def sent() -> None:
        begun = asyncio.Event()
        pieces: list[Message] = [{"type": "http.request", "body": b"zip", "more_body": True}]

        async def body() -> Message:
            if pieces:
                return pieces.pop()
            begun.set()
            await asyncio.Event().wait()
            raise AssertionError

        async def request() -> None:
            async with receiving.receive() as scratch:
                await receive_images(Request({"type": "http", "headers": []}, body), scratch.folder, ())

        receiving = ActiveUploads()
        task = asyncio.create_task(request())
        await begun.wait()
        assert list(temporary.iterdir())
        task.cancel()
        await receiving.wait()
        assert task.cancelled()

    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    asyncio.run(asyncio.wait_for(sent(), 30))
    assert not list(temporary.iterdir())
