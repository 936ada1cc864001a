"""One trial of a sweep: its state, what a worker needs to run it, and running it in the worker's process."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

import torch

from scholars.errors import InputError
from scholars.experiments.recipe import Recipe
from scholars.experiments.run import run
from scholars.learning.callbacks import Callbacks, Position
from scholars.settings.overrides import build
from scholars.settings.registry import load_missing
from scholars.storage import files

PLAN = "plan.json"
# Ray's own files, removed at the end.
SCRATCH = "ray"
# The tasks that a trial learns before a scheduler may stop it: after one, nothing can be forgotten yet.
GRACE_PERIOD = 2


@dataclass
class TrialState:
    """The progress of a trial: its state, accuracies, attempts and error.

    number: its position in the plan, from 1; its folder is ``trials/NUMBER``
    changes: the value of each key that the sweep varies
    accuracy_history: after each task that it learned, the mean over the seeds so far of the average accuracy then
    attempts: how often it was started again after a failure
    error: why it failed
    average_accuracy: mean, std, n, interval over the seeds, at the end
    forgetting, seconds: means over the seeds, at the end
    """

    number: int
    changes: dict[str, Any]
    state: Literal["waiting", "finished", "stopped", "failed"] = "waiting"
    accuracy_history: list[float] = field(default_factory=list)
    attempts: int = 0
    error: str | None = None
    average_accuracy: dict[str, Any] | None = None
    forgetting: float | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class WorkerConfig:
    """The configuration of a worker, which runs trials in another process or on another machine.

    out: the sweep's folder
    data_dir, save_every: as for `scholars.run`
    threads: of each trial
    plugins: files and modules that register networks of the user's own
    working_directory: the folder that relative paths start from
    """

    out: Path
    data_dir: Path | None
    save_every: float
    threads: int
    plugins: tuple[str, ...]
    working_directory: Path


@dataclass(frozen=True)
class Resources:
    """The cluster, processes, threads and GPUs of a sweep.

    address: of a Ray cluster; None: one is started on this machine, and ends with the sweep
    workers: trials at a time on a cluster that is started here; None: as many as there are cores for
    threads: of each trial; None: here an even share of the cores, on another cluster one
    gpus: of each trial, may be a fraction; None: one where the cluster has any
    stop_early: whether a scheduler may stop trials that do worse than others
    """

    address: str | None = None
    workers: int | None = None
    threads: int | None = None
    gpus: float | None = None
    stop_early: bool = False


def run_trial(worker: WorkerConfig, number: int, report: Callable[[int, float], None]) -> None:
    """Run or resume a trial in this process.

    report: called with (tasks learned so far, score so far), also for tasks that were learned before

    Raises InputError where this machine does not see the sweep's folder, or has another version.
    """
    os.chdir(worker.working_directory)
    if not (worker.out / PLAN).is_file():
        raise InputError(f"{worker.out} is not on every machine: --out takes a folder that all of them share")
    plan = files.read_json(worker.out / PLAN)
    if plan["scholars"] != version("scholars"):
        raise InputError(f"versions differ: the sweep is of scholars {plan['scholars']}, here is {version('scholars')}")
    torch.set_num_threads(worker.threads)
    load_missing(worker.plugins)
    recipe = build(Recipe, plan["trials"][number - 1], None, where=PLAN)
    latest: dict[int, float] = {}
    learned = 0

    def on_row(position: Position, row: Sequence[float]) -> None:
        nonlocal learned
        if position.method == recipe.methods[0]:
            learned += 1
            latest[position.seed] = fmean(row)
            report(learned, fmean(latest.values()))

    run(
        recipe,
        trial_folder(worker.out, number),
        data_dir=worker.data_dir,
        resume=True,
        callbacks=Callbacks(on_row=on_row),
        save_every=worker.save_every,
    )


def trial_folder(out: Path, number: int) -> Path:
    """Return the folder of a trial in the sweep's folder ``out``."""
    return out / "trials" / str(number)
