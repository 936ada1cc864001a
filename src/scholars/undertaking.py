"""Unfinished learning in a folder, and whose it is: what is found there goes on only if it is this very undertaking."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from filelock import FileLock, Timeout

from scholars import store
from scholars.errors import InputError
from scholars.fitting import Session, Tick
from scholars.scholar import Scholar
from scholars.settings import Settings
from scholars.tasks.task import Images, Task

_NOTE, _OUTCOME, SPENT = "learning.json", "learned.json", "seconds.json"
_PIECE = 4096  # images


@contextmanager
def alone(folder: Path, doing: str) -> Iterator[None]:
    """Inside, no other process is ``doing`` something to ``folder``; the system frees the lock of one that died.

    Raises InputError where another one is.
    """
    whole = folder.resolve()
    whole.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(whole.with_name(f".{whole.name}.lock"))
    try:
        with lock.acquire(timeout=0):
            yield
    except Timeout:
        if not Path(lock.lock_file).exists():  # as in /proc: there is nobody to wait for
            raise InputError(f"{whole.parent} cannot be written to: choose another folder") from None
        raise InputError(f"another process is {doing} {folder} just now: wait until it is done") from None


def check_folder(out: Path, what: str, note: str, document: dict[str, Any], resume: bool) -> None:
    """Raise InputError unless ``what`` may be carried out in ``out``: a new or empty folder, or its own if it resumes.

    note: the file in which ``document``, which says what is to be done, is kept there
    """
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; --out takes a folder")
    if not out.is_dir() or all(store.abandoned(entry, note) for entry in out.iterdir()):
        return
    if not (out / note).is_file():
        raise InputError(f"{out} is not empty and holds no {what}: choose another --out")
    if store.read_json(out / note) != document:
        raise InputError(f"{out} already holds another {what} (see its {note}): choose another --out, or remove it")
    if not resume:
        raise InputError(f"{out} already holds this {what}: go on with it by --resume, or choose another --out")


def claim(
    folder: Path, task: Task, previous: Scholar | None, settings: Settings, seed: int, past: str | Sequence[Task]
) -> None:
    """Make ``folder`` the place for this learning, emptied unless what is there was begun by the very same.

    The same are data, settings, seed, and the scholar that it goes on from, all down to the last bit. Raises InputError
    for a folder that holds anything else: it is left as it is.
    """
    undertaking = _undertaking(task, previous, settings, seed, past)
    note = folder / _NOTE
    if note.is_file():
        if _noted(note) == undertaking:
            return
        store.discard(folder)
    elif folder.exists() and (not folder.is_dir() or not all(store.abandoned(one, _NOTE) for one in folder.iterdir())):
        raise InputError(f"{folder} is there and holds no unfinished learning: choose another folder, or empty it")
    folder.mkdir(parents=True, exist_ok=True)
    store.write_json(note, undertaking)


def unfinished(folder: Path, task: Task, previous: Scholar | None, settings: Settings, seed: int) -> bool | None:
    """Whether what is in ``folder`` was begun by this very learning; None where there is nothing."""
    note = folder / _NOTE
    return _noted(note) == _undertaking(task, previous, settings, seed, "dreams") if note.is_file() else None


def note_outcome(folder: Path, learned: Scholar) -> None:
    """Say what this learning ends in, just before that takes its place: see `ended_in`."""
    store.write_json(folder / _OUTCOME, {"scholar": _scholar(learned)})


def ended_in(folder: Path, scholar: Scholar, task: Task, settings: Settings, seed: int) -> bool:
    """Whether the learning in ``folder`` is of this task, and ``scholar`` came of it already.

    So it is where a process died after the new scholar had taken its place, and before its work was cleared away:
    learned once more, the task would be learned twice.
    """
    undertaking, outcome = _noted(folder / _NOTE), _noted(folder / _OUTCOME)
    if not undertaking or not outcome or outcome.get("scholar") != _scholar(scholar):
        return False
    return undertaking == {**_undertaking(task, None, settings, seed, "dreams"), "from": undertaking.get("from")}


@contextmanager
def timed(note: Path | None, session: Session, seconds: dict[str, float], stage: str) -> Iterator[Session]:
    """Say in ``seconds`` what the stage takes, with what its interrupted attempts took if there is a ``note`` of them.

    Gives the session to work with: while it ticks the note is written as often as it saves, so that what is lost with a
    process that is killed is no more than that.
    """
    spent = store.read_json(note) if note and note.is_file() else {}
    began = noted = time.perf_counter()

    def so_far(now: float) -> None:
        nonlocal noted
        seconds[stage], noted = round(spent.get(stage, 0.0) + now - began, 3), now
        if note:
            store.write_json(note, {**spent, **seconds})

    def on_tick(tick: Tick) -> None:
        session.on_tick(tick)
        now = time.perf_counter()
        if now - noted >= session.save_every:
            so_far(now)

    try:
        yield replace(session, on_tick=on_tick)
    finally:
        so_far(time.perf_counter())


def pieces(data: Images) -> Iterator[npt.NDArray[np.uint8]]:
    """The images, some thousands at a time: they may be more than memory holds."""
    for start in range(0, len(data), _PIECE):
        yield data.images[start : start + _PIECE]


def _undertaking(
    task: Task, previous: Scholar | None, settings: Settings, seed: int, past: str | Sequence[Task]
) -> dict[str, Any]:
    return {
        "task": _task(task),
        "from": _scholar(previous),
        "seed": seed,
        "settings": settings.model_dump(mode="json"),
        "past": past if isinstance(past, str) else [_task(one) for one in past],
    }


def _noted(note: Path) -> dict[str, Any] | None:
    """What a note says; None where there is none, or one that cannot be read: it is nobody's."""
    try:
        return store.read_json(note)
    except InputError:
        return None


def _task(task: Task) -> str:
    """What the task holds, as SHA-256: names, images, labels."""
    digest = hashlib.sha256(repr((task.name, task.classes)).encode())
    for data in (task.train, task.test):
        digest.update(repr(data.images.shape).encode())
        for piece in pieces(data):
            digest.update(piece.tobytes())
        digest.update(data.labels.tobytes())
    return digest.hexdigest()


def _scholar(previous: Scholar | None) -> str | None:
    """The digest of its weights."""
    if previous is None:
        return None
    digest = hashlib.sha256(repr(previous.classes).encode())
    for module in (previous.solver, previous.generator):
        for value in module.state_dict().values() if module else ():
            digest.update(value.cpu().contiguous().numpy())
    return digest.hexdigest()
