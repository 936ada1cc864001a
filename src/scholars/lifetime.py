"""A scholar for life: it lives in a folder, learns a task there now and then, and is used in between."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from scholars import store
from scholars.auditing import audit
from scholars.config import changed
from scholars.errors import InputError
from scholars.fitting import SAVE_EVERY, Session, Tick
from scholars.generations import keep as keep_generation
from scholars.generations import place_of
from scholars.learning import learn, union
from scholars.scholar import Scholar
from scholars.settings import ComputeSettings, Settings
from scholars.tasks import Images, Task
from scholars.tasks.task import composed
from scholars.undertaking import alone, ended_in, note_outcome, pieces, unfinished


@dataclass(frozen=True)
class Watch:
    """Who is told what while a scholar learns.

    on_tick: training progress
    on_note: what its owner should know: one sentence each
    stopping: True asks it to stop; teaching the same task again goes on from there
    """

    on_tick: Callable[[Tick], None] = field(default=lambda tick: None)
    on_note: Callable[[str], None] = field(default=lambda note: None)
    stopping: Callable[[], bool] = field(default=lambda: False)


def teach(
    folder: str | Path,
    task: Task,
    *,
    origin: str | Path | None = None,
    changes: Mapping[str, Any] | None = None,
    seed: int = 0,
    keep: bool = False,
    watch: Watch | None = None,
    save_every: float = SAVE_EVERY,
) -> Scholar:
    """Teach ``task`` to the scholar in ``folder``, which is made if absent, else replaced by its next generation.

    origin: another scholar's folder, from a copy of which a new lineage starts; ``folder`` must be absent
    changes: settings by dotted path, laid over those that the last task was learned with
    keep: leave the scholar of before beside the new one, as ``FOLDER.gen-N`` (see `scholars.generations`)
    save_every: seconds between checkpoints of the unfinished work

    The old scholar stays whole until the new one is. Interrupted work is kept beside the folder, and the same call goes
    on with it bit for bit. Raises InputError for what cannot be learned, or while another process teaches this folder;
    Interrupted when asked to stop.
    """
    folder, watch = _from_outside(Path(folder)), watch or Watch()
    with alone(folder, "teaching"):
        work = store.unfinished(folder)
        for path in (folder, work):
            store.clear_away(path)
        previous = _previous(folder, origin)
        settings = _settings(previous, changes)
        if previous and ended_in(work, previous, task, settings, seed):
            store.discard(work)
            return previous
        if origin is not None:
            _check_absent(folder)
        for note in _notes(task, previous):
            watch.on_note(note)
        session = Session(work, watch.on_tick, watch.stopping, save_every)
        match unfinished(work, task, previous, settings, seed):
            case True:
                watch.on_note("going on with unfinished work: what is done already is passed over")
            case False:
                watch.on_note("warning: unfinished work, of other data, settings or seed, is given up; all begins anew")
        begun = work.exists()
        try:
            learned = learn(task, previous, settings=settings, seed=seed, session=session)
        except InputError:
            # What another command left unfinished is not this one's to throw away.
            if not begun:
                store.discard(work)
            raise
        if settings.audit.dreams:
            found = audit(learned, [task], seed=seed, session=session)
            learned = learned.audited(found)
            for warning in found.warnings:
                watch.on_note(f"warning: {warning}")
        if keep and previous and not origin:
            keep_generation(folder)
        note_outcome(work, learned)
        learned.save(folder)
        store.discard(work)
    return learned


def return_to(folder: Path, key: str) -> Scholar:
    """Put a generation that was kept back in its place; the one that was there is kept in turn.

    key: see `scholars.generations`

    Raises InputError where that generation was not kept, or while another process teaches this folder.
    """
    with alone(_from_outside(folder), "teaching"):
        earlier = Scholar.load(place_of(folder, key))
        keep_generation(folder)
        earlier.save(folder)
    return earlier


def _from_outside(folder: Path) -> Path:
    """The folder, unless it is named by where one is: who is inside when it is replaced is left in the old one."""
    if folder.name in ("", ".."):
        whole = folder.resolve()
        raise InputError(f"{folder} is replaced as a whole: go out of it, to {whole.parent}, and name it {whole.name}")
    return folder


def settings_of(folder: Path, origin: Path | None, changes: Mapping[str, Any]) -> Settings:
    """How the scholar in ``folder`` would learn its next task."""
    return _settings(_previous(folder, origin), changes)


def _settings(previous: Scholar | None, changes: Mapping[str, Any] | None) -> Settings:
    # But for the machine, which may be another one.
    before = previous.lineage[-1].settings.model_copy(update={"compute": ComputeSettings()}) if previous else Settings()
    return changed(before, changes or {})


def _previous(folder: Path, origin: str | Path | None) -> Scholar | None:
    if origin is not None:
        # Both are there when a process died as soon as it had learned: see `ended_in`.
        if folder.exists() and store.unfinished(folder).is_dir():
            return Scholar.load(folder)
        _check_absent(folder)
        return Scholar.load(origin)
    return Scholar.load(folder) if store.occupied(folder) else None


def _check_absent(folder: Path) -> None:
    if folder.exists():
        raise InputError(f"{folder} is there already; --from starts a new scholar: choose a folder that is not")


def _notes(task: Task, previous: Scholar | None) -> Iterator[str]:
    known = previous.classes if previous else ()
    if previous and task.name in [record.name for record in previous.lineage]:
        yield f"a task called {task.name!r} was learned before; it is learned again, from this data"
    alike: dict[str, str] = {}
    for name in union(known, task.classes):
        other = alike.setdefault(" ".join(composed(name).casefold().split()), name)
        if other != name:
            yield f"warning: classes {other!r} and {name!r} differ only in case, spaces or Unicode; they count as two"
    darkest, brightest = _extremes(task.train)
    for label, name in enumerate(task.classes):
        own = task.train.labels == label
        if own.any() and darkest[own].min() == brightest[own].max():
            yield f"warning: every training image of class {name!r} is of one and the same colour"


def _extremes(data: Images) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """The darkest and the brightest value of each image."""
    extremes = [(piece.min(axis=(1, 2, 3)), piece.max(axis=(1, 2, 3))) for piece in pieces(data)]
    darkest, brightest = zip(*extremes, strict=True)
    return np.concatenate(darkest), np.concatenate(brightest)
