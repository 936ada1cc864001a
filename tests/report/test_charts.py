from __future__ import annotations

import math

import numpy as np

from scholars.report.charts import _LABEL_HEIGHT, Spec, _spread_labels, chart_accuracy, chart_forgetting
from scholars.report.curves import chart_losses
from scholars.report.results import parse_results

from .documents import one_run, results, single, tick


def test_accuracy_has_a_row_for_each_task_method_and_moment() -> None:
    spec = chart_accuracy(parse_results(results()))
    values = spec["data"]["values"]
    rows = {(row["task"], row["after"], row["method"]): row for row in values if "after" in row}
    assert len(rows) == 9  # mnist after either task and svhn after itself, by three methods
    naive = rows["mnist", "svhn", "naive"]
    assert [round(naive[name], 6) for name in ("worst", "mean", "best")] == [20, 25, 30]
    # Joint training has no before: its level is shown at every task.
    assert rows["mnist", "mnist", "joint"]["mean"] == rows["mnist", "svhn", "joint"]["mean"] == 98
    assert [row["task"] for row in values if "edge" in row] == ["svhn"]  # not learned at the left
    assert labels(spec, "mnist") == {"replay 95.0", "naive 25.0", "joint 98.0"}
    assert labels(spec, "svhn") == {"replay 91.0", "naive 94.0", "joint 93.0"}
    marks = [layer["mark"] for layer in spec["spec"]["layer"]]
    alone = chart_accuracy(parse_results(single()))["spec"]["layer"]
    assert marks[0]["type"] == "area"
    assert [layer["mark"] for layer in alone] == marks[1:]  # one seed has no band


def labels(spec: Spec, task: str) -> set[str]:
    return {row["label"] for row in spec["data"]["values"] if row["task"] == task and "label" in row}


def test_accuracy_of_a_method_that_is_not_known() -> None:
    document = single()
    document["runs"].append(one_run(0, "rehearsal", [[0.5]]))
    assert labels(chart_accuracy(parse_results(document)), "mnist") == {"replay 98.7", "rehearsal 50.0"}


def test_accuracy_leaves_out_what_is_missing() -> None:
    document = results()
    document["runs"] = [
        {**one_run(0, "replay", [[0.9]]), "accuracy": [[0.9], [None, 0.8]]},
        {**one_run(0, "naive", [[0.9]]), "accuracy": []},
        {**one_run(0, "joint", [[0.9]]), "accuracy": [[None, 0.7]]},
    ]
    spec = chart_accuracy(parse_results(document))
    points = {(row["task"], row["after"], row["method"]) for row in spec["data"]["values"] if "after" in row}
    assert points == {("mnist", "mnist", "replay"), ("svhn", "svhn", "replay"), ("svhn", "svhn", "joint")}
    assert labels(spec, "mnist") == {"replay 90.0"}
    assert labels(spec, "svhn") == {"replay 80.0", "joint 70.0"}


def test_labels_are_moved_apart_and_no_further() -> None:
    np.testing.assert_allclose(_spread_labels([10.0, 50.0, 90.0]), [10, 50, 90])
    np.testing.assert_allclose(_spread_labels([50.0, 50.0]), [50 - _LABEL_HEIGHT / 2, 50 + _LABEL_HEIGHT / 2])
    for crowd in ([0.0] * 4, [98.0, 99.0, 99.5, 100.0], [1.0, 2.0, 98.0, 99.0]):
        placed = _spread_labels(crowd)
        assert np.diff(placed).min() > _LABEL_HEIGHT - 1e-9
        assert placed[0] >= 0
        assert placed[-1] <= 100
    assert _spread_labels([]) == []


def test_methods_differ_by_more_than_colour() -> None:
    layers = chart_accuracy(parse_results(results()))["spec"]["layer"]
    (point,) = [layer["encoding"]["shape"]["scale"] for layer in layers if "shape" in layer["encoding"]]
    assert point["domain"] == ["replay", "naive", "joint"]
    assert len(set(point["range"])) == 3


def test_forgetting_names_only_the_methods_that_it_shows() -> None:
    spec = chart_forgetting(parse_results(results()))
    assert spec is not None
    assert spec["encoding"]["color"]["scale"]["domain"] == ["replay", "naive"]


def test_forgetting_is_measured_from_the_best() -> None:
    spec = chart_forgetting(parse_results(results()))
    assert spec is not None
    points = {row["method"]: round(row["points"], 6) for row in spec["data"]["values"]}
    assert points == {"replay": 3, "naive": 73}
    assert chart_forgetting(parse_results(single())) is None


def test_forgetting_is_of_each_seed_by_itself() -> None:
    """The best of one seed comes later than that of the other: they fall by 0.3 each, their mean by less."""
    runs = [
        one_run(0, "replay", [[0.9], [0.6, 0.9], [0.6, 0.6, 0.9]]),
        one_run(1, "replay", [[0.6], [0.9, 0.9], [0.6, 0.6, 0.9]]),
    ]
    spec = chart_forgetting(parse_results(results(tasks=["a", "b", "c"], runs=runs)))
    assert spec is not None
    points = {row["task"]: round(row["points"], 6) for row in spec["data"]["values"]}
    assert points == {"a": 30, "b": 30}


def test_curves_follow_one_another() -> None:
    """Two tasks of 20 steps by replay, then joint training, which begins at the left again."""
    ticks = [tick("replay", task, step) for task in ("a", "b") for step in (10, 20)]
    spec = chart_losses([*ticks, tick("joint", "b", 20), tick("replay", "a", 15, metrics={"loss": math.inf})])
    assert spec is not None
    (panel,) = spec["concat"]
    rows = [(row["method"], row["task"], row["step"]) for row in panel["data"]["values"]]
    assert rows == [
        ("joint", "b", 20),
        ("replay", "a", 10),
        ("replay", "a", 20),
        ("replay", "b", 30),
        ("replay", "b", 40),
    ]
    rule, name, _ = panel["layer"]
    assert rule["data"]["values"] == name["data"]["values"] == [{"task": "a", "step": 0}, {"task": "b", "step": 20}]
    assert chart_losses([]) is None


def test_losses_have_a_panel_for_each_loss_of_the_first_seed() -> None:
    metrics = {"critic_loss": -3.0, "wasserstein": 4.0, "penalty": math.nan, "gradient_norm": 9.0}
    spec = chart_losses(
        [
            tick("replay", "a", 10, seed=7),
            tick("replay", "a", 10, seed=8, metrics={"other_loss": 1.0}),
            tick("replay", "a", 5, seed=7, stage="generator", metrics=metrics),
            tick("replay", "a", 8000, seed=7, stage="bank", metrics={}),
        ]
    )
    assert spec is not None
    titles = [panel["title"]["text"] for panel in spec["concat"]]
    assert titles == ["solver: loss", "generator: critic loss", "generator: wasserstein"]


def test_losses_of_a_step_taken_twice_are_those_of_the_second_time() -> None:
    spec = chart_losses(
        [tick("replay", "a", step, metrics={"loss": loss}) for step, loss in [(10, 5.0), (20, 4.0), (10, 3.0)]]
    )
    assert spec is not None
    assert [row["value"] for row in spec["concat"][0]["data"]["values"]] == [3.0, 4.0]


def test_tasks_are_named_where_there_is_room() -> None:
    spec = chart_losses([tick("replay", str(task), step) for task in range(9) for step in (10, 20)])
    assert spec is not None
    assert [layer["mark"]["type"] for layer in spec["concat"][0]["layer"]] == ["rule", "line"]


def test_long_curves_are_thinned() -> None:
    spec = chart_losses([tick("replay", "a", step) for step in range(1, 1001)])
    assert spec is not None
    assert len(spec["concat"][0]["data"]["values"]) == 200


def test_many_curves_are_thinned_further() -> None:
    spec = chart_losses([tick("replay", str(task), step) for task in range(300) for step in range(1, 101)])
    assert spec is not None
    assert len(spec["concat"][0]["data"]["values"]) <= 12_000
