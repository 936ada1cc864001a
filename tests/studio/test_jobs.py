"""Tasks taught one after the other, whatever becomes of each: with a learner that only says that it learns."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from scholars.studio.jobs import Job, JobQueue, QueueFull
from scholars.studio.work import Work

LEARNER = """#!/bin/sh
# called as: -P -m scholars.studio.worker FOLDER WORK PARENT PLUGIN...
echo $$ > "$0.pid"
echo '{"stage": "solver", "step": 1, "steps": 2}'
case "$5" in
  *'"name": "refused"'*) echo '{"error": "one class only"}'; exit 1;;
  *'"name": "killed"'*) kill -9 $$;;
  *'"name": "silent"'*) exec sleep 60;;
  *'"name": "own"'*) echo '{"note": "with '"$7"'"}';;
esac
echo '{"note": "mind this"}'
echo '{"generation": 2, "accuracy": 0.5, "tested": 4}'
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    learner = tmp_path / "learner"
    learner.write_text(LEARNER)
    learner.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(learner))
    return tmp_path / "scholar"


def taught(folder: Path, *names: str, on_done: Callable[[], None] = lambda: None) -> list[Job]:
    """Each task taught; returns when all have ended."""

    async def all_of_them() -> list[Job]:
        jobs = JobQueue(folder, on_done)
        found = [jobs.add(Work("learn", name, str(folder)), _scratch(folder, name)) for name in names]
        assert jobs.open_jobs() == [job.id for job in found]
        worker = asyncio.create_task(jobs.run())
        for job in found:
            async for _ in jobs.watch(job):
                pass
        assert jobs.open_jobs() == []
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
        return found

    return asyncio.run(asyncio.wait_for(all_of_them(), 30))


def _scratch(folder: Path, name: str) -> Callable[[], None]:
    scratch = folder.with_name(f"{name}.scratch")
    scratch.mkdir()
    return scratch.rmdir


def test_one_that_fails_or_dies_stops_no_other(folder: Path) -> None:
    done, refused, killed, after = taught(folder, "good", "refused", "killed", "after")
    assert (done.state, done.outcome, done.notes) == (
        "done",
        {"generation": 2, "accuracy": 0.5, "tested": 4},
        ["mind this"],
    )
    assert (refused.state, refused.error) == ("failed", "one class only")
    assert (killed.state, killed.error) == ("failed", "the worker process died (exit code -9)")
    assert after.state == "done"
    assert not list(folder.parent.glob("*.scratch")), "what was sent is not kept"


def test_a_generation_that_cannot_be_opened_stops_no_other(folder: Path) -> None:
    calls: list[int] = []

    def on_done() -> None:
        calls.append(1)
        if len(calls) == 1:
            raise OSError("the disk is gone")

    first, second = taught(folder, "first", "second", on_done=on_done)
    assert (first.state, first.error) == ("failed", "OSError: the disk is gone")
    assert second.state == "done"


def test_so_many_may_wait_and_no_more(folder: Path) -> None:
    jobs = JobQueue(folder, lambda: None)
    for number in range(8):
        jobs.add(Work("forget", f"{number}"))
    with pytest.raises(QueueFull, match="8 jobs are waiting already"):
        jobs.add(Work("learn", "one more", str(folder)))


def closed(folder: Path, *names: str) -> list[Job]:
    """The jobs of these names, when the studio was closed while the first was learned."""

    async def while_it_learns() -> list[Job]:
        jobs = JobQueue(folder, lambda: None)
        found = [jobs.add(Work("learn", name, str(folder)), _scratch(folder, name)) for name in names]
        worker = asyncio.create_task(jobs.run())
        async for words in jobs.watch(found[0]):
            if words["progress"]:
                break
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
        return found

    return asyncio.run(asyncio.wait_for(while_it_learns(), 30))


def test_closing_the_studio_stops_the_learner(folder: Path) -> None:
    (job,) = closed(folder, "silent")
    assert (job.state, job.error) == ("failed", "the studio was closed")
    assert not list(folder.parent.glob("*.scratch"))
    with pytest.raises(ProcessLookupError):
        os.kill(int((folder.parent / "learner.pid").read_text()), 0)


def test_what_waits_when_the_studio_is_closed_is_not_kept(folder: Path) -> None:
    assert [job.error for job in closed(folder, "silent", "second", "third")] == ["the studio was closed"] * 3
    assert not list(folder.parent.glob("*.scratch"))


def test_a_learner_is_given_the_networks_of_ones_own(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scholars.studio.jobs.plugins", lambda: ("/home/me/own.py",))
    assert taught(folder, "own")[0].notes == ["with /home/me/own.py", "mind this"]


def test_whoever_watches_slowly_sees_the_end(folder: Path) -> None:
    async def seen() -> list[str]:
        jobs = JobQueue(folder, lambda: None)
        job = jobs.add(Work("learn", "good", str(folder)), _scratch(folder, "good"))
        worker = asyncio.create_task(jobs.run())
        states = []
        async for words in jobs.watch(job):
            states.append(words["state"])
            while not job.finished:
                await asyncio.sleep(0.01)
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
        return states

    assert asyncio.run(asyncio.wait_for(seen(), 30)) == ["waiting", "done"]
