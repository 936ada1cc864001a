"""The queue of jobs: one after the other, each in a worker process of its own."""

import asyncio
import json
import os
import secrets
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from scholars.settings.registry import plugins
from scholars.studio.work import Kind, Work

_MAX_WAITING, _MAX_FINISHED = 8, 50

State = Literal["waiting", "learning", "done", "failed"]


@dataclass
class Job:
    """A task that is taught, or another change of the scholar.

    kind, name: those of its `Work`
    progress: stage, step and steps, as the worker last reported them
    notes: messages for the user
    outcome: of a job that is done: its worker's last message, with the generation and the number of classes
    error: of a job that failed: why
    """

    id: str
    kind: Kind
    name: str
    state: State = "waiting"
    progress: dict[str, Any] | None = None
    notes: list[str] = field(default_factory=list)
    outcome: dict[str, Any] | None = None
    error: str | None = None

    @property
    def finished(self) -> bool:
        """True if the job is done or failed."""
        return self.state in ("done", "failed")


class QueueFull(Exception):
    """Too many jobs are waiting already."""


class JobQueue:
    """Teaches and changes the scholar in ``folder``, one job at a time.

    on_done: called when ``folder`` holds a new generation
    closing: set when the server is about to shut down; ends every `watch`
    """

    def __init__(self, folder: Path, on_done: Callable[[], None], closing: asyncio.Event | None = None) -> None:
        self._folder, self._on_done, self._closing = folder, on_done, closing or asyncio.Event()
        self._jobs: dict[str, Job] = {}
        self._waiting: asyncio.Queue[tuple[Job, Work, Callable[[], None]]] = asyncio.Queue()
        # Set, and replaced by a new one, whenever a job changes.
        self._changed = asyncio.Event()

    def get(self, job_id: str) -> Job | None:
        """Return the job with this id."""
        return self._jobs.get(job_id)

    def open_jobs(self) -> list[str]:
        """Return the ids of the jobs that are not finished, the oldest first."""
        return [job.id for job in self._jobs.values() if not job.finished]

    def add(self, work: Work, cleanup: Callable[[], None] = lambda: None, note: str | None = None) -> Job:
        """Queue some work.

        cleanup: removes its ``source``; called when the job has finished
        note: a first message for the user

        Raises QueueFull.
        """
        if sum(job.state == "waiting" for job in self._jobs.values()) >= _MAX_WAITING:
            raise QueueFull(f"{_MAX_WAITING} jobs are waiting already: send this one again when one of them is done")
        job = Job(secrets.token_hex(8), work.kind, work.name, notes=[note] if note else [])
        self._jobs[job.id] = job
        for old in [job for job in self._jobs.values() if job.finished][:-_MAX_FINISHED]:
            del self._jobs[old.id]
        self._waiting.put_nowait((job, work, cleanup))
        return job

    async def run(self) -> None:
        """Do what is queued until cancelled; then stop the worker and fail the jobs that are not finished."""
        try:
            while True:
                job, work, cleanup = await self._waiting.get()
                try:
                    await self._do(job, work)
                except Exception as error:  # fails this job only: the next one is done
                    job.state, job.error = "failed", f"{type(error).__name__}: {error}"
                finally:
                    await self._finish(job, cleanup)
        finally:
            while not self._waiting.empty():
                job, _, cleanup = self._waiting.get_nowait()
                await self._finish(job, cleanup)

    async def watch(self, job: Job) -> AsyncIterator[dict[str, Any]]:
        """Yield the job as JSON now and after each change, until it has finished or the server is closing."""
        last: dict[str, Any] | None = None
        while True:
            # Read before the yield: a change that comes while a slow client takes this state is not missed.
            state, finished, changed = asdict(job), job.finished, self._changed
            if state != last:
                yield state
                last = state
            if finished or self._closing.is_set():
                return
            await changed.wait()

    async def end_watches(self) -> None:
        """Wait until the server is closing, then end every `watch`."""
        await self._closing.wait()
        self._notify()

    async def _do(self, job: Job, work: Work) -> None:
        job.state = "learning"
        self._notify()
        arguments = [str(self._folder), work.to_json(), str(os.getpid()), *plugins()]
        worker = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "scholars.studio.worker", *arguments),
            # It imports from where this process does, and not (-P) from the folder in which the studio was started.
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            # Ctrl-C reaches the studio only, which then asks the worker to stop and to keep its checkpoint.
            start_new_session=True,
        )
        assert worker.stdout is not None
        try:
            async for line in worker.stdout:
                # Who sent the source does not know where it is stored here.
                _apply(job, json.loads(line), lambda text: text.replace(work.source or work.name, work.name))
                self._notify()
            await worker.wait()
        finally:
            if worker.returncode is None:
                worker.terminate()
                await worker.wait()
        if job.outcome is None:
            job.state, job.error = "failed", job.error or f"the worker process died (exit code {worker.returncode})"
            return
        # In a thread: predictions are answered while the new generation is loaded.
        await asyncio.to_thread(self._on_done)
        job.state = "done"

    async def _finish(self, job: Job, cleanup: Callable[[], None]) -> None:
        await asyncio.to_thread(cleanup)
        if not job.finished:
            job.state, job.error = "failed", "the studio was closed"
        self._notify()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


def _apply(job: Job, message: dict[str, Any], rename: Callable[[str], str]) -> None:
    """Update a job by a message of its worker (see `studio.worker`)."""
    if "stage" in message:
        job.progress = message
    elif "note" in message:
        job.notes.append(rename(message["note"]))
    elif "error" in message:
        job.error = rename(message["error"])
    else:
        job.outcome = message
