"""Many runs side by side: every combination of some settings, each an ordinary run in a folder of its own, on Ray Tune.

A combination is one run with all its seeds. So a scheduler stops it as a whole, never its unlucky seeds alone, and the
mean and its interval are over the same seeds everywhere. They are scored on a validation part of the training data: the
test part is for the one that was chosen.

What is done is in the folder: ``plan.json``, written once, ``sweep.json``, and ``trials/N``. Ray's own files are thrown
away, and never read again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from statistics import fmean
from typing import Any

from scholars import store
from scholars.clusters import cluster, imported
from scholars.compute import machine
from scholars.errors import InputError, Interrupted, ScholarsError
from scholars.experiment import is_done
from scholars.fitting import SAVE_EVERY
from scholars.registry import plugins
from scholars.streams import open_stream
from scholars.sweeps.grid import Plan, described
from scholars.sweeps.trial import FIRST_LOOK, PLAN, SCRATCH, Errand, Means, Progress, folder_of
from scholars.undertaking import alone, check_folder

SCHEMA = 1
SWEEP = "sweep.json"


def sweep(
    plan: Plan,
    out: str | Path,
    *,
    data_dir: str | Path | None = None,
    resume: bool = False,
    means: Means | None = None,
    save_every: float = SAVE_EVERY,
    on_note: Callable[[str], None] = lambda note: None,
) -> dict[str, Any]:
    """Run every trial of ``plan`` in the folder ``out``, and return what is there then as ``sweep.json``.

    resume: go on with the sweep that is in ``out``: trials that are done are not run again
    on_note: told in a sentence what happens

    Raises InputError, with nothing written, for bad input; Interrupted for Ctrl-C and SIGTERM; ScholarsError where
    trials fail again and again: the others are run all the same.
    """
    out, means = Path(out).resolve(), means or Means()
    imported()
    _check_folder(plan, out, resume)
    steps = _steps(plan, data_dir)
    if means.stop_early and max(steps) <= FIRST_LOOK:
        raise InputError(
            f"--stop-early looks after {FIRST_LOOK} tasks for the first time, and no trial learns more than that: "
            "leave it out, or give more seeds"
        )
    progress = _progress(plan, out)
    todo = [one for one in progress if one.state in ("waiting", "failed")]
    if todo:
        workers, threads = _shared_out(means, len(todo))
        errand = Errand(out, Path(data_dir) if data_dir else None, save_every, threads, plugins(), Path.cwd())
        try:
            with cluster(means.address, workers * threads), alone(out, "running what is in"):
                _write_plan(plan, out)
                try:
                    _carry_out(plan, errand, progress, todo, means, max(steps), on_note)
                finally:
                    store.discard(out / SCRATCH)
        except KeyboardInterrupt:
            raise Interrupted("stopped") from None
    return _write_state(plan, out, data_dir, progress)


def _carry_out(
    plan: Plan,
    errand: Errand,
    progress: Sequence[Progress],
    todo: Sequence[Progress],
    means: Means,
    steps: int,
    on_note: Callable[[str], None],
) -> None:
    from scholars.sweeps.tuning import Reporter, tune_trials

    store.discard(errand.out / SCRATCH)

    def noted(one: Progress, note: str) -> None:
        _write_state(plan, errand.out, errand.data_dir, progress)
        on_note(f"trial {one.number} of {len(progress)}, {described(one.changes)}: {note}")

    for one in todo:
        one.state, one.attempts, one.error = "waiting", 0, None
    earlier = [one.course for one in progress if one not in todo]
    reporter = Reporter({one.number: one for one in todo}, lambda one: _conclude(plan, errand.out, one), noted)
    tune_trials(errand, [one.number for one in todo], reporter, means, steps if means.stop_early else None, earlier)


def best(progress: Sequence[Progress]) -> Progress | None:
    """The trial with the highest mean, of those that finished; the first of equal ones. None if none did."""
    done = [one for one in progress if one.average_accuracy]
    return max(done, key=lambda one: one.average_accuracy["mean"] if one.average_accuracy else 0, default=None)


def _conclude(plan: Plan, out: Path, one: Progress) -> None:
    """Note what a trial came to that was not asked for more: it is done, or a scheduler stopped it."""
    folder = out / folder_of(one.number)
    if not is_done(folder):
        one.state = "stopped"
        return
    results = store.read_json(folder / "results.json")
    runs = [entry for entry in results["runs"] if entry["method"] == plan.scored]
    forgot = [entry["forgetting"] for entry in runs if entry["forgetting"] is not None]
    one.state = "finished"
    one.average_accuracy = results["summary"][plan.scored]["average_accuracy"]
    one.forgetting = fmean(forgot) if forgot else None
    one.seconds = fmean(entry["seconds"] for entry in runs)


def _shared_out(means: Means, trials: int) -> tuple[int, int]:
    """(workers, threads of each) of a cluster that is started here."""
    here = os.cpu_count() or 1
    threads = means.threads or (1 if means.address else max(1, here // min(trials, means.workers or trials)))
    return means.workers or max(1, here // threads), threads


def _steps(plan: Plan, data_dir: str | Path | None) -> list[int]:
    """How many tasks each trial learns, over all its seeds. Raises InputError where its data cannot be opened."""
    steps, opened = list[int](), dict[str, int]()
    for recipe in (trial.recipe for trial in plan.trials):
        machine(recipe.compute)
        # Opened once, however many trials learn it: data may be large, or drawn.
        stream = recipe.model_dump_json(include={"tasks", "split", "scenario", "image", "validation", "seeds"})
        if stream not in opened:
            tasks = open_stream(recipe, recipe.seeds[0], data_dir)
            opened[stream] = len(recipe.seeds) * (1 if plan.scored == "joint" else len(tasks))
        steps.append(opened[stream])
    return steps


def _check_folder(plan: Plan, out: Path, resume: bool) -> None:
    mine = _document(plan)
    begun = store.read_json(out / PLAN).get("scholars") if (out / PLAN).is_file() else mine["scholars"]
    if begun != mine["scholars"]:
        raise InputError(f"{out} was begun with scholars {begun}, this is {mine['scholars']}")
    check_folder(out, "sweep", PLAN, mine, resume)


def _document(plan: Plan) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "scholars": version("scholars"),
        "trials": [trial.recipe.model_dump(mode="json") for trial in plan.trials],
    }


def _write_plan(plan: Plan, out: Path) -> None:
    if not (out / PLAN).is_file():
        store.write_json(out / PLAN, _document(plan))


def _progress(plan: Plan, out: Path) -> list[Progress]:
    """What is known of every trial: what ``sweep.json`` says, else that it waits."""
    if (out / SWEEP).is_file():
        try:
            return [Progress(**trial) for trial in store.read_json(out / SWEEP)["trials"]]
        except (KeyError, TypeError) as error:
            raise InputError(
                f"{out / SWEEP} is damaged ({error}): remove it; what was trained is found again"
            ) from None
    return [Progress(number, dict(trial.changes)) for number, trial in enumerate(plan.trials, start=1)]


def _write_state(plan: Plan, out: Path, data_dir: str | Path | None, progress: Sequence[Progress]) -> dict[str, Any]:
    recipe = plan.trials[0].recipe
    found = best(progress)
    document = {
        "schema": SCHEMA,
        "recipe": plan.recipe,
        "fixed": dict(plan.fixed),
        "varied": {key: list(values) for key, values in plan.varied.items()},
        "seeds": list(recipe.seeds),
        "methods": list(recipe.methods),
        "scored": plan.scored,
        "validation": recipe.validation,
        "best": {"trial": found.number, "command": plan.command(plan.trials[found.number - 1], data_dir)}
        if found
        else None,
        "trials": [asdict(one) for one in progress],
    }
    store.write_json(out / SWEEP, document)
    return document


def failures(document: dict[str, Any]) -> None:
    """Raise ScholarsError if trials of a sweep failed, with what the first of them failed of."""
    failed = [trial for trial in document["trials"] if trial["state"] == "failed"]
    if failed:
        raise ScholarsError(
            f"{len(failed)} of {len(document['trials'])} trials failed; trial {failed[0]['number']}: "
            f"{failed[0]['error']}. With --resume they are tried again"
        )
