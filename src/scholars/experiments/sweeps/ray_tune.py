"""Run the trials of a sweep by Ray Tune. Imports Ray: import this module only where it is installed."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ray import tune
from ray.exceptions import RayError
from ray.tune.error import TuneError
from ray.tune.experiment import Trial
from ray.tune.schedulers import ASHAScheduler

from scholars.compute.ray_cluster import cluster_resource, last_error_line
from scholars.errors import InputError, ScholarsError
from scholars.experiments.sweeps.trial import GRACE_PERIOD, SCRATCH, Resources, TrialState, WorkerConfig, run_trial

# How often a trial is started again: machines fail, and memory runs out. What it learned is kept in its folder.
MAX_RETRIES = 3
# ASHA keeps one of so many trials at each comparison.
REDUCTION_FACTOR = 2
# The keys of what a worker reports.
_TASKS, _SCORE, _REFUSED = "tasks", "score", "refused"


class Reporter(tune.Callback):
    """Keep the states of trials up to date with what Ray reports.

    trials: by number
    on_end: called with a trial that ended without an error, to record its outcome
    on_change: called with a trial and a few words after every change
    """

    def __init__(
        self,
        trials: Mapping[int, TrialState],
        on_end: Callable[[TrialState], None],
        on_change: Callable[[TrialState, str], None],
    ) -> None:
        self.trials, self._on_end, self._on_change = trials, on_end, on_change

    def __getstate__(self) -> dict[str, Any]:
        """Return nothing: Ray saves its callbacks, and these are never read again."""
        return {}

    def on_trial_result(self, iteration: int, trials: Any, trial: Any, result: Mapping[str, Any], **info: Any) -> None:
        """Add the score after one more task to the history."""
        state = self._state(trial)
        if _REFUSED in result:
            state.error = result[_REFUSED]
            return
        if _SCORE not in result:
            return
        tasks, history = result[_TASKS], state.accuracy_history
        is_new = tasks > len(history)
        state.accuracy_history = [*history[: tasks - 1], result[_SCORE], *history[tasks:]]
        if is_new:
            self._on_change(state, f"{100 * result[_SCORE]:.1f} % after {tasks} task{'s'[: tasks != 1]}")

    def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        """Record the outcome."""
        state = self._state(trial)
        if state.error:
            state.state = "failed"
            self._on_change(state, f"cannot be run: {state.error}")
            return
        self._on_end(state)
        self._on_change(state, "stopped early" if state.state == "stopped" else "done")

    def on_trial_recover(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        """Count the attempt."""
        state = self._state(trial)
        state.attempts += 1
        self._on_change(state, f"failed ({_failure(trial)}) and is tried again")

    def on_trial_error(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        """Record why it failed for good."""
        state = self._state(trial)
        state.state, state.error = "failed", _failure(trial)
        self._on_change(state, f"failed for good: {state.error}")

    def _state(self, trial: Any) -> TrialState:
        return self.trials[trial.config["number"]]


def tune_trials(
    worker: WorkerConfig,
    reporter: Reporter,
    resources: Resources,
    stop_within: int | None,
    histories: Sequence[Sequence[float]],
) -> None:
    """Run the trials of ``reporter`` until each has ended.

    stop_within: the tasks of the longest trial, if trials may be stopped early; else None
    histories: the accuracy histories of trials that ended before, with which the others are compared too

    Raises ScholarsError where the cluster itself fails.
    """
    gpus = resources.gpus if resources.gpus is not None else float(cluster_resource("GPU") > 0)
    tuner = tune.Tuner(
        tune.with_resources(tune.with_parameters(_trial, worker=worker), {"cpu": worker.threads, "gpu": gpus}),
        param_space={"number": tune.grid_search(list(reporter.trials))},
        tune_config=tune.TuneConfig(scheduler=_asha_scheduler(stop_within, histories) if stop_within else None),
        run_config=tune.RunConfig(
            name=SCRATCH,
            storage_path=str(worker.out),
            callbacks=[reporter],
            failure_config=tune.FailureConfig(max_failures=MAX_RETRIES),
            verbose=0,
        ),
    )
    try:
        tuner.fit()
    except (RayError, TuneError) as error:
        raise ScholarsError(
            f"Ray failed ({last_error_line(str(error))}). What was trained is kept: --resume goes on"
        ) from None


def _trial(config: Mapping[str, Any], worker: WorkerConfig) -> None:
    try:
        run_trial(worker, config["number"], lambda tasks, score: tune.report({_TASKS: tasks, _SCORE: score}))
    except InputError as error:  # another attempt would be refused, too: not an error to retry
        tune.report({_REFUSED: str(error)})


def _asha_scheduler(most_tasks: int, histories: Sequence[Sequence[float]]) -> Any:
    """Return ASHA, which compares trials that have learned equally many tasks; not after the last, when they are done.

    A rule that compares the best scores so far (median stopping) would use those after the first task, before anything
    can be forgotten.
    """
    asha: Any = ASHAScheduler(
        _TASKS,
        _SCORE,
        "max",
        max_t=max(GRACE_PERIOD, most_tasks - 1),
        grace_period=GRACE_PERIOD,
        reduction_factor=REDUCTION_FACTOR,
        stop_last_trials=False,
    )
    for history in histories:
        ended = Trial("ended", stub=True)
        asha.on_trial_add(None, ended)
        for tasks, score in enumerate(history, start=1):
            asha.on_trial_result(None, ended, {_TASKS: tasks, _SCORE: score})
    return asha


def _failure(trial: Any) -> str:
    """Return in a line why a trial failed."""
    return last_error_line(Path(trial.error_file).read_text(errors="replace") if trial.error_file else "")
