"""Sweeps on a real Ray of two workers: every trial once, failures retried, interruptions gone on with."""

from __future__ import annotations

import os
import signal
import sys
import textwrap
import time
from collections import Counter
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from command_line import scholars
from filelock import FileLock
from forked import start_scholars
from quick_recipe import RECIPE

from scholars.errors import InputError, ScholarsError
from scholars.evaluation.metrics import interval
from scholars.experiments.sweeps import sweep as running
from scholars.experiments.sweeps.grid import plan_sweep
from scholars.experiments.sweeps.sweep import raise_failures, sweep
from scholars.experiments.sweeps.trial import SCRATCH, TrialState
from scholars.storage import files

pytest.importorskip("ray", reason="Ray, of the extra `ray`, is not installed")

QUICK = {**RECIPE, "audit": {"dreams": 0}, "ood": {"dreams": 0}}
SETS = ["solver.width=8,12", "solver.steps=30"]

# What workers load: it holds a trial when that has learned its first task.
HOLDING = """
    import dataclasses, time
    from scholars.experiments.sweeps import trial

    run = trial.run

    def held(recipe, out, *, callbacks, **how):
        def on_row(position, row):
            callbacks.on_row(position, row)
            time.sleep(3600)
        return run(recipe, out, callbacks=dataclasses.replace(callbacks, on_row=on_row), **how)

    trial.run = held
"""

# It kills the process of the second trial, once, when that has learned its first task, and writes down what is learned.
DEADLY = """
    import dataclasses, os, pathlib
    from scholars.experiments import method_run
    from scholars.experiments.sweeps import trial

    learn, run = method_run.learn, trial.run

    def noting(*task, **how):
        learned = learn(*task, **how)
        with open("LOG", "a") as log:
            log.write(f"{how['session'].folder}\\n")
        return learned

    def dying(recipe, out, *, callbacks, **how):
        def on_row(position, row):
            callbacks.on_row(position, row)
            if pathlib.Path(out).name == "2" and not (flag := pathlib.Path("FLAG")).exists():
                flag.touch()
                os._exit(1)
        return run(recipe, out, callbacks=dataclasses.replace(callbacks, on_row=on_row), **how)

    method_run.learn, trial.run = noting, dying
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(QUICK))
    return path


def test_interrupted_resumed_with_a_trial_that_dies_once(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    out = tmp_path / "out"
    (tmp_path / "holding.py").write_text(textwrap.dedent(HOLDING))
    words = ["sweep", str(recipe), "--set", *SETS, "--seed", "0", "1", "--out", str(out), "--workers", "2"]
    log = tmp_path / "log.txt"
    process = start_scholars("--plugin", str(tmp_path / "holding.py"), *words, output=log)
    deadline = time.monotonic() + 300
    while not (log.is_file() and "after 1 task" in log.read_text()):
        assert process.is_alive() and time.monotonic() < deadline, "no trial learned a task"
        time.sleep(0.05)
    assert process.pid
    os.kill(process.pid, signal.SIGINT)
    process.join(120)
    assert process.exitcode == 130, log.read_text()
    assert "scholars: stopped. What was done is kept: add --resume to go on\n" in log.read_text()
    assert "Traceback" not in log.read_text()
    assert not (out / "ray").exists()
    state = files.read_json(out / "sweep.json")
    assert {trial["state"] for trial in state["trials"]} == {"waiting"}

    with pytest.raises(InputError, match="add --resume to go on with it"):
        sweep(plan_sweep(str(recipe), SETS, [0, 1]), out)
    with pytest.raises(InputError, match="another sweep"):
        sweep(plan_sweep(str(recipe), SETS, [0, 2]), out, resume=True)

    deadly = textwrap.dedent(DEADLY).replace("FLAG", str(tmp_path / "flag")).replace("LOG", str(tmp_path / "log"))
    (tmp_path / "deadly.py").write_text(deadly)
    request.getfixturevalue("workers")
    monkeypatch.setattr("scholars.experiments.sweeps.sweep.plugins", lambda: (str(tmp_path / "deadly.py"),))
    notes: list[str] = []
    document = sweep(plan_sweep(str(recipe), SETS, [0, 1]), out, resume=True, on_note=notes.append)
    assert [trial["state"] for trial in document["trials"]] == ["finished"] * 2
    assert [trial["attempts"] for trial in document["trials"]] == [0, 1]
    assert [note for note in notes if "is tried again" in note and note.startswith("trial 2 of 2")]
    # What a process had learned before it died was not learned again.
    assert set(Counter((tmp_path / "log").read_text().splitlines()).values()) == {1}
    for trial in document["trials"]:
        results = files.read_json(out / "trials" / str(trial["number"]) / "results.json")
        scores = [run["average_accuracy"] for run in results["runs"]]
        assert len(trial["accuracy_history"]) == 4
        assert trial["accuracy_history"][-1] == pytest.approx(sum(scores) / 2)
        assert trial["average_accuracy"]["mean"] == pytest.approx(sum(scores) / 2)
        assert trial["average_accuracy"]["interval"] == pytest.approx(interval(scores))
        assert results["config"]["validation"] == 0.1

    finished = {path: path.stat().st_mtime_ns for path in out.glob("trials/*/results.json")}
    notes.clear()
    assert sweep(plan_sweep(str(recipe), SETS, [0, 1]), out, resume=True, on_note=notes.append) == document
    assert (notes, {path: path.stat().st_mtime_ns for path in finished}) == ([], finished)

    done = scholars(*words, "--resume", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in out.iterdir()} == {"plan.json", "trials", *(f"sweep.{end}" for end in ENDS)}
    assert document["best"]["command"] in done.stdout


ENDS = ("json", "csv", "md", "png")


def test_trials_that_cannot_be_run_are_not_tried_again_and_those_that_fail_are(
    recipe: Path, tmp_path: Path, workers: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken.py").write_text(
        "from scholars.experiments.sweeps import trial\nfrom scholars.errors import InputError\nrun = trial.run\n"
        "def broken(recipe, out, **how):\n"
        "    if recipe.solver.width == 8: raise InputError('does not fit')\n"
        "    if recipe.solver.width == 12: raise ValueError('no good')\n"
        "    return run(recipe, out, **how)\n"
        "trial.run = broken\n"
    )
    monkeypatch.setattr("scholars.experiments.sweeps.sweep.plugins", lambda: (str(tmp_path / "broken.py"),))
    monkeypatch.setattr("scholars.experiments.sweeps.ray_tune.MAX_RETRIES", 1)
    plan = plan_sweep(str(recipe), ["solver.width=8,12"])
    document = sweep(plan, tmp_path / "out")
    assert [trial["state"] for trial in document["trials"]] == ["failed", "failed"]
    assert [trial["attempts"] for trial in document["trials"]] == [0, 1]
    assert [trial["error"] for trial in document["trials"]] == ["does not fit", "ValueError: no good"]
    assert document["best"] is None
    with pytest.raises(ScholarsError, match=r"2 of 2 trials failed; trial 1: does not fit\. With --resume"):
        raise_failures(document)


def test_a_trial_that_ends_without_results_was_stopped(tmp_path: Path) -> None:
    from scholars.experiments.sweeps.ray_tune import Reporter

    plan = plan_sweep("quickstart", ["replay.ratio=0.3,0.5"])
    state = TrialState(1, {"replay.ratio": 0.3}, accuracy_history=[0.9, 0.5])
    notes: list[str] = []
    reporter = Reporter(
        {1: state}, lambda ended: running._record_outcome(plan, tmp_path, ended), lambda _, note: notes.append(note)
    )
    trial = SimpleNamespace(config={"number": 1})
    # Started again, it reports what it learned before, and the rest.
    for step, score in enumerate([0.9, 0.5, 0.7], start=1):
        reporter.on_trial_result(0, [], trial, {"tasks": step, "score": score})
    reporter.on_trial_complete(0, [], trial)
    assert (state.state, state.accuracy_history, state.average_accuracy) == ("stopped", [0.9, 0.5, 0.7], None)
    assert notes == ["70.0 % after 3 tasks", "stopped early"]


@pytest.mark.parametrize("count", [3, 6, 40])
def test_the_worse_half_is_stopped_but_not_before_something_can_be_forgotten(count: int) -> None:
    from ray.tune.experiment import Trial

    from scholars.experiments.sweeps.ray_tune import _asha_scheduler

    falling = [0.95, *([0.6] * (count - 1))]
    asha = _asha_scheduler(count, [falling, falling, falling])

    def decisions(history: list[float]) -> list[str]:
        trial = Trial("tried", stub=True)
        asha.on_trial_add(None, trial)
        return [
            asha.on_trial_result(None, trial, {"tasks": step, "score": score})
            for step, score in enumerate(history, start=1)
        ]

    assert decisions([0.99, *([0.8] * (count - 1))]) == ["CONTINUE"] * count
    worse = decisions([0.1, *([0.3] * (count - 1))])
    assert worse[:2] == ["CONTINUE", "STOP"]
    assert worse[-1] == "CONTINUE"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--address", "127.0.0.1:1"], "nothing answers there"),
        (["--address", "ray://head:10001"], "give HOST:PORT"),
        (["--out", "tiny.yaml"], "is a file"),
        (["--out", "full"], "holds no sweep"),
        (["--stop-early"], "no trial learns more than that"),
        (["--set", "compute.device=gpux"], "compute.device"),
        (["--set", "tasks=[nowhere]"], "nowhere"),
    ],
)
def test_what_is_refused_leaves_nothing(recipe: Path, words: list[str], message: str, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").touch()
    done = scholars("sweep", recipe.name, "--set", "solver.width=8,12", *words, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"tiny.yaml", "full"}


def test_two_at_once_in_one_folder_are_refused(recipe: Path, tmp_path: Path) -> None:
    with FileLock(tmp_path / ".out.lock"):
        done = scholars("sweep", recipe.name, "--set", "solver.width=8,12", "--out", "out", cwd=tmp_path)
    assert (done.returncode, "another process is running what is in" in done.stderr) == (2, True)
    assert not (tmp_path / "out").exists()


def test_one_that_is_refused_leaves_the_files_of_the_one_that_runs(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "cluster", lambda *_: nullcontext())
    plan, out = plan_sweep(str(recipe), SETS, [0, 1]), tmp_path / "out"
    running._work_folder(plan, out).begin()
    (out / SCRATCH).mkdir()
    with FileLock(tmp_path / ".out.lock"), pytest.raises(InputError, match="another process"):
        sweep(plan, out, resume=True)
    assert (out / SCRATCH).is_dir()


def test_without_ray_it_is_said(recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    done = scholars("sweep", recipe.name, "--set", "solver.width=8,12", cwd=tmp_path)
    assert (done.returncode, "pip install '.[ray]'" in done.stderr) == (2, True)
