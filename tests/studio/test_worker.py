"""The worker process: what it reports, and that it stops. Forked, so that torch need not be imported again."""

from __future__ import annotations

import json
import os
import signal
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from forked import start

from scholars.scholar import Scholar
from scholars.studio.work import Work
from scholars.tasks.task import Task

from .test_app import continuing, write_images


@pytest.fixture
def endless(one: Scholar, high: Task, tmp_path: Path) -> tuple[str, ...]:
    """Arguments of a worker that takes hours."""
    continuing(one, generator__steps=1_000_000, solver__steps=1_000_000).save(tmp_path / "home")
    write_images(high, tmp_path / "task")
    return str(tmp_path / "home"), Work("learn", "a", str(tmp_path / "task")).to_json()


def run_worker(arguments: tuple[str, ...], out: Connection, err: Connection, parent: int | None = None) -> None:
    """Run the worker as a child of its studio. arguments: folder, work, plugins"""
    os.dup2(out.fileno(), 1)
    os.dup2(err.fileno(), 2)
    out.close()
    err.close()
    from scholars.studio.worker import main

    os._exit(main(*arguments[:2], str(parent or os.getppid()), *arguments[2:]))


def run_studio(arguments: tuple[str, ...], out: Connection, err: Connection, die: bool) -> None:
    """Start a worker as a studio does, and wait for it. die: be killed before the worker looks who its parent is."""
    parent = os.getpid()
    if os.fork() == 0:
        if die:
            os.kill(parent, signal.SIGKILL)
        run_worker(arguments, out, err, parent)
    out.close()
    err.close()
    os.wait()


def read(pipe: Connection) -> str:
    """Read to the end, which comes when all processes have ended that can write to the pipe."""
    content = b""
    while pipe.poll(60):
        piece = os.read(pipe.fileno(), 2**16)
        if not piece:
            return content.decode()
        content += piece
    pytest.fail(f"nothing more in a minute, after {content!r}")


@pytest.mark.parametrize("die", [False, True], ids=["while it learns", "as it begins"])
def test_a_worker_ends_when_its_studio_was_killed(endless: tuple[str, ...], die: bool) -> None:
    (messages, out), (errors, err) = Pipe(duplex=False), Pipe(duplex=False)
    parent = start(run_studio, endless, out, err, die)
    out.close()
    err.close()
    if not die:
        assert messages.poll(60)
        parent.kill()
    messages.close()  # nothing reads what the worker reports any more
    assert "Traceback" not in read(errors)


def test_a_worker_stops_when_it_is_asked_to(endless: tuple[str, ...]) -> None:
    (messages, out), (errors, err) = Pipe(duplex=False), Pipe(duplex=False)
    worker = start(run_worker, endless, out, err)
    out.close()
    err.close()
    assert messages.poll(60)
    worker.terminate()
    reports = [json.loads(line) for line in read(messages).splitlines()]
    assert {"stage", "step", "steps"} == set(reports[0])
    assert set(reports[-1]) == {"error"}
    assert "Traceback" not in read(errors)
    worker.join(60)
    assert worker.exitcode == 1


def test_what_a_plugin_prints_is_no_report(tmp_path: Path) -> None:
    plugin = tmp_path / "chatty.py"
    plugin.write_text("print('hello', flush=True)")
    (messages, out), (errors, err) = Pipe(duplex=False), Pipe(duplex=False)
    start(run_worker, (str(tmp_path / "none"), Work("forget", "x").to_json(), str(plugin)), out, err)
    out.close()
    err.close()
    assert [list(json.loads(line)) for line in read(messages).splitlines()] == [["error"]]
    assert "hello" in read(errors)
