"""However a studio ends: nobody is kept waiting, and nothing that was sent to it stays."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from filelock import FileLock
from starlette.requests import Request
from starlette.types import Message

from scholars.config import build
from scholars.scholar import Scholar
from scholars.serve import uploads
from scholars.serve.app import _taken_in
from scholars.serve.scratch import Receiving, Scratch, remove_abandoned
from scholars.serve.uploads import Intake
from scholars.settings import Settings
from scholars.tasks import Task

from .test_app import zipped
from .test_serving import free_port


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    return folder


@contextmanager
def opened(one: Scholar, tmp_path: Path, temporary: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A studio, in a process of its own, of a scholar that takes its time to learn."""
    slow = build(Settings, one.settings.model_dump(), {"generator.flow.steps": 1_000_000}, where="tests")
    *earlier, last = one.lineage
    replace(one, lineage=(*earlier, last.model_copy(update={"settings": slow}))).save(tmp_path / "home")
    port = free_port()
    words = [sys.executable, "-m", "scholars", "serve", str(tmp_path / "home"), "--port", str(port)]
    environment = {**os.environ, "TMPDIR": str(temporary)}
    server = subprocess.Popen(words, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True)
    address = f"http://127.0.0.1:{port}"
    try:
        answers(lambda: httpx.get(address).status_code == 200)
        yield server, address
    finally:
        server.kill()
        server.wait()


def answers(what: Callable[[], bool]) -> None:
    for _ in range(600):
        try:
            if what():
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    pytest.fail("nothing came of it in a minute")


def teach(address: str, task: Task) -> str:
    """Send two tasks; the id of the first, when it is being learned."""
    job, _ = (httpx.post(f"{address}/tasks?name={name}", content=zipped(task)).json()["id"] for name in ("a", "b"))
    answers(lambda: bool(httpx.get(f"{address}/jobs/{job}").json()["progress"]))
    return str(job)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGHUP], ids=["interrupted", "hung up"])
def test_whoever_follows_a_task_is_not_waited_for(
    one: Scholar, high: Task, tmp_path: Path, temporary: Path, how: signal.Signals
) -> None:
    with opened(one, tmp_path, temporary) as (server, address):
        job = teach(address, high)
        assert list(temporary.glob("scholars-task-*/images"))
        headers = {"accept": "text/event-stream"}
        with httpx.stream("GET", f"{address}/jobs/{job}", headers=headers, timeout=60) as answer:
            lines = answer.iter_lines()
            assert next(lines).startswith("data: ")
            server.send_signal(how)
            for _ in lines:  # to its end, which comes
                pass
        _, said = server.communicate(timeout=60)
    assert "Traceback" not in said
    assert "ERROR" not in said
    assert list(temporary.glob("scholars-*")) == []


@pytest.mark.skipif(not Path("/proc/self/cmdline").is_file(), reason="this system does not list processes as files")
@pytest.mark.parametrize("learning", [True, False], ids=["while it learns", "as it begins"])
def test_what_a_killed_studio_leaves_the_next_removes(
    one: Scholar, high: Task, tmp_path: Path, temporary: Path, learning: bool
) -> None:
    with opened(one, tmp_path, temporary) as (server, address):
        if learning:
            teach(address, high)
        else:
            httpx.post(f"{address}/tasks?name=a", content=zipped(high))
        answers(lambda: bool(learners(temporary)))
        server.kill()
        server.wait()
        assert list(temporary.glob("scholars-task-*/images"))
        # Nobody hears the learner any more, and it ends by itself.
        answers(lambda: not learners(temporary))
    with opened(one, tmp_path, temporary):
        assert not list(temporary.glob("scholars-*"))


def learners(temporary: Path) -> list[Path]:
    """The processes that were told of what is in this folder."""
    return [path for path in Path("/proc").glob("[0-9]*/cmdline") if str(temporary) in _words(path)]


def _words(command: Path) -> str:
    try:
        return command.read_text()
    except OSError:  # it has ended by now
        return ""


def test_only_what_nobody_holds_is_removed(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    (temporary / "elsewhere").mkdir()
    (temporary / "scholars-task-link").symlink_to(temporary / "elsewhere")
    (temporary / "scholars-task-left" / "images").mkdir(parents=True)
    held = Scratch()
    remove_abandoned()
    assert not (temporary / "scholars-task-left").exists()
    assert (temporary / "elsewhere").is_dir()
    assert held.folder.is_dir()
    held.close()
    assert sorted(path.name for path in temporary.iterdir()) == ["elsewhere", "scholars-task-link"]


def test_where_nothing_can_be_locked_a_task_is_taken_in(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unable(lock: FileLock, **_: Any) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.setattr(FileLock, "acquire", unable)
    held = Scratch()
    remove_abandoned()
    assert [held.folder] == list(temporary.iterdir())
    held.close()
    assert not list(temporary.iterdir())


def test_what_is_being_unpacked_is_not_kept(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread that unpacks has ended when its request has, and what it wrote is gone."""
    begun, ended = threading.Event(), threading.Event()

    def unpacking(archive: Path, intake: Intake) -> None:
        try:
            with intake.begin(intake.folder / "cat" / "a.png") as file:
                begun.set()
                while True:
                    intake.add(file, b"x")
        finally:
            ended.set()

    async def sent() -> None:
        async def body() -> Message:
            return {"type": "http.request", "body": b"zip", "more_body": False}

        async def request() -> None:
            async with receiving.one() as scratch:
                await _taken_in(Request({"type": "http", "headers": []}, body), scratch.folder, ())

        receiving = Receiving()
        task = asyncio.create_task(request())
        await asyncio.to_thread(begun.wait)
        task.cancel()
        await receiving.ended()
        assert ended.is_set()
        assert task.cancelled()

    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.setattr(uploads, "unpack", unpacking)
    asyncio.run(asyncio.wait_for(sent(), 30))
    assert not list(temporary.iterdir())
