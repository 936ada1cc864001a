"""Choose which images of a source are scored: its test part, those that a scholar was not trained on, or all."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from scholars.errors import InputError, counted, shortlist
from scholars.storage.records import LineageRecord
from scholars.tasks.holdout import hold_out
from scholars.tasks.task import Task

Which = Literal["auto", "all", "held out"]


@dataclass(frozen=True)
class Scored:
    """The images of a source that are scored.

    task: its test part is scored
    part: the "test" part of the source; what learning "held-out"; "all" images, none of which it was trained on; or
        some of them are "learned"
    note: that, and how many there are, a line for people
    """

    task: Task
    part: Literal["test", "held-out", "all", "learned"]
    note: str


def choose_scored(task: Task, lineage: Sequence[LineageRecord], which: Which = "auto") -> Scored:
    """Return what is scored of a task that was opened with ``split=False``.

    The test part, where the source has one. Else all images; but where the scholar was trained on any of them, the
    others: those that learning held out, and those that have come since. Near-duplicates of trained ones are not
    scored either. If it was trained on all, what learning holds out is scored, and called "learned".

    lineage: the scholar's
    which: "auto"; or "all"; or "held out", what learning from the source holds out, also if it was not learned

    Raises InputError where the source has a test part and ``which`` is not "auto", and where nothing is held out.
    """
    whole, total = task.test, counted(len(task.test), "image")
    trained = np.zeros(len(whole), np.bool_)
    for record in lineage:
        trained |= record.was_trained_on(whole.digests)
    if task.split != "whole":
        if which != "auto":
            raise InputError(f"{task.name}: has a test part of its own, which is what is scored: leave out the option")
        if trained.any():
            note = f"the test part is scored, {total}; this scholar was trained on {int(trained.sum()):,} of them"
            return Scored(task, "learned", note)
        return Scored(task, "test", f"the test part is scored, {total}")
    if which == "all" and trained.any():
        return Scored(task, "learned", f"all {total} are scored; this scholar was trained on {int(trained.sum()):,}")
    if which == "all" or (which == "auto" and not trained.any()):
        note = "this scholar was not trained on any of them"
        if any(record.private for record in lineage):
            note = "it is not known whether this scholar learned some of them, as it is private"
        return Scored(task, "all", f"all {total} are scored: {note}")
    unknown = "; of private tasks that is not known" if any(record.private for record in lineage) else ""
    groups = np.ascontiguousarray(whole.deciders).view("V32")[:, 0]
    scored = ~np.isin(groups, groups[trained])
    part: Literal["held-out", "learned"] = "held-out"
    what = f"which this scholar was not trained on{unknown}"
    if not trained.any():
        scored, what = hold_out(whole.labels, whole.deciders), "which learning from here would hold out"
    elif not scored.any():
        scored, part = hold_out(whole.labels, whole.deciders), "learned"
        what = "which learning holds out; but this scholar has learned them, too"
    if not scored.any():
        raise InputError(f"{task.name}: nothing is held out of its {total}; --all scores all of them")
    note = f"{int(scored.sum()):,} of {total} are scored, {what}"
    untested = [name for label, name in enumerate(task.classes) if not scored[whole.labels == label].any()]
    if untested:
        note += f"; none of {shortlist(untested, ', ')}"
    return Scored(replace(task, test=whole[scored]), part, note)
