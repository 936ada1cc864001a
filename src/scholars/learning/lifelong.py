"""A scholar in a folder: teach it one task after another, resumably; go back to an earlier generation."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
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
    look_at_task,
    resolve_backbone,
)
from scholars.learning.next_task import check_absent, choose_next, load_previous
from scholars.learning.plan import describe_plan, task_warnings
from scholars.learning.private import check_kept, describe_private_plan, has_drawn, learn_photos, private_notes
from scholars.learning.refit import check_refit, learn_held_out
from scholars.learning.resume import already_learned, fit_minutes, is_not_private, record_outcome, unfinished_work
from scholars.scholar import Scholar
from scholars.settings import EMBEDDED
from scholars.settings.privacy import Privacy
from scholars.storage import files, scholar_folder
from scholars.storage.work import exclusive
from scholars.tasks.images import Images
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
    privacy: Privacy | None = None,
    test: Task | None = None,
    accept_unprotected: bool = False,
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
    privacy, test, accept_unprotected: see `scholars.learn_privately`; without ``privacy`` the task's own test part is
        used
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
        previous, photos = load_previous(folder, origin), task.train
        if privacy:
            check_kept(refit, keep_cache)
            task = task.without_photos(test)
        args, seer, lines = _prepare(
            previous, task, changes, backbone, seed, refit, work, privacy=privacy, accept_unprotected=accept_unprotected
        )
        settings = args.settings
        if callbacks.on_plan:
            for line in lines:
                callbacks.on_plan(position, line)
        for note in task.remarks:
            on_note(note)
        session = Session(work, partial(callbacks.on_tick, position), callbacks.stopping, save_every)
        if seer:
            task = look_at_task(task, seer, settings, session)
        last = previous.lineage[-1] if previous else None
        if previous and last and last.refit == refit and already_learned(work, previous, task, settings, seed, privacy):
            files.remove_folder(work)
            return previous
        if origin is not None:
            check_absent(folder)
        for note in task_warnings(task, previous):
            on_note(note)
        learned = _learn(replace(args, new=task), photos, seer, work, session, on_note)
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
    privacy: Privacy | None = None,
    test: Task | None = None,
    accept_unprotected: bool = False,
) -> list[str]:
    """Return lines for people about what `teach` would do with these arguments; nothing is learned or written.

    Raises InputError for what cannot be learned.
    """
    check_task(task)
    previous = load_previous(Path(folder), origin)
    if privacy:
        check_kept(refit, keep_cache=False)
        task = task.without_photos(test)
    _, _, lines = _prepare(
        previous, task, changes, backbone, 0, refit, None, privacy=privacy, accept_unprotected=accept_unprotected
    )
    return [*lines, *task.remarks, *task_warnings(task, previous)]


def _prepare(
    previous: Scholar | None,
    task: Task,
    changes: Mapping[str, Any] | None,
    backbone: str | None,
    seed: int,
    refit: bool,
    work: Path | None,
    privacy: Privacy | None = None,
    accept_unprotected: bool = False,
) -> tuple[LearnArgs, Backbone | None, Iterator[str]]:
    """Return the arguments and the backbone to learn with, and lines for people about what will be learned.

    work: the folder of unfinished work, if there may be some

    Raises InputError for what cannot be learned, before any image is looked at.
    """
    if refit:
        check_refit(task)
    if privacy and previous is None and backbone in (None, AUTO):
        backbone = EMBEDDED  # whether photos are photographs is for photos to say
    chosen = choose_next(previous.lineage[-1].settings if previous else None, changes, backbone, task)
    settings, seer = resolve_backbone(previous, chosen.settings)
    args = LearnArgs(task, previous, "dreams", settings, seed, privacy=privacy, accept_unprotected=accept_unprotected)
    args.check()
    reason = [] if previous else [chosen.reason]
    if privacy:
        if work and is_not_private(work):
            raise InputError(f"{work} is unfinished work that is not private: finish it, or remove that folder")
        return args, seer, chain(reason, describe_private_plan(args))
    args = fit_minutes(args, seer, work, times=2 if refit else 1)
    return args, seer, chain(reason, describe_plan(task, previous, args.settings, seer, refit))


def _learn(
    args: LearnArgs,
    photos: Images,
    seer: Backbone | None,
    work: Path,
    session: Session,
    on_note: Callable[[str], None],
) -> Scholar:
    """Learn in the folder ``work``, resuming what is in it, and audit the dreams.

    photos: of a private task, which ``args`` is without
    """
    settings = args.settings
    unfinished = unfinished_work(work, args).state()
    if unfinished == "same":
        on_note("resuming unfinished work: what is done is not done again")
        if args.privacy and has_drawn(work):
            on_note(
                f"the noisy sums that were drawn are used, the photos are not looked at; remove {work} to draw anew"
            )
    elif unfinished == "other":
        on_note("warning: unfinished work, of other data, settings or seed, is removed; learning starts again")
    try:
        if args.privacy:
            learned = learn_photos(args, photos, seer, session)
            for note in private_notes(learned, photos, work):
                on_note(note)
        else:
            learned = learn(
                args.task,
                args.previous,
                settings=settings,
                seed=args.seed,
                session=session,
                backbone=seer,
                accept_unprotected=args.accept_unprotected,
            )
    except InputError:
        # Unfinished work of another command is not this one's to remove.
        if unfinished == "new" and not has_drawn(work):
            files.remove_folder(work)
        raise
    if not settings.audit.dreams:
        return learned
    found = audit(learned, [] if args.privacy else [args.task], seed=args.seed, session=session)
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
