"""Choose which images of a source are scored: its test part, those that learning held out, or all."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from scholars.errors import InputError, shortlist
from scholars.storage.records import TaskRecord
from scholars.tasks.holdout import class_content, hold_out, is_low
from scholars.tasks.task import Task

Which = Literal["auto", "all", "held out"]


@dataclass(frozen=True)
class Scored:
    """The images of a source that are scored.

    task: its test part is scored
    part: the "test" part of the source; what learning "held-out"; "all" images, none of which it learned from; or some
        of them are "learned": all were asked for, or the scholar was refitted
    note: that, and how many there are, a line for people
    """

    task: Task
    part: Literal["test", "held-out", "all", "learned"]
    note: str


def choose_scored(task: Task, lineage: Sequence[TaskRecord], which: Which = "auto") -> Scored:
    """Return what is scored of a task that was opened with ``split=False``.

    The test part, where the source has one. Else all images; but of a source that a scholar learned from, those that
    learning held out. It is known again by its images or by its place: if the images are others by now, those are
    scored whose own digests hold them out, which were not trained on whatever the others were.

    lineage: the scholar's
    which: "auto"; or "all" or "held out", whatever the scholar learned

    Raises InputError where the source has a test part and ``which`` is not "auto", and where nothing was held out.
    """
    if task.split != "whole":
        if which != "auto":
            raise InputError(
                f"{task.name}: has a test part of its own, which is scored; to score all of a folder, give its "
                "train and its test folder one after the other"
            )
        return Scored(task, "test", f"the test part is scored, {len(task.test):,} images")
    whole = task.test
    digests, deciders = whole.digests, whole.deciders
    regular = hold_out(whole.labels, deciders)
    low = np.array([is_low(own.tobytes()) and is_low(by.tobytes()) for own, by in zip(digests, deciders, strict=True)])
    scored, learned, changed, since = np.ones(len(whole), np.bool_), False, False, False
    for label, name in enumerate(task.classes):
        own = whole.labels == label
        content = class_content(digests[own])
        same = [record for record in lineage if record.held_out.get(name) == content]
        here = [record for record in lineage if record.source == task.source is not None and name in record.classes]
        if same or which == "held out":
            scored[own] = regular[own]
        elif here:
            scored[own], changed = low[own], True
        learned = learned or bool(same or here)
        since = since or any(record.refit for record in (*same, *here))
    if which == "all":
        used = ", with those that this scholar was trained on" if learned else ""
        return Scored(task, "learned" if learned else "all", f"all {len(whole):,} images are scored{used}")
    if not learned and which == "auto":
        return Scored(task, "all", f"all {len(whole):,} images are scored: this scholar did not learn from here")
    if not scored.any():
        raise InputError(f"{task.name}: learning held out none of its {len(whole):,} images; --all scores all of them")
    count, note = int(scored.sum()), "learning held out"
    if changed:
        note = "learning cannot have trained on: others were added or removed since"
    elif not learned:
        note = "learning from here would hold out"
    note = f"{count:,} of {len(whole):,} images are scored, those that {note}"
    if since:
        note += "; but this scholar has learned them, too"
    untested = [name for label, name in enumerate(task.classes) if not scored[whole.labels == label].any()]
    if untested:
        note += f"; none of {shortlist(untested, ', ')}"
    return Scored(replace(task, test=whole[scored]), "learned" if since else "held-out", note)
