"""How long to train, on the command line: --budget and --minutes of `learn` and `run`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from command_line import Done, scholars
from conftest import TINY, flat
from quick_recipe import RECIPE

from scholars.errors import Interrupted
from scholars.learning import resume
from scholars.learning.estimate import Estimate
from scholars.scholar import Scholar

# An MLP whose steps follow from the data.
OPEN = {"solver.kind": "mlp", "solver.width": 16, "solver.steps": None, "ood.dreams": 0, "audit.dreams": 0}
SETS = [f"{key}={'null' if value is None else value}" for key, value in {**flat(TINY), **OPEN}.items()]
# Of a normal budget for the half of Digits that `low` is.
NORMAL = 242


def learn(home: Path, *words: str, new: bool = True, classes: str = "0,1,2,3,4") -> Done:
    return scholars("learn", "s", "digits", "--classes", classes, *(["--set", *SETS] if new else []), *words, cwd=home)


def planned(home: Path) -> tuple[Any, Any, Any]:
    """Return budget, minutes and the solver's steps of the last task."""
    record = Scholar.load(home / "s").lineage[-1]
    return record.settings.budget, record.settings.minutes, record.plan["solver.steps"]


def problem(done: Done) -> str:
    """Return the one message of a command that was refused, in one line."""
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert "Traceback" not in done.stderr
    return " ".join(done.stderr.split())


def test_a_budget_by_name_or_number(tmp_path: Path) -> None:
    done = learn(tmp_path, "--budget", "small")
    assert done.returncode == 0, done.stderr
    assert "budget: small: 60 steps" in done.stderr
    budget, minutes, steps = planned(tmp_path)
    assert (budget, minutes) == ("small", None)
    assert steps == pytest.approx(NORMAL / 4, abs=1)
    again = learn(tmp_path, "--budget", "0.1", new=False, classes="5,6")
    assert again.returncode == 0, again.stderr
    budget, minutes, steps = planned(tmp_path)
    assert (budget, minutes) == (0.1, None)
    assert steps < NORMAL / 10
    shown = scholars("inspect", "s", cwd=tmp_path).stdout
    assert "budget: small; solver.steps 60" in shown
    assert f"budget: 0.1 of normal; solver.steps {steps}, " in shown
    lineage = json.loads(scholars("inspect", "s", "--json", cwd=tmp_path).stdout)["lineage"]
    assert lineage[1]["plan"]["solver.steps"] == steps
    assert scholars("report", "s", cwd=tmp_path).returncode == 0
    assert f"0.1 of normal; solver.steps {steps}, " in (tmp_path / "s.html").read_text(encoding="utf-8")


def test_minutes_are_measured(tmp_path: Path) -> None:
    done = learn(tmp_path, "--minutes", "0.05")
    assert done.returncode == 0, done.stderr
    budget, minutes, steps = planned(tmp_path)
    assert minutes == 0.05
    assert isinstance(budget, float)
    assert steps == pytest.approx(budget * NORMAL, abs=1)
    assert f"budget: {budget:g} of normal, for 0.05 minutes: {steps:,} steps of the solver" in done.stderr


def test_minutes_hold_for_later_tasks_until_a_budget_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resume, "estimate", lambda args, backbone: Estimate(0, 600))
    assert learn(tmp_path, "--minutes", "1").returncode == 0
    assert planned(tmp_path)[:2] == (0.1, 1)
    monkeypatch.setattr(resume, "estimate", lambda args, backbone: Estimate(0, 1200))
    assert learn(tmp_path, new=False, classes="5,6").returncode == 0
    assert planned(tmp_path)[:2] == (0.05, 1)
    assert learn(tmp_path, "--budget", "0.02", new=False, classes="7,8").returncode == 0
    assert planned(tmp_path)[:2] == (0.02, None)


def test_a_dry_run_says_what_the_time_buys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resume, "estimate", lambda args, backbone: Estimate(0, 600))
    done = learn(tmp_path, "--minutes", "1", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "budget: 0.1 of normal, for 1 minute: 24 steps of the solver, 12 of the generator" in done.stdout
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("command", [["learn", "s", "digits"], ["run", "quickstart"]])
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--budget", "small", "--minutes", "1"], "--budget and --minutes contradict each other"),
        (["--budget", "enormous"], "should be 'small', 'normal' or 'large', or a number, got 'enormous'"),
        (["--budget", "-1"], "budget: input should be greater than or equal to 0.001, got -1.0"),
        (["--budget", "nan"], "budget: input should be a finite number"),
        (["--minutes", "0"], "minutes: input should be greater than 0"),
        (["--minutes", "soon"], "--minutes"),
    ],
)
def test_what_is_no_budget(tmp_path: Path, command: list[str], words: list[str], said: str) -> None:
    assert said in problem(scholars(*command, *words, cwd=tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    document = {**RECIPE, "solver": {"kind": "mlp", "width": 16, "batch": 16}, "audit": {"dreams": 0}}
    path.write_text(yaml.safe_dump({**document, "ood": {"dreams": 0}, "methods": ["naive"]}))
    return path


def test_a_budget_of_a_run(recipe: Path, tmp_path: Path) -> None:
    done = scholars("run", str(recipe), "--out", "out", "--budget", "0.05", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    config = json.loads((tmp_path / "out" / "run.json").read_text())
    assert (config["budget"], config["minutes"]) == (0.05, None)
    assert "low: naive, solver, 12 steps" in done.stderr


def test_the_time_of_a_run_is_measured_once(recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The budget that was chosen stays in run.json: what is resumed goes on with it, at whatever pace."""
    words = ["run", str(recipe), "--out", "out", "--minutes", "1"]

    def stop(*_: object, **__: object) -> None:
        raise Interrupted("stopped")

    monkeypatch.setattr("scholars.experiments.run.estimate_run", lambda *_: Estimate(0, 1200))
    with monkeypatch.context() as patch:
        patch.setattr("scholars.experiments.method_run.learn", stop)
        assert scholars(*words, cwd=tmp_path).returncode == 130
    before = (tmp_path / "out" / "run.json").read_bytes()
    assert json.loads(before)["budget"] == 0.05
    monkeypatch.setattr("scholars.experiments.run.estimate_run", lambda *_: Estimate(0, 60))
    done = scholars(*words, "--resume", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "run.json").read_bytes() == before
    assert json.loads((tmp_path / "out" / "results.json").read_text())["config"]["budget"] == 0.05
    # Without --resume it is refused as ever, and so is another time.
    assert "--resume" in problem(scholars(*words, cwd=tmp_path))
    other = scholars(*words[:-1], "2", "--resume", cwd=tmp_path)
    assert "already holds another run" in problem(other)


def test_a_run_in_a_given_time(recipe: Path, tmp_path: Path) -> None:
    done = scholars("run", str(recipe), "--out", "out", "--minutes", "0.05", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert 0.02 <= json.loads((tmp_path / "out" / "run.json").read_text())["budget"] <= 12
