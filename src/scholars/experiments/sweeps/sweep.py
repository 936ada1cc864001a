"""Run a sweep: every combination of some settings, each an ordinary run in a folder of its own, on Ray Tune.

A trial is one combination with all its seeds. So a scheduler stops it as a whole, never its unlucky seeds alone, and
its mean and interval are over the same seeds as every other's. Trials are scored on a validation part of the training
data; the test part is for the best one, afterwards.

The sweep's folder holds ``plan.json``, written once, ``sweep.json``, and ``trials/NUMBER``. Ray's own files are removed
at the end, and never read again.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from statistics import fmean
from typing import Any

from scholars.compute.device import device_for
from scholars.compute.ray_cluster import cluster, import_ray
from scholars.errors import InputError, Interrupted, ScholarsError
from scholars.experiments.methods import METHODS
from scholars.experiments.run import is_done
from scholars.experiments.stream import open_stream
from scholars.experiments.sweeps.grid import Plan, format_changes
from scholars.experiments.sweeps.trial import (
    GRACE_PERIOD,
    PLAN,
    SCRATCH,
    Resources,
    TrialState,
    WorkerConfig,
    trial_folder,
)
from scholars.settings.registry import plugins
from scholars.storage import files
from scholars.storage.work import WorkFolder, check_out_folder, exclusive
from scholars.training.loop import SAVE_EVERY

# The version of the layout of plan.json and sweep.json.
SWEEP_SCHEMA = 1
SWEEP = "sweep.json"


def sweep(
    plan: Plan,
    out: str | Path,
    *,
    data_dir: str | Path | None = None,
    resume: bool = False,
    resources: Resources | None = None,
    save_every: float = SAVE_EVERY,
    on_note: Callable[[str], None] = lambda note: None,
) -> dict[str, Any]:
    """Run every trial of ``plan`` in the folder ``out``, and return what it wrote there as ``sweep.json``.

    resume: continue the sweep that is in ``out``: trials that are done are not run again
    on_note: called with a sentence whenever something happens to a trial

    Raises InputError, with nothing written, for bad input; Interrupted for Ctrl-C and SIGTERM; ScholarsError where the
    cluster fails. A trial that fails does not end the sweep: see `raise_failures`.
    """
    out, resources = Path(out).resolve(), resources or Resources()
    import_ray()
    folder = _work_folder(plan, out)
    _check_version(folder)
    check_out_folder(folder, "sweep", resume)
    tasks = max(_count_tasks(plan, data_dir))
    if resources.stop_early and tasks <= GRACE_PERIOD:
        raise InputError(
            f"--stop-early can stop a trial after {GRACE_PERIOD} tasks at the earliest, and no trial learns more than "
            "that: leave it out, or give more seeds"
        )
    trials = _read_states(plan, out)
    if todo := [trial for trial in trials if trial.state in ("waiting", "failed")]:
        workers, threads = _share_cores(resources, len(todo))
        worker = WorkerConfig(out, Path(data_dir) if data_dir else None, save_every, threads, plugins(), Path.cwd())
        try:
            with cluster(resources.address, workers * threads), exclusive(out, "running what is in"):
                folder.begin()
                try:
                    _run_trials(plan, worker, trials, todo, resources, tasks, on_note)
                finally:
                    files.remove_folder(out / SCRATCH)
        except KeyboardInterrupt:
            raise Interrupted("stopped") from None
    return _write_state(plan, out, data_dir, trials)


def best_trial(trials: Sequence[TrialState]) -> TrialState | None:
    """Return the finished trial with the highest mean, the first of equal ones; None if none has finished."""
    done = [trial for trial in trials if trial.average_accuracy]
    return max(done, key=lambda trial: trial.average_accuracy["mean"] if trial.average_accuracy else 0, default=None)


def raise_failures(document: dict[str, Any]) -> None:
    """Raise ScholarsError if trials of a sweep failed, with the reason of the first."""
    failed = [trial for trial in document["trials"] if trial["state"] == "failed"]
    if failed:
        raise ScholarsError(
            f"{len(failed)} of {len(document['trials'])} trials failed; trial {failed[0]['number']}: "
            f"{failed[0]['error']}. With --resume they are tried again"
        )


def _run_trials(
    plan: Plan,
    worker: WorkerConfig,
    trials: Sequence[TrialState],
    todo: Sequence[TrialState],
    resources: Resources,
    tasks: int,
    on_note: Callable[[str], None],
) -> None:
    from scholars.experiments.sweeps.ray_tune import Reporter, tune_trials

    files.remove_folder(worker.out / SCRATCH)

    def on_change(trial: TrialState, change: str) -> None:
        _write_state(plan, worker.out, worker.data_dir, trials)
        on_note(f"trial {trial.number} of {len(trials)}, {format_changes(trial.changes)}: {change}")

    for trial in todo:
        trial.state, trial.attempts, trial.error = "waiting", 0, None
    reporter = Reporter(
        {trial.number: trial for trial in todo}, lambda trial: _record_outcome(plan, worker.out, trial), on_change
    )
    histories = [trial.accuracy_history for trial in trials if trial not in todo]
    tune_trials(worker, reporter, resources, tasks if resources.stop_early else None, histories)


def _record_outcome(plan: Plan, out: Path, trial: TrialState) -> None:
    """Set the state and the results of a trial that has ended: it is finished, or a scheduler stopped it."""
    folder = trial_folder(out, trial.number)
    if not is_done(folder):
        trial.state = "stopped"
        return
    results = files.read_json(folder / "results.json")
    entries = [entry for entry in results["runs"] if entry["method"] == plan.scored]
    forgetting = [entry["forgetting"] for entry in entries if entry["forgetting"] is not None]
    trial.state = "finished"
    trial.average_accuracy = results["summary"][plan.scored]["average_accuracy"]
    trial.forgetting = fmean(forgetting) if forgetting else None
    trial.seconds = fmean(entry["seconds"] for entry in entries)


def _share_cores(resources: Resources, trials: int) -> tuple[int, int]:
    """Return (workers, threads of each) for a cluster that is started on this machine."""
    cores = os.cpu_count() or 1
    at_once = min(trials, resources.workers or trials)
    threads = resources.threads or (1 if resources.address else max(1, cores // at_once))
    return resources.workers or max(1, cores // threads), threads


def _count_tasks(plan: Plan, data_dir: str | Path | None) -> list[int]:
    """Return how many tasks each trial learns, over all its seeds. Raises InputError where data cannot be opened."""
    counts, opened = list[int](), dict[str, int]()
    for recipe in (trial.recipe for trial in plan.trials):
        device_for(recipe.compute)
        # Opened once, however many trials learn it: data may be large, or drawn.
        stream = recipe.model_dump_json(include={"tasks", "split", "scenario", "image", "validation", "seeds"})
        if stream not in opened:
            tasks = open_stream(recipe, recipe.seeds[0], data_dir)
            opened[stream] = len(recipe.seeds) * (1 if METHODS[plan.scored].joint else len(tasks))
        counts.append(opened[stream])
    return counts


def _work_folder(plan: Plan, out: Path) -> WorkFolder:
    trials = [trial.recipe.model_dump(mode="json") for trial in plan.trials]
    return WorkFolder(out, PLAN, {"schema": SWEEP_SCHEMA, "scholars": version("scholars"), "trials": trials})


def _check_version(folder: WorkFolder) -> None:
    """Raise InputError where another version of Scholars began the sweep: its trials could not be compared."""
    note = folder.path / PLAN
    begun = files.read_json(note).get("scholars") if note.is_file() else folder.key["scholars"]
    if begun != folder.key["scholars"]:
        raise InputError(f"{folder.path} was begun with scholars {begun}, this is {folder.key['scholars']}")


def _read_states(plan: Plan, out: Path) -> list[TrialState]:
    """Return the state of every trial: what ``sweep.json`` says, else waiting."""
    if (out / SWEEP).is_file():
        try:
            return [TrialState(**trial) for trial in files.read_json(out / SWEEP)["trials"]]
        except (KeyError, TypeError) as error:
            raise InputError(
                f"{out / SWEEP} is damaged ({error}): remove it; what was trained is found again"
            ) from None
    return [TrialState(number, dict(trial.changes)) for number, trial in enumerate(plan.trials, start=1)]


def _write_state(plan: Plan, out: Path, data_dir: str | Path | None, trials: Sequence[TrialState]) -> dict[str, Any]:
    recipe, best = plan.trials[0].recipe, best_trial(trials)
    document = {
        "schema": SWEEP_SCHEMA,
        "recipe": plan.recipe,
        "fixed": dict(plan.fixed),
        "varied": {key: list(values) for key, values in plan.varied.items()},
        "seeds": list(recipe.seeds),
        "methods": list(recipe.methods),
        "scored": plan.scored,
        "validation": recipe.validation,
        "best": best and {"trial": best.number, "command": plan.command(plan.trials[best.number - 1], data_dir)},
        "trials": [asdict(trial) for trial in trials],
    }
    files.write_json(out / SWEEP, document)
    return document
