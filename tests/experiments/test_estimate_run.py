"""The estimate of an experiment counts what it does: every method, seed and task, and what is done once, once."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from photographs import QUICK, arrays
from quick_recipe import RECIPE

from scholars.experiments.estimate_run import estimate_run
from scholars.experiments.recipe import Recipe
from scholars.experiments.run import run
from scholars.learning import estimate
from scholars.learning.estimate import Estimate
from scholars.settings.overrides import build
from scholars.tasks.task import Task

# As the solver's steps follow from the data, and one of either network takes a second, the normal budget takes so many.
OPEN = {"solver": {"kind": "mlp", "width": 8, "batch": 32, "shift": 0}, "audit": {"dreams": 0}, "ood": {"dreams": 0}}


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a second pass whenever somebody asks for the time: each step takes one, and so does each look."""
    seconds = itertools.count()
    monkeypatch.setattr(estimate, "_now", lambda: float(next(seconds)))


def found(tasks: list[Task], **changes: Any) -> Estimate:
    return estimate_run(build(Recipe, {"name": "tiny", **RECIPE, **OPEN, **changes}, None, where="tests"), tasks)


def steps(*tasks: Task) -> int:
    return sum(round(9 * len(task.train) ** 0.5) for task in tasks)


def test_every_task_method_and_seed_counts(low: Task, high: Task) -> None:
    tasks = [low, high]
    naive = found(tasks, methods=["naive"])
    assert naive.scaled == steps(low, high)
    assert found([low], methods=["naive"]).scaled == steps(low)
    assert found(tasks, methods=["naive"], seeds=[0, 1, 2]) == naive.times(3)
    # The first task is learned once by those that train no generator.
    assert found(tasks, methods=["naive", "exact"]).scaled == steps(low, high) + steps(high)
    # All at once takes as many steps as one after the other.
    assert found(tasks, methods=["joint"]).scaled == steps(low, high)
    assert found(tasks, methods=["joint", "naive"]).scaled == 2 * steps(low, high)


def test_replay_trains_generators_and_solvers(low: Task, high: Task) -> None:
    tasks = [low, high]
    replay, naive = found(tasks, methods=["replay"]), found(tasks, methods=["naive"])
    # A dozen steps of the generator, whatever the budget.
    assert replay.scaled == naive.scaled
    assert replay.fixed == pytest.approx(naive.fixed + 2 * 12)
    both = found(tasks, methods=["replay", "naive"])
    assert both.scaled == steps(low, high) + steps(high)
    audited = found(tasks, methods=["replay"], audit={"dreams": 100, "steps": 5})
    assert audited.fixed > replay.fixed


def test_looking_counts_once() -> None:
    tasks = [arrays(("disc", "box"), 8), arrays(("leaf", "ring"), 8)]

    def of_photos(*methods: str, seeds: tuple[int, ...] = (0,)) -> float:
        document = {"name": "photos", "tasks": ["one", "two"], "methods": methods, "seeds": seeds}
        return estimate_run(build(Recipe, document, QUICK, where="tests"), tasks).seconds(1)

    one, two, three = of_photos("replay"), of_photos("replay", "exact"), of_photos("replay", seeds=(0, 1, 2))
    # Each method learns both tasks anew, in 3 seconds and 60 steps each: the rest is looking.
    assert two - one == pytest.approx(2 * 63)
    assert three - one == pytest.approx(4 * 63)
    assert one > 2 * 63


def test_a_run_keeps_its_budget(low: Task, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """In run.json, whatever the pace is when it is resumed; and the time is of all of it."""
    recipe = build(Recipe, {"name": "tiny", **RECIPE, **OPEN, "methods": ["naive"], "minutes": 1}, None, "tests")
    monkeypatch.setattr("scholars.experiments.run.estimate_run", lambda *_: Estimate(0, 1200))
    first = run(recipe, tmp_path / "out")
    assert (first["config"]["budget"], first["config"]["minutes"]) == (0.05, 1)
    monkeypatch.setattr("scholars.experiments.run.estimate_run", lambda *_: Estimate(0, 60))
    assert run(recipe, tmp_path / "out", resume=True) == first
