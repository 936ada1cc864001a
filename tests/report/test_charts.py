from __future__ import annotations

import math

from scholars.report import charts
from scholars.report.curves import losses
from scholars.report.results import parse

from .documents import one_run, results, single, tick


def test_accuracy_has_a_row_for_each_task_method_and_moment() -> None:
    spec = charts.accuracy(parse(results()))
    values = spec["data"]["values"]
    rows = {(row["task"], row["after"], row["method"]): row for row in values if "method" in row}
    assert len(rows) == 9  # mnist after either task and svhn after itself, by three methods
    naive = rows["mnist", "svhn", "naive"]
    assert [round(naive[name], 6) for name in ("worst", "mean", "best")] == [20, 25, 30]
    # Joint training has no before: its level is shown at every task.
    assert rows["mnist", "mnist", "joint"]["mean"] == rows["mnist", "svhn", "joint"]["mean"] == 98
    assert [row for row in values if "method" not in row] == [{"task": "svhn", "after": "mnist", "unlearned": True}]
    marks = [layer["mark"]["type"] for layer in spec["spec"]["layer"]]
    assert marks == ["area", "text", "rule", "line", "point"]
    alone = charts.accuracy(parse(single()))["spec"]["layer"]
    assert [layer["mark"]["type"] for layer in alone] == marks[1:]  # one seed has no band


def test_methods_differ_by_more_than_colour() -> None:
    point = charts.accuracy(parse(results()))["spec"]["layer"][-1]["encoding"]["shape"]["scale"]
    assert point["domain"] == ["replay", "naive", "joint"]
    assert len(set(point["range"])) == 3


def test_forgetting_names_only_the_methods_that_it_shows() -> None:
    spec = charts.forgetting(parse(results()))
    assert spec is not None
    assert spec["encoding"]["color"]["scale"]["domain"] == ["replay", "naive"]


def test_forgetting_is_measured_from_the_best() -> None:
    spec = charts.forgetting(parse(results()))
    assert spec is not None
    points = {row["method"]: round(row["points"], 6) for row in spec["data"]["values"]}
    assert points == {"replay": 3, "naive": 73}
    assert charts.forgetting(parse(single())) is None


def test_forgetting_is_of_each_seed_by_itself() -> None:
    """The best of one seed comes later than that of the other: they fall by 0.3 each, their mean by less."""
    runs = [
        one_run(0, "replay", [[0.9], [0.6, 0.9], [0.6, 0.6, 0.9]]),
        one_run(1, "replay", [[0.6], [0.9, 0.9], [0.6, 0.6, 0.9]]),
    ]
    spec = charts.forgetting(parse(results(tasks=["a", "b", "c"], runs=runs)))
    assert spec is not None
    points = {row["task"]: round(row["points"], 6) for row in spec["data"]["values"]}
    assert points == {"a": 30, "b": 30}


def test_curves_follow_one_another() -> None:
    """Two tasks of 20 steps by replay, then joint training, which begins at the left again."""
    ticks = [tick("replay", task, step) for task in ("a", "b") for step in (10, 20)]
    spec = losses([*ticks, tick("joint", "b", 20), tick("replay", "a", 15, metrics={"loss": math.inf})])
    assert spec is not None
    (panel,) = spec["concat"]
    rows = [(row["method"], row["task"], row["step"]) for row in panel["data"]["values"]]
    assert rows == [
        ("replay", "a", 10),
        ("replay", "a", 20),
        ("replay", "b", 30),
        ("replay", "b", 40),
        ("joint", "b", 20),
    ]
    rule, name, _ = panel["layer"]
    assert rule["data"]["values"] == name["data"]["values"] == [{"task": "a", "step": 0}, {"task": "b", "step": 20}]
    assert losses([]) is None


def test_tasks_are_named_where_there_is_room() -> None:
    spec = losses([tick("replay", str(task), step) for task in range(9) for step in (10, 20)])
    assert spec is not None
    assert [layer["mark"]["type"] for layer in spec["concat"][0]["layer"]] == ["rule", "line"]


def test_long_curves_are_thinned() -> None:
    spec = losses([tick("replay", "a", step) for step in range(1, 1001)])
    assert spec is not None
    assert len(spec["concat"][0]["data"]["values"]) == 200


def test_many_curves_are_thinned_further() -> None:
    spec = losses([tick("replay", str(task), step) for task in range(300) for step in range(1, 101)])
    assert spec is not None
    assert len(spec["concat"][0]["data"]["values"]) <= 12_000
