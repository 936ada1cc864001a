"""Unfinished learning in a folder, and whose it is: what is found there goes on only if it is this very undertaking."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from scholars import store
from scholars.errors import InputError
from scholars.scholar import Scholar
from scholars.settings import Settings
from scholars.tasks.task import Images, Task

_NOTE = "learning.json"
_PIECE = 4096  # images


def claim(
    folder: Path, task: Task, previous: Scholar | None, settings: Settings, seed: int, past: str | Sequence[Task]
) -> None:
    """Make ``folder`` the place for this learning, emptied unless what is there was begun by the very same.

    The same are data, settings, seed, and the scholar that it goes on from, all down to the last bit. Raises InputError
    for a folder that holds anything else: it is left as it is.
    """
    undertaking: dict[str, Any] = {
        "task": _task(task),
        "from": _scholar(previous),
        "seed": seed,
        "settings": settings.model_dump(mode="json"),
        "past": past if isinstance(past, str) else [_task(one) for one in past],
    }
    note = folder / _NOTE
    if note.is_file():
        try:
            if store.read_json(note) == undertaking:
                return
        except InputError:  # a note that cannot be read is nobody's
            pass
        shutil.rmtree(folder)
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is there and holds no unfinished learning: choose another folder, or empty it")
    folder.mkdir(parents=True, exist_ok=True)
    store.write_json(note, undertaking)


def pieces(data: Images) -> Iterator[npt.NDArray[np.uint8]]:
    """The images, some thousands at a time: they may be more than memory holds."""
    for start in range(0, len(data), _PIECE):
        yield data.images[start : start + _PIECE]


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
