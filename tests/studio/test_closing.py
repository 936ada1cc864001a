"""However a studio ends: nobody is kept waiting, and nothing that was sent to it stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from filelock import FileLock

from scholars.config import build
from scholars.scholar import Scholar
from scholars.serve.scratch import Scratch
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
        assert list(temporary.glob("scholars-*/task-*/images"))
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


def test_what_a_killed_studio_leaves_the_next_removes(
    one: Scholar, high: Task, tmp_path: Path, temporary: Path
) -> None:
    with opened(one, tmp_path, temporary) as (server, address):
        teach(address, high)
        server.kill()
        server.wait()
        assert list(temporary.glob("scholars-*/task-*/images"))
        # The learner, whom nobody hears any more, ends by itself.
        answers(lambda: not [p for p in Path("/proc").glob("[0-9]*/cmdline") if str(temporary) in _words(p)])
    with opened(one, tmp_path, temporary):
        assert not list(temporary.glob("scholars-*/task-*"))


def _words(command: Path) -> str:
    try:
        return command.read_text()
    except OSError:  # it has ended by now
        return ""


def test_only_what_nobody_holds_is_removed(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    (temporary / "elsewhere").mkdir()
    (temporary / "scholars-studio-link").symlink_to(temporary / "elsewhere")
    (temporary / "scholars-studio-left" / "task-1").mkdir(parents=True)
    living = Scratch()
    task = living.new()
    (temporary / "scholars-studio-held").mkdir()
    with FileLock(temporary / "scholars-studio-held" / "lock"):
        other = Scratch()
    assert not (temporary / "scholars-studio-left").exists()
    assert (temporary / "scholars-studio-held").is_dir()
    assert (temporary / "elsewhere").is_dir()
    assert task.is_dir()
    living.close()
    other.close()
    assert sorted(path.name for path in temporary.iterdir()) == [
        "elsewhere",
        "scholars-studio-held",
        "scholars-studio-link",
    ]
