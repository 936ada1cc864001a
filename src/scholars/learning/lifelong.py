"""A scholar in a folder: teach it one task after another, resumably; go back to an earlier generation."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from scholars.backbones import Backbone, forget_task
from scholars.errors import InputError
from scholars.learning.algorithm import learn
from scholars.learning.arguments import LearnArgs, check_task
from scholars.learning.audit import audit
from scholars.learning.callbacks import Callbacks, Position
from scholars.learning.generations import keep_generation, kept_folder
from scholars.learning.looking import (
    AUTO,
    NONE,
    Choice,
    choose_settings,
    decided_settings,
    look_at_task,
    resolve_backbone,
)
from scholars.learning.minutes import forget_budget
from scholars.learning.plan import describe_plan, task_warnings
from scholars.learning.refit import check_refit, learn_held_out
from scholars.learning.resume import already_learned, fit_minutes, record_outcome, unfinished_work
from scholars.scholar import Scholar
from scholars.settings import ComputeSettings, Settings
from scholars.settings.overrides import changed
from scholars.storage import files, scholar_folder
from scholars.storage.records import ScholarDescription
from scholars.storage.work import exclusive
from scholars.tasks.task import Task
from scholars.training.loop import SAVE_EVERY, Session


def teach(
    folder: str | Path,
    task: Task,
    *,
    origin: str | Path | None = None,
    changes: Mapping[str, Any] | None = None,
    seed: int = 0,
    keep: bool = False,
    backbone: str | None = None,
    keep_cache: bool = False,
    refit: bool = False,
    callbacks: Callbacks | None = None,
    save_every: float = SAVE_EVERY,
) -> Scholar:
    """Teach ``task`` to the scholar in ``folder``, which is made if absent, else replaced by its next generation.

    origin: another scholar's folder, from a copy of which a new lineage starts; ``folder`` must be absent
    changes: settings by dotted path, laid over those that the last task was learned with
    backbone: of a new scholar: a name, ``none``, or ``auto``, the default (see `scholars.learning.looking`)
    keep_cache: keep the features of the task's images in the user's cache
    refit: learn once more when the accuracy is known, also from the test images that Scholars itself held out; takes
        twice as long
    keep: leave the previous scholar beside the new one, as ``FOLDER.gen-N`` (see `scholars.learning.generations`)
    save_every: seconds between checkpoints of the unfinished work

    The old scholar stays whole until the new one is. Interrupted work is kept beside the folder, and the same call
    resumes it, bit for bit. Raises InputError for what cannot be learned, or while another process teaches this folder;
    Interrupted when asked to stop.
    """
    folder, callbacks = check_replaceable(Path(folder)), callbacks or Callbacks()
    position = Position(seed, "replay", task.name)
    on_note = partial(callbacks.on_note, position)
    with exclusive(folder, "teaching"):
        work = scholar_folder.work_folder(folder)
        for path in (folder, work):
            files.remove_stale_temps(path)
        check_task(task)
        previous = _previous(folder, origin)
        settings, seer, lines = _prepare(previous, task, changes, backbone, seed, refit, work)
        if callbacks.on_plan:
            for line in lines:
                callbacks.on_plan(position, line)
        for note in task.remarks:
            on_note(note)
        session = Session(work, partial(callbacks.on_tick, position), callbacks.stopping, save_every)
        if seer:
            task = look_at_task(task, seer, settings, session)
        last = previous.lineage[-1] if previous else None
        if previous and last and last.refit == refit and already_learned(work, previous, task, settings, seed):
            files.remove_folder(work)
            return previous
        if origin is not None:
            _check_absent(folder)
        for note in task_warnings(task, previous):
            on_note(note)
        args = LearnArgs(task, previous, "dreams", settings, seed)
        learned = _learn(args, seer, work, session, on_note)
        if refit:
            learned = learn_held_out(learned, args, seer, session)
        if keep and previous and not origin:
            keep_generation(folder)
        record_outcome(work, learned)
        learned.save(folder)
        files.remove_folder(work)
        if seer and not keep_cache:
            forget_task(task, seer)
    return learned


def plan_lesson(
    folder: str | Path,
    task: Task,
    *,
    origin: str | Path | None = None,
    changes: Mapping[str, Any] | None = None,
    backbone: str | None = None,
    refit: bool = False,
) -> list[str]:
    """Return lines for people about what `teach` would do with these arguments; nothing is learned or written.

    Raises InputError for what cannot be learned.
    """
    check_task(task)
    previous = _previous(Path(folder), origin)
    _, _, lines = _prepare(previous, task, changes, backbone, 0, refit, None)
    return [*lines, *task.remarks, *task_warnings(task, previous)]


def _prepare(
    previous: Scholar | None,
    task: Task,
    changes: Mapping[str, Any] | None,
    backbone: str | None,
    seed: int,
    refit: bool,
    work: Path | None,
) -> tuple[Settings, Backbone | None, Iterator[str]]:
    """Return the settings and the backbone to learn with, and lines for people about what will be learned.

    work: the folder of unfinished work, if there may be some

    Raises InputError for what cannot be learned, before any image is looked at.
    """
    if refit:
        check_refit(task)
    chosen = _choose(previous.lineage[-1].settings if previous else None, changes, backbone, task)
    settings, seer = resolve_backbone(previous, chosen.settings)
    args = LearnArgs(task, previous, "dreams", settings, seed)
    args.check()
    settings = fit_minutes(args, seer, work, times=2 if refit else 1).settings
    reason = [] if previous else [chosen.reason]
    return settings, seer, chain(reason, describe_plan(task, previous, settings, seer, refit))


def _learn(
    args: LearnArgs, seer: Backbone | None, work: Path, session: Session, on_note: Callable[[str], None]
) -> Scholar:
    """Learn in the folder ``work``, resuming what is in it, and audit the dreams."""
    settings = args.settings
    unfinished = unfinished_work(work, args).state()
    if unfinished == "same":
        on_note("resuming unfinished work: what is done is not done again")
    elif unfinished == "other":
        on_note("warning: unfinished work, of other data, settings or seed, is removed; learning starts again")
    try:
        learned = learn(args.task, args.previous, settings=settings, seed=args.seed, session=session, backbone=seer)
    except InputError:
        # Unfinished work of another command is not this one's to remove.
        if unfinished == "new":
            files.remove_folder(work)
        raise
    if not settings.audit.dreams:
        return learned
    found = audit(learned, [args.task], seed=args.seed, session=session)
    for warning in found.warnings:
        on_note(f"warning: {warning}")
    return learned.with_audit(found)


def restore_generation(folder: Path, key: str) -> Scholar:
    """Put a generation that was kept back in its place; the one that was there is kept in turn.

    key: see `scholars.learning.generations`

    Raises InputError where that generation was not kept, or while another process teaches this folder.
    """
    with exclusive(check_replaceable(folder), "teaching"):
        earlier = Scholar.load(kept_folder(folder, key))
        keep_generation(folder)
        earlier.save(folder)
    return earlier


def check_replaceable(folder: Path) -> Path:
    """Return the folder. Raises InputError where it is named from inside: the process would stay in the old one."""
    if folder.name in ("", ".."):
        whole = folder.resolve()
        raise InputError(f"{folder} is replaced as a whole: go out of it, to {whole.parent}, and name it {whole.name}")
    return folder


def settings_of(
    folder: Path, origin: Path | None, changes: Mapping[str, Any], backbone: str | None = None, task: Task | None = None
) -> Settings | None:
    """Return the settings with which the scholar in ``folder`` would learn its next task.

    task: the first one, whose images decide whether a new scholar has a backbone, and in which shape one of pixels
        learns; without it, None where they decide
    """
    known = _description(folder, origin)
    if known is None and task is None:
        return decided_settings(changes, backbone)
    return _choose(known.lineage[-1].settings if known else None, changes, backbone, task).settings


def known_classes(folder: Path, origin: Path | None) -> tuple[str, ...]:
    """Return the classes that the scholar in ``folder`` knows, or will know when it is begun; none of a new one."""
    known = _description(folder, origin)
    return known.classes if known else ()


def _choose(
    before: Settings | None, changes: Mapping[str, Any] | None, backbone: str | None, task: Task | None
) -> Choice:
    """Return the settings to learn with: the last task's, ``before``, with the changes; or those of a new scholar."""
    if before is None:
        assert task is not None
        return choose_settings(task, changes, backbone)
    changes = dict(changes or {})
    if backbone not in (None, AUTO, NONE):
        changes["backbone.name"] = backbone
    if (backbone == NONE) if before.backbone else any(key.startswith("backbone.") for key in changes):
        has = f"has the backbone {before.backbone.name}" if before.backbone else "learns pixels"
        raise InputError(f"a scholar's backbone is fixed by its first task, and this one {has}: start a new one")
    # The machine may be another one.
    return Choice(changed(forget_budget(before).model_copy(update={"compute": ComputeSettings()}), changes), "")


def _previous(folder: Path, origin: str | Path | None) -> Scholar | None:
    place = _place(folder, origin)
    return Scholar.load(place) if place else None


def _description(folder: Path, origin: str | Path | None) -> ScholarDescription | None:
    """Return the description of the scholar that `_previous` loads, without its networks."""
    place = _place(folder, origin)
    return scholar_folder.read_known(place) if place else None


def _place(folder: Path, origin: str | Path | None) -> Path | None:
    """Return where the scholar is that learns next; None of a new one."""
    if origin is None:
        return folder if scholar_folder.is_occupied(folder) else None
    # Both are there when a process died as soon as it had learned: see `already_learned`.
    if folder.exists() and scholar_folder.work_folder(folder).is_dir():
        return folder
    _check_absent(folder)
    return Path(origin)


def _check_absent(folder: Path) -> None:
    if folder.exists():
        raise InputError(f"{folder} is there already; --from starts a new scholar: choose a folder that is not")
