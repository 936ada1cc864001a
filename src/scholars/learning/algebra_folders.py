"""Merge, distil, and change scholars in folders without any data: atomically, resumably, one process at a time."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from scholars.errors import InputError
from scholars.learning.algebra import distil, forget, merge, rename
from scholars.learning.audit import audit
from scholars.learning.callbacks import Callbacks, Position
from scholars.learning.generations import keep_generation
from scholars.learning.leftovers import find_leftovers
from scholars.learning.lifelong import check_replaceable
from scholars.learning.minutes import forget_budget
from scholars.learning.resume import is_of_task, is_outcome, record_outcome
from scholars.scholar import Scholar
from scholars.settings import ComputeSettings, MixtureSettings, Settings
from scholars.settings.overrides import changed
from scholars.storage import files, scholar_folder
from scholars.storage.work import exclusive
from scholars.training.loop import SAVE_EVERY, Session


def merge_folders(
    folders: Sequence[str | Path],
    out: str | Path,
    *,
    weights: Sequence[float] | None = None,
    changes: Mapping[str, Any] | None = None,
    seed: int = 0,
    accept_unprotected: bool = False,
    callbacks: Callbacks | None = None,
    save_every: float = SAVE_EVERY,
) -> Scholar:
    """Merge the scholars in ``folders`` into a new one in ``out``, which must be absent; see `scholars.merge`.

    changes: settings by dotted path, laid over those of the first scholar

    Interrupted work is kept beside ``out``, and the same call resumes it, bit for bit. Raises InputError for what
    cannot be merged, Interrupted when asked to stop.
    """
    same = [Path(folder).resolve() for folder in folders]
    for folder in same:
        if same.count(folder) > 1:
            raise InputError(f"{folder} is named twice: merge takes each scholar once")

    def make(session: Session) -> Scholar:
        scholars = [Scholar.load(folder) for folder in folders]
        return merge(
            scholars,
            weights=weights,
            settings=_settings(scholars[0], changes),
            seed=seed,
            session=session,
            accept_unprotected=accept_unprotected,
        )

    what = ["merge", *map(str, same), list(weights or ()), dict(changes or {}), seed]
    return _work(Path(out), what, make, callbacks, save_every, new=True)


def merge_into(
    folder: str | Path,
    other: str | Path,
    *,
    seed: int = 0,
    keep: bool = False,
    callbacks: Callbacks | None = None,
    save_every: float = SAVE_EVERY,
) -> Scholar:
    """Replace the scholar in ``folder`` by what it and the one in ``other`` become together; see `scholars.merge`.

    keep: leave the scholar as it was beside it, as ``FOLDER.gen-N``

    Where ``other`` lies does not matter to resume it. Other arguments and errors as for `merge_folders`
    """

    def make(session: Session) -> Scholar:
        scholars = [Scholar.load(folder), Scholar.load(other)]
        return merge(scholars, settings=_settings(scholars[0], None), seed=seed, session=session)

    # The digests of its weights, and its lineage.
    about = json.dumps(scholar_folder.read_description(Path(other)), sort_keys=True)
    what = ["merge into", hashlib.sha256(about.encode()).hexdigest(), seed]
    return _work(Path(folder), what, make, callbacks, save_every, keep=keep)


def distil_folder(
    folder: str | Path,
    out: str | Path,
    *,
    changes: Mapping[str, Any] | None = None,
    seed: int = 0,
    callbacks: Callbacks | None = None,
    save_every: float = SAVE_EVERY,
) -> Scholar:
    """Distil the scholar in ``folder`` into a new one in ``out``, which must be absent; see `scholars.distil`.

    Other arguments and errors as for `merge_folders`
    """

    def make(session: Session) -> Scholar:
        scholar = Scholar.load(folder)
        return distil(scholar, settings=_settings(scholar, changes), seed=seed, session=session)

    what = ["distil", str(Path(folder).resolve()), dict(changes or {}), seed]
    return _work(Path(out), what, make, callbacks, save_every, new=True)


def forget_classes(
    folder: str | Path,
    classes: Sequence[str],
    *,
    seed: int | None = None,
    keep: bool = False,
    purge: bool = False,
    callbacks: Callbacks | None = None,
    save_every: float = SAVE_EVERY,
) -> Scholar:
    """Replace the scholar in ``folder`` by one that does not know these classes; see `scholars.forget`.

    keep: leave the scholar as it was beside it, as ``FOLDER.gen-N``
    purge: remove everything else here that still holds a forgotten class: kept generations, unfinished work, caches;
        also of classes that were forgotten before. Without it, what does is named by ``callbacks.on_note``

    Other arguments and errors as for `merge_folders`
    """
    if keep and purge:
        raise InputError("--keep keeps the scholar that knows the class, and --purge removes it: leave one of them out")
    folder, callbacks = Path(folder), callbacks or Callbacks()
    note = partial(callbacks.on_note, Position(seed or 0, "forget", folder.name))

    def make(session: Session) -> Scholar:
        scholar = Scholar.load(folder)
        # The memories of a private task share one covariance and one centre, which are of all its photos.
        shared = any(record.private and set(record.classes) & set(classes) for record in scholar.lineage)
        exact = isinstance(scholar.settings.generator, MixtureSettings) and not shared
        learned = forget(scholar, classes, seed=seed, session=session)
        note(
            "exact: the networks are those of a scholar that never learned it"
            if exact
            else "approximate: what it was privately learned with shares noisy sums with it; the guarantee stays"
            if shared
            else "approximate: it was taught by dreams of the other classes, which may show traces of a forgotten one "
            "(docs/algebra.md)"
        )
        return learned

    if purge and _is_forgotten(folder, classes):
        learned = Scholar.load(folder)
    else:
        learned = _work(folder, ["forget", *classes, seed], make, callbacks, save_every, keep=keep)
    for leftover in find_leftovers(folder, classes):
        if purge:
            leftover.remove()
        note(f"{'removed' if purge else 'warning: still there'}: {leftover.path}, {leftover.why}")
    return learned


def _is_forgotten(folder: Path, classes: Sequence[str]) -> bool:
    """Return whether a scholar knows none of these classes, and something here still holds one."""
    known = scholar_folder.read_known(folder).classes
    return not set(classes) & set(known) and next(find_leftovers(folder, classes), None) is not None


def rename_class(
    folder: str | Path,
    old: str,
    new: str,
    *,
    seed: int | None = None,
    keep: bool = False,
    callbacks: Callbacks | None = None,
    save_every: float = SAVE_EVERY,
) -> Scholar:
    """Replace the scholar in ``folder`` by one that calls a class otherwise; see `scholars.rename`.

    keep: leave the scholar as it was beside it, as ``FOLDER.gen-N``

    Other arguments and errors as for `merge_folders`
    """

    def make(session: Session) -> Scholar:
        return rename(Scholar.load(folder), old, new, seed=seed, session=session)

    return _work(Path(folder), ["rename", old, new, seed], make, callbacks, save_every, keep=keep)


def _settings(scholar: Scholar, changes: Mapping[str, Any] | None) -> Settings:
    """Return the settings to learn with here: those of the scholar with the changes, on this machine's device."""
    return changed(forget_budget(scholar.settings).model_copy(update={"compute": ComputeSettings()}), changes or {})


def _work(
    folder: Path,
    what: Sequence[Any],
    make: Callable[[Session], Scholar],
    callbacks: Callbacks | None,
    save_every: float,
    *,
    new: bool = False,
    keep: bool = False,
) -> Scholar:
    """Make a scholar, audit its dreams, and save it in ``folder``.

    what: equal for the same work only
    new: whether the folder must be absent
    keep: whether the scholar that was there stays, beside it
    """
    folder, callbacks = check_replaceable(folder), callbacks or Callbacks()
    position = Position(0, str(what[0]), folder.name)
    with exclusive(folder, "changing"):
        work = scholar_folder.work_folder(folder)
        for path in (folder, work):
            files.remove_stale_temps(path)
        if scholar_folder.is_occupied(folder):
            if is_outcome(work, there := Scholar.load(folder), what):
                files.remove_folder(work)
                return there
            if new:
                raise InputError(f"{folder} is there already: choose a folder that is not")
        unfinished, of_task = work.is_dir(), is_of_task(work)
        session = Session(work, partial(callbacks.on_tick, position), callbacks.stopping, save_every)
        try:
            learned = make(session)
        except InputError:
            if not unfinished:
                files.remove_folder(work)
            raise
        if of_task:
            callbacks.on_note(position, "warning: unfinished learning of a task was removed")
        if learned.generator and learned.settings.audit.dreams and learned.lineage[-1].audit is None:
            found = audit(learned, [], seed=learned.lineage[-1].seed, session=session)
            for warning in found.warnings:
                callbacks.on_note(position, f"warning: {warning}")
            learned = learned.with_audit(found)
        if keep:
            keep_generation(folder)
        work.mkdir(parents=True, exist_ok=True)
        record_outcome(work, learned, what)
        learned.save(folder)
        files.remove_folder(work)
    return learned
