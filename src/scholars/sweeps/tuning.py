"""The trials of a sweep as Ray Tune sees them. Imports Ray: to be imported where it is known to be there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ray import tune
from ray.exceptions import RayError
from ray.tune.error import TuneError
from ray.tune.experiment import Trial
from ray.tune.schedulers import ASHAScheduler

from scholars.clusters import available, reason
from scholars.errors import InputError, ScholarsError
from scholars.sweeps.trial import FIRST_LOOK, SCRATCH, Errand, Means, Progress, do_trial

# How often a trial is begun again: machines fail, and so does memory. What it learned is kept in its folder.
RETRIES = 3
# ASHA lets one of so many go on at each look.
REDUCTION = 2
_STEPS, _SCORE, _REFUSED = "tasks", "score", "refused"


class Reporter(tune.Callback):
    """Writes down what happens to trials, and says it.

    trials: by number
    conclude: called with a trial that ends
    noted: called with a trial and what happened to it, after every change
    """

    def __init__(
        self,
        trials: Mapping[int, Progress],
        conclude: Callable[[Progress], None],
        noted: Callable[[Progress, str], None],
    ) -> None:
        self._trials, self._conclude, self._noted = trials, conclude, noted

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Ray writes down what it was given, and nobody reads that."""
        return {}

    def on_trial_result(self, iteration: int, trials: Any, trial: Any, result: Mapping[str, Any], **info: Any) -> None:
        """Keep the score after one more task."""
        one = self._trials[trial.config["number"]]
        if _REFUSED in result:
            one.error = result[_REFUSED]
            return
        if _SCORE not in result:
            return
        step = result[_STEPS]
        known = step <= len(one.course)
        one.course = [*one.course[: step - 1], result[_SCORE], *one.course[step:]]
        if not known:
            self._noted(one, f"{100 * result[_SCORE]:.1f} % after {step} task{'s'[: step != 1]}")

    def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        """Keep what it came to."""
        one = self._trials[trial.config["number"]]
        if one.error:
            one.state = "failed"
            self._noted(one, f"cannot be run: {one.error}")
            return
        self._conclude(one)
        self._noted(one, "stopped early" if one.state == "stopped" else "done")

    def on_trial_recover(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        """Say that it is tried again."""
        one = self._trials[trial.config["number"]]
        one.attempts += 1
        self._noted(one, f"failed ({_reason(trial)}) and is tried again")

    def on_trial_error(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        """Keep why it is given up."""
        one = self._trials[trial.config["number"]]
        one.state, one.error = "failed", _reason(trial)
        self._noted(one, f"failed for good: {one.error}")


def tune_trials(
    errand: Errand,
    numbers: Sequence[int],
    reporter: Reporter,
    means: Means,
    stop_within: int | None,
    earlier: Sequence[Sequence[float]],
) -> None:
    """Run trials until each has ended.

    stop_within: the tasks of the longest trial, if trials may be stopped early
    earlier: the courses of trials that ended before, by which others are judged too

    Raises ScholarsError where the cluster itself fails.
    """
    gpus = means.gpus if means.gpus is not None else float(available("GPU") > 0)
    tuner = tune.Tuner(
        tune.with_resources(tune.with_parameters(_trial, errand=errand), {"cpu": errand.threads, "gpu": gpus}),
        param_space={"number": tune.grid_search(list(numbers))},
        tune_config=tune.TuneConfig(scheduler=_scheduler(stop_within, earlier) if stop_within else None),
        run_config=tune.RunConfig(
            name=SCRATCH,
            storage_path=str(errand.out),
            callbacks=[reporter],
            failure_config=tune.FailureConfig(max_failures=RETRIES),
            verbose=0,
        ),
    )
    try:
        tuner.fit()
    except (RayError, TuneError) as error:
        raise ScholarsError(f"Ray failed ({reason(str(error))}). What was trained is kept: --resume goes on") from None


def _trial(config: Mapping[str, Any], errand: Errand) -> None:
    try:
        do_trial(errand, config["number"], lambda step, score: tune.report({_STEPS: step, _SCORE: score}))
    except InputError as error:  # which another attempt would not mend
        tune.report({_REFUSED: str(error)})


def _scheduler(most: int, earlier: Sequence[Sequence[float]]) -> Any:
    """ASHA, which compares trials that have learned equally many tasks. Never at the last: it is done by then.

    A rule that compares with a trial's best so far (median stopping) would look at the first task, before anything
    could be forgotten.
    """
    asha: Any = ASHAScheduler(
        _STEPS,
        _SCORE,
        "max",
        max_t=max(FIRST_LOOK, most - 1),
        grace_period=FIRST_LOOK,
        reduction_factor=REDUCTION,
        stop_last_trials=False,
    )
    for course in earlier:
        ended = Trial("ended", stub=True)
        asha.on_trial_add(None, ended)
        for step, score in enumerate(course, start=1):
            asha.on_trial_result(None, ended, {_STEPS: step, _SCORE: score})
    return asha


def _reason(trial: Any) -> str:
    """In a line what a trial failed of."""
    return reason(Path(trial.error_file).read_text(errors="replace") if trial.error_file else "")
