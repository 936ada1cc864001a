"""Resume interrupted learning, if data, settings, seed and previous scholar are the same."""

import hashlib
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from scholars.backbones import Backbone
from scholars.errors import InputError
from scholars.learning.arguments import LearnArgs
from scholars.learning.estimate import estimate
from scholars.learning.minutes import fit_budget, with_noted_budget
from scholars.scholar import Scholar
from scholars.settings import Settings
from scholars.settings.privacy import Privacy
from scholars.storage import files
from scholars.storage.work import WorkFolder
from scholars.tasks.task import Task
from scholars.training.loop import Session
from scholars.training.meter import Tick

_NOTE, _OUTCOME, SPENT = "learning.json", "learned.json", "seconds.json"


def unfinished_work(folder: Path, args: LearnArgs) -> WorkFolder:
    """Return ``folder`` as the place of this very learning: equal data, settings, seed and previous weights."""
    if args.new is None:
        return WorkFolder(folder, _NOTE, _key_of_dreams(args))
    previous = weights_digest(args.previous) if args.previous else None
    past = args.past if isinstance(args.past, str) else [task.digest for task in args.past]
    key = _key(args.task, args.settings, args.seed, args.privacy)
    return WorkFolder(folder, _NOTE, {**key, "from": previous, "past": past})


def _key_of_dreams(args: LearnArgs) -> dict[str, Any]:
    """Return what is equal for equal learning from the dreams of scholars alone."""
    teachers = [
        {
            "scholar": weights_digest(dreamer.scholar),
            "outputs": dreamer.outputs.tolist(),
            "conditions": dreamer.conditions.tolist(),
            "weights": dreamer.weights.tolist(),
        }
        for dreamer in args.inherited.dreamers
    ]
    classes = list(args.inherited.classes)
    return {
        "teachers": teachers,
        "classes": classes,
        "seed": args.seed,
        "settings": args.settings.model_dump(mode="json"),
    }


def fit_minutes(args: LearnArgs, backbone: Backbone | None, folder: Path | None, times: int = 1) -> LearnArgs:
    """Return the arguments with the budget that takes ``settings.minutes``; unfinished work keeps the one it has.

    folder: where unfinished work is kept
    times: how often the task is learned
    """

    def unfinished(settings: Settings) -> WorkFolder:
        assert folder
        return unfinished_work(folder, replace(args, settings=settings))

    settings = fit_budget(args.settings, unfinished if folder else None, lambda: estimate(args, backbone).times(times))
    return replace(args, settings=settings)


def claim(folder: Path, args: LearnArgs) -> None:
    """Begin or resume this learning in ``folder``; unfinished work of another learning there is removed.

    Raises InputError for a folder that holds anything else: it is left as it is.
    """
    work = unfinished_work(folder, args)
    state = work.state()
    if state == "foreign":
        raise InputError(f"{folder} is there and holds no unfinished learning: choose another folder, or empty it")
    if state == "other":
        work.remove()
    work.begin()


def record_outcome(folder: Path, learned: Scholar, what: Sequence[Any] = ()) -> None:
    """Record which scholar this learning ends in, just before that takes its place: see `already_learned`.

    what: what was done without a task, see `is_outcome`
    """
    files.write_json(folder / _OUTCOME, {"scholar": weights_digest(learned), "what": list(what)})


def is_outcome(folder: Path, scholar: Scholar, what: Sequence[Any]) -> bool:
    """Return whether what was done in ``folder``, without a task, is ``what``, and ``scholar`` is its outcome."""
    try:
        outcome = files.read_json(folder / _OUTCOME)
    except InputError:
        return False
    return outcome == {"scholar": weights_digest(scholar), "what": list(what)}


def is_of_task(folder: Path) -> bool:
    """Return whether the unfinished work in ``folder`` is the learning of a task."""
    try:
        return "task" in files.read_json(folder / _NOTE)
    except InputError:
        return False


def is_not_private(folder: Path) -> bool:
    """Return whether the work in ``folder`` is unfinished, and not that of a private task."""
    try:
        return "privacy" not in files.read_json(folder / _NOTE)
    except InputError:
        return False


def already_learned(
    folder: Path, scholar: Scholar, task: Task, settings: Settings, seed: int, privacy: Privacy | None
) -> bool:
    """Return whether the learning in ``folder`` is of this task, and ``scholar`` is its outcome.

    That is so where a process died after the new scholar had taken its place and before its work was removed: repeated,
    the command would learn the task twice.
    """
    try:
        note, outcome = files.read_json(folder / _NOTE), files.read_json(folder / _OUTCOME)
    except InputError:
        return False
    if settings.minutes is not None:  # the budget was chosen by the machine's pace then
        settings = with_noted_budget(settings, note)
    same = note == {**note, **_key(task, settings, seed, privacy), "past": "dreams"}
    return same and outcome.get("scholar") == weights_digest(scholar)


@contextmanager
def stage_timer(note: Path | None, session: Session, seconds: dict[str, float], stage: str) -> Iterator[Session]:
    """Measure in ``seconds`` what the stage takes, with what its interrupted attempts took if there is a ``note``.

    Yields the session to work with: while it ticks, the note is written as often as checkpoints, so that a killed
    process loses no more than that.
    """
    spent = files.read_json(note) if note and note.is_file() else {}
    start = last_note = time.perf_counter()

    def write(now: float) -> None:
        nonlocal last_note
        seconds[stage], last_note = round(spent.get(stage, 0.0) + now - start, 3), now
        if note:
            files.write_json(note, {**spent, **seconds})

    def on_tick(tick: Tick) -> None:
        session.on_tick(tick)
        now = time.perf_counter()
        if now - last_note >= session.save_every:
            write(now)

    try:
        yield replace(session, on_tick=on_tick)
    finally:
        write(time.perf_counter())


def _key(task: Task, settings: Settings, seed: int, privacy: Privacy | None) -> dict[str, Any]:
    asked = {"privacy": privacy.model_dump(mode="json")} if privacy else {}
    return {"task": task.digest, "seed": seed, "settings": settings.model_dump(mode="json"), **asked}


def weights_digest(scholar: Scholar) -> str:
    """Return the SHA-256 of the class names and of the weights of both networks."""
    digest = hashlib.sha256(repr(scholar.classes).encode())
    for module in (scholar.solver, scholar.generator):
        for value in module.state_dict().values() if module else ():
            digest.update(value.cpu().contiguous().numpy())
    return digest.hexdigest()
