"""One trial of a sweep: what is known of it, what it is done with, and doing it in the process of a worker."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

import torch

from scholars import store
from scholars.config import Recipe, build
from scholars.errors import InputError
from scholars.experiment import Place, Watch, run
from scholars.registry import load_missing

PLAN = "plan.json"
# Ray's own files, while it works.
SCRATCH = "ray"
# After how many tasks of a trial a scheduler looks at it for the first time: with one, nothing can be forgotten yet.
FIRST_LOOK = 2

State = Literal["waiting", "finished", "stopped", "failed"]


@dataclass
class Progress:
    """What became of a combination so far.

    number: its place in the plan, from 1; ``trials/NUMBER`` is its folder
    changes: value by dotted key, of what the sweep varies
    course: after every task that it learned, the mean over the seeds so far of the average accuracy at that point
    attempts: how often it was begun again after a failure
    error: what it failed of
    average_accuracy: mean, std, n, interval over the seeds, at the end
    forgetting, seconds: means over the seeds, at the end
    """

    number: int
    changes: dict[str, Any]
    state: State = "waiting"
    course: list[float] = field(default_factory=list)
    attempts: int = 0
    error: str | None = None
    average_accuracy: dict[str, Any] | None = None
    forgetting: float | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Errand:
    """What a worker, in another process or on another machine, has to know.

    out: the sweep's folder
    data_dir, save_every: as for `experiment.run`
    threads: of each trial
    plugins: what registers networks of one's own
    folder: what relative paths are relative to
    """

    out: Path
    data_dir: Path | None
    save_every: float
    threads: int
    plugins: tuple[str, ...]
    folder: Path


@dataclass(frozen=True)
class Means:
    """What the work is done with.

    address: of a Ray cluster; None: one is started here, and ends with the sweep
    workers: trials at a time on a cluster that is started here; None: as many as there are cores for
    threads: of each trial; None: here the cores shared out evenly, elsewhere one
    gpus: of each trial, or a part of one; None: one where the cluster has any
    stop_early: whether a scheduler may stop trials that do worse than others
    """

    address: str | None = None
    workers: int | None = None
    threads: int | None = None
    gpus: float | None = None
    stop_early: bool = False


def do_trial(errand: Errand, number: int, report: Callable[[int, float], None]) -> None:
    """Run a trial, or go on with it; in the process of a worker.

    report: told (tasks learned by now, score so far), also of tasks that were learned before

    Raises InputError where this machine does not see the folder, or has another version.
    """
    os.chdir(errand.folder)
    if not (errand.out / PLAN).is_file():
        raise InputError(f"{errand.out} is not there on every machine: --out takes a folder that all of them share")
    plan = store.read_json(errand.out / PLAN)
    if plan["scholars"] != version("scholars"):
        raise InputError(f"versions differ: the sweep is of scholars {plan['scholars']}, here is {version('scholars')}")
    torch.set_num_threads(errand.threads)
    load_missing(errand.plugins)
    recipe = build(Recipe, plan["trials"][number - 1], None, where=PLAN)
    latest: dict[int, float] = {}
    rows = 0

    def on_row(place: Place, row: Sequence[float]) -> None:
        nonlocal rows
        if place.method == recipe.methods[0]:
            rows += 1
            latest[place.seed] = fmean(row)
            report(rows, fmean(latest.values()))

    run(
        recipe,
        errand.out / folder_of(number),
        data_dir=errand.data_dir,
        resume=True,
        watch=Watch(on_row=on_row),
        save_every=errand.save_every,
    )


def folder_of(number: int) -> str:
    """Where a trial is, within the sweep's folder."""
    return f"trials/{number}"
