"""Tasks that wait to be taught, and the one that is: each in a process of its own, one after the other."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from scholars.registry import plugins

# Jobs that may wait, and those that ended and are remembered.
_MOST_WAITING, _REMEMBERED = 8, 50

State = Literal["waiting", "learning", "done", "failed"]


@dataclass
class Job:
    """One task on its way.

    progress: stage, step and steps, as the training last reported them
    outcome: generation, accuracy on the new task's test part and how many images that has, when it is done
    error: what was wrong, when it failed
    """

    id: str
    name: str
    state: State = "waiting"
    progress: dict[str, Any] | None = None
    notes: list[str] = field(default_factory=list)
    outcome: dict[str, Any] | None = None
    error: str | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more will come of it."""
        return self.state in ("done", "failed")


class Full(Exception):
    """Too many tasks wait already."""


class Jobs:
    """The queue.

    on_done: called when the scholar's folder holds a new generation
    closing: set when nobody is to be kept waiting any more: see `watch`
    """

    def __init__(self, folder: Path, on_done: Callable[[], None], closing: asyncio.Event | None = None) -> None:
        self._folder, self._on_done, self._closing = folder, on_done, closing or asyncio.Event()
        self._jobs: dict[str, Job] = {}
        self._waiting: asyncio.Queue[tuple[Job, Path, Callable[[], None]]] = asyncio.Queue()
        self._changed, self._turn = asyncio.Condition(), 0

    def get(self, identity: str) -> Job | None:
        """The job of this id."""
        return self._jobs.get(identity)

    def unfinished(self) -> list[str]:
        """The ids of the job that learns and of those that wait, in their order."""
        return [job.id for job in self._jobs.values() if not job.ended]

    def add(self, name: str, source: Path, clear: Callable[[], None], note: str | None = None) -> Job:
        """Queue the image folder ``source``.

        clear: removes it; called when it has been taught, or never will be
        note: what its owner should know of it already

        Raises Full.
        """
        if sum(job.state == "waiting" for job in self._jobs.values()) >= _MOST_WAITING:
            raise Full(f"{_MOST_WAITING} tasks wait already: teach more when one is done")
        job = Job(secrets.token_hex(8), name, notes=[note] if note else [])
        self._jobs[job.id] = job
        for old in [one for one in self._jobs.values() if one.ended][:-_REMEMBERED]:
            del self._jobs[old.id]
        self._waiting.put_nowait((job, source, clear))
        return job

    async def run(self) -> None:
        """Teach what is queued, until cancelled: then the one that learns is asked to stop, the others are given up."""
        try:
            await self._run()
        finally:
            while not self._waiting.empty():
                job, _, clear = self._waiting.get_nowait()
                await self._give_up(job, clear)

    async def _run(self) -> None:
        while True:
            job, source, clear = await self._waiting.get()
            try:
                await self._teach(job, source)
            except Exception as error:  # the next task is taught all the same
                job.state, job.error = "failed", f"{type(error).__name__}: {error}"
            finally:
                await self._give_up(job, clear)

    async def _give_up(self, job: Job, clear: Callable[[], None]) -> None:
        """Nothing more comes of the job: clear up after it, and say so unless it had ended well or badly before."""
        await asyncio.to_thread(clear)
        if not job.ended:
            job.state, job.error = "failed", "the studio was closed"
        await self._tell()

    async def watch(self, job: Job) -> AsyncIterator[dict[str, Any]]:
        """The job now, and each time that it changes, until it has ended or the studio is closing."""
        last: dict[str, Any] | None = None
        while True:
            # Looked at together: whoever is slow to take one state must not miss the next, and not the last one.
            now, ended, seen = asdict(job), job.ended, self._turn
            if now != last:
                yield now
                last = now
            if ended or self._closing.is_set():
                return
            async with self._changed:
                while self._turn == seen:
                    await self._changed.wait()

    async def end_watching(self) -> None:
        """Wake those who `watch` when the studio is closing."""
        await self._closing.wait()
        await self._tell()

    async def _teach(self, job: Job, source: Path) -> None:
        job.state = "learning"
        await self._tell()
        words = [str(self._folder), str(source), job.name, str(os.getpid()), *plugins()]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "scholars.serve.teaching", *words),
            # It imports from where the studio does, which need not be the folder that it was started in.
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            # Ctrl-C is for the studio, which then asks the learner to stop and keep what it has.
            start_new_session=True,
        )
        assert process.stdout is not None
        try:
            async for line in process.stdout:
                self._heard(job, json.loads(line), source)
                await self._tell()
            await process.wait()
        finally:
            if process.returncode is None:
                process.terminate()
                await process.wait()
        if job.outcome is None:
            job.state, job.error = "failed", job.error or f"the learner died (exit code {process.returncode})"
            return
        # In a thread: predictions are answered while the new generation is loaded.
        await asyncio.to_thread(self._on_done)
        job.state = "done"

    @staticmethod
    def _heard(job: Job, words: dict[str, Any], source: Path) -> None:
        # Where the images lie here is nothing that their sender knows.
        if "stage" in words:
            job.progress = words
        elif "note" in words:
            job.notes.append(words["note"].replace(str(source), job.name))
        elif "error" in words:
            job.error = words["error"].replace(str(source), job.name)
        else:
            job.outcome = words

    async def _tell(self) -> None:
        async with self._changed:
            self._turn += 1
            self._changed.notify_all()
