"""Run a recipe: learn its stream by every method and seed, evaluate on real test parts, write ``results.json``.

The run's folder holds ``run.json`` (the recipe), ``results.json``, ``scholars/``, and ``work/`` until the run is done.
What is done is kept there after each task, so that an interrupted run resumes where it stopped.
"""

import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from scholars.backbones import Backbone
from scholars.errors import ScholarsWarning
from scholars.evaluation.metrics import summary
from scholars.experiments.environment import describe_environment
from scholars.experiments.estimate_run import estimate_run
from scholars.experiments.method_run import MethodRun
from scholars.experiments.methods import METHODS
from scholars.experiments.recipe import Recipe
from scholars.experiments.samples import save_samples
from scholars.experiments.stream import open_stream
from scholars.learning.callbacks import Callbacks, Position
from scholars.learning.dreams import check_replay
from scholars.learning.looking import look_at_task, resolve_backbone
from scholars.learning.minutes import fit_budget
from scholars.scholar import Scholar
from scholars.settings import Settings
from scholars.storage import files
from scholars.storage.work import WorkFolder, check_out_folder, exclusive
from scholars.tasks.task import Task
from scholars.training.loop import SAVE_EVERY, Session

# The version of the layout of results.json.
SCHEMA = 1
# The parts of an environment that figures depend on.
_COMPARED = ("processor", "processes", "threads", "device", "precision", "packages")


def run(
    recipe: Recipe,
    out: str | Path,
    *,
    data_dir: str | Path | None = None,
    resume: bool = False,
    command: str | None = None,
    callbacks: Callbacks | None = None,
    save_every: float = SAVE_EVERY,
) -> dict[str, Any]:
    """Run ``recipe`` in the folder ``out`` and return what it wrote there as ``results.json``.

    resume: continue the run that is in ``out``; without it, a folder that holds anything is refused
    command: the command that repeats the run, kept in the results
    save_every: seconds between checkpoints of the unfinished work

    Raises InputError, with nothing written, for bad input or while another process runs it; Interrupted when stopped.
    """
    out, callbacks = Path(out), callbacks or Callbacks()

    def place(recipe: Recipe) -> WorkFolder:
        return WorkFolder(out, "run.json", recipe.model_dump(mode="json"))

    # With a time to keep to, only the pace will tell which run it is; what is no run at all is refused before.
    if recipe.minutes is None or place(recipe).state() == "foreign":
        check_out_folder(place(recipe), "run", resume)
    tasks = open_stream(recipe, recipe.seeds[0], data_dir)
    recipe = fit_budget(recipe, place, lambda: estimate_run(recipe, tasks))
    folder = place(recipe)
    check_out_folder(folder, "run", resume)
    if "er" in recipe.methods:  # a buffer that is too small is refused before anything is trained
        METHODS["er"].past(tasks[:-1], recipe.buffer, recipe.seeds[0])
    if "replay" in recipe.methods and not recipe.backbone:
        check_replay(recipe.replay, recipe.trained_generator, sum(len(task.classes) for task in tasks[:-1]))

    with exclusive(out, "running what is in"):
        work = out / "work"
        files.remove_stale_temps(work)
        if is_done(out):
            return files.read_json(out / "results.json")
        # The note first: at any time the folder says which run it belongs to.
        folder.begin()
        work.mkdir(exist_ok=True)
        # Parts of one source have the same.
        for remark in dict.fromkeys(remark for task in tasks for remark in task.remarks):
            callbacks.on_note(Position(recipe.seeds[0], "all methods", recipe.name), remark)
        _warn_of_another_environment(work / "environment.json", describe_environment(recipe.compute))
        save_samples(out, tasks, recipe.image.fit)
        settings, backbone = resolve_backbone(None, recipe.settings())
        if backbone:
            tasks = look_at_tasks(tasks, backbone, settings, callbacks)
        entries: list[dict[str, Any]] = []
        for seed in recipe.seeds:
            if recipe.split and recipe.split.order == "seed":
                tasks = open_stream(recipe, seed, data_dir)
                if backbone:
                    tasks = look_at_tasks(tasks, backbone, settings, callbacks)
            first: Scholar | None = None
            for name in recipe.methods:
                method = MethodRun(recipe, out, tasks, seed, name, callbacks, save_every, backbone)
                entry, after_first = method.run(first)
                first = first or after_first
                entries.append(entry)
                results = _build_results(recipe, tasks, entries, command)
                files.write_json(out / "results.json", results)
        files.remove_folder(work)
    return results


def look_at_tasks(tasks: Sequence[Task], backbone: Backbone, settings: Settings, callbacks: Callbacks) -> list[Task]:
    """Return the tasks with the features that ``backbone`` sees; kept in the user's cache for the next run."""
    looked = []
    for task in tasks:
        on_tick = partial(callbacks.on_tick, Position(0, "all methods", task.name))
        looked.append(look_at_task(task, backbone, settings, Session(None, on_tick, callbacks.stopping)))
    return looked


def is_done(out: Path) -> bool:
    """Return whether the folder ``out`` holds a finished run."""
    return (out / "results.json").is_file() and not (out / "work").is_dir()


def _warn_of_another_environment(note: Path, now: Mapping[str, Any]) -> None:
    """Warn if a run resumes on another machine or with other versions: its figures are then of both."""
    before = files.read_json(note) if note.is_file() else now
    if other := [key for key in _COMPARED if before[key] != now[key]]:
        changes = "; ".join(f"{key} was {before[key]} and is {now[key]}" for key in other)
        warnings.warn(
            f"this run began in another environment, and its results are of both: {changes}", ScholarsWarning, 2
        )
    files.write_json(note, now)


def _build_results(
    recipe: Recipe, tasks: Sequence[Task], entries: list[dict[str, Any]], command: str | None
) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "recipe": recipe.name,
        "tasks": [task.name for task in tasks],
        "seeds": list(recipe.seeds),
        "generator": recipe.generator.kind,
        "runs": entries,
        "summary": summary(entries),
        "environment": {**describe_environment(recipe.compute), "command": command},
        "config": recipe.model_dump(mode="json"),
    }
