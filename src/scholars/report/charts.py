"""The charts of the page: plain data to Vega-Lite specifications, drawn by the reader's browser without a network.

The same figures are in the page's tables and in the PNGs of the run's folder; here they can be asked for their values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from scholars.report.curves import Curve, read_curves
from scholars.report.methods import look
from scholars.report.results import Results, mean

Spec = dict[str, Any]
_SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
# Points of one curve: more would not be seen.
_POINTS = 200


def accuracy(results: Results) -> Spec:
    """A panel a task: its accuracy after each task, a line a method, a band from the worst seed to the best."""
    rows = [row for task in range(len(results.tasks)) for row in _course(results, task)]
    x: Spec = {"field": "after", "type": "ordinal", "sort": results.tasks, "title": "after learning"}
    x["axis"] = {"labelAngle": 0 if len(results.tasks) < 4 else -40}
    y: Spec = {"field": "mean", "type": "quantitative", "title": "accuracy, %", "scale": {"domain": [0, 100]}}
    tooltip = [
        {"field": "task"},
        {"field": "after", "title": "after learning"},
        {"field": "method"},
        {"field": "mean", "title": "accuracy, %", "format": ".1f"},
    ]
    if len(results.seeds) > 1:
        tooltip += [{"field": name, "title": f"{name} seed, %", "format": ".1f"} for name in ("worst", "best")]
    band = {
        "mark": {"type": "area", "opacity": 0.15},
        "encoding": {"y": {**y, "field": "worst"}, "y2": {"field": "best"}},
    }
    line = {"mark": {"type": "line", "point": {"size": 60, "filled": True}}, "encoding": {"y": y, "tooltip": tooltip}}
    return {
        "$schema": _SCHEMA,
        "data": {"values": rows},
        "facet": {"field": "task", "sort": results.tasks, "title": None, "header": {"labelFontWeight": "bold"}},
        "columns": 3 if len(results.tasks) > 4 else 2,
        "spec": {
            "width": 260 if len(results.tasks) < 5 else 200,
            "height": 190,
            "layer": [band, line] if len(results.seeds) > 1 else [line],
            "encoding": {"x": x, **_by_method(results.methods)},
        },
    }


def forgetting(results: Results) -> Spec | None:
    """What became of each earlier task from its best to the end, in points; None where there is no earlier one."""
    rows = []
    for method in results.methods:
        for task, name in enumerate(results.tasks[:-1]):
            courses = [mean(results.accuracies(method, row, task)) for row in range(task, results.rows(method))]
            known = [value for value in courses if value is not None]
            if method != "joint" and len(known) > 1:
                rows.append({"task": name, "method": method, "points": 100 * (max(known[:-1]) - known[-1])})
    if not rows:
        return None
    return {
        "$schema": _SCHEMA,
        "data": {"values": rows},
        "width": "container",
        "height": {"step": 14},
        "mark": {"type": "bar"},
        "encoding": {
            "y": {"field": "task", "type": "nominal", "sort": results.tasks, "title": None},
            "yOffset": {"field": "method", "sort": results.methods},
            "x": {"field": "points", "type": "quantitative", "title": "points lost since the best"},
            "tooltip": [{"field": "task"}, {"field": "method"}, {"field": "points", "format": ".1f"}],
            **_by_method(results.methods),
        },
    }


def losses(ticks: Iterable[Mapping[str, Any]]) -> Spec | None:
    """Training curves of the first seed: a panel for each loss of each stage, task after task; None without any."""
    curves, panels = read_curves(ticks), list[Spec]()
    methods = list(dict.fromkeys(line.method for lines in curves.values() for line in lines))
    for (stage, metric), lines in curves.items():
        rows, start = [], 0
        for task in dict.fromkeys(line.task for line in lines):
            here = {line.method: curve for line, curve in lines.items() if line.task == task}
            for method, curve in here.items():
                # Joint training learns all tasks at once: it begins at the left.
                rows += _points(curve, 0 if method == "joint" else start, {"task": task, "method": method})
            start += max((max(curve) for method, curve in here.items() if method != "joint"), default=0)
        panels.append(_curves_panel(f"{stage}: {metric.replace('_', ' ')}", rows, methods, f"zoom{len(panels)}"))
    return {"$schema": _SCHEMA, "concat": panels, "columns": 2} if panels else None


def comparison(rows: Sequence[Mapping[str, Any]], names: Sequence[str], methods: Sequence[str]) -> Spec:
    """Average accuracy of several runs, a mark a method; ``rows`` have run, method and accuracy in percent."""
    return {
        "$schema": _SCHEMA,
        "data": {"values": [dict(row) for row in rows]},
        "width": "container",
        "height": {"step": 28},
        "mark": {"type": "point", "filled": True, "size": 110},
        "encoding": {
            "y": {"field": "run", "type": "nominal", "sort": list(names), "title": None},
            "x": {
                "field": "accuracy",
                "type": "quantitative",
                "title": "average accuracy at the end, %",
                "scale": {"zero": False},
            },
            "shape": {"field": "method", "sort": list(methods)},
            "tooltip": [{"field": "run"}, {"field": "method"}, {"field": "accuracy", "format": ".1f"}],
            **_by_method(methods),
        },
    }


def _course(results: Results, task: int) -> list[dict[str, Any]]:
    rows = []
    for method in results.methods:
        for after in range(task, len(results.tasks)):
            # Joint training has one row: a level to compare with wherever one looks.
            values = results.accuracies(method, -1 if method == "joint" else after, task)
            if values:
                shares = {
                    "mean": 100 * sum(values) / len(values),
                    "worst": 100 * min(values),
                    "best": 100 * max(values),
                }
                rows.append({"task": results.tasks[task], "after": results.tasks[after], "method": method, **shares})
    return rows


def _by_method(methods: Sequence[str]) -> Spec:
    scale = {"domain": list(methods), "range": [look(method).colour for method in methods]}
    return {"color": {"field": "method", "scale": scale, "legend": {"orient": "top", "title": None}}}


def _points(curve: Curve, start: int, whose: Mapping[str, str]) -> list[dict[str, Any]]:
    steps = sorted(curve)
    every = -(-len(steps) // _POINTS)
    return [{**whose, "step": start + step, "value": curve[step]} for step in steps[::every]]


def _curves_panel(title: str, rows: Sequence[Mapping[str, Any]], methods: Sequence[str], zoom: str) -> Spec:
    values = [row["value"] for row in rows]
    scale = "log" if min(values) > 0 and max(values) > 10 * min(values) else "linear"
    return {
        "title": {"text": title, "anchor": "start"},
        "width": 320,
        "height": 160,
        "data": {"values": [dict(row) for row in rows]},
        "params": [{"name": zoom, "select": "interval", "bind": "scales"}],
        "mark": {"type": "line", "strokeWidth": 1.3},
        "encoding": {
            "x": {"field": "step", "type": "quantitative", "title": "step, task after task"},
            "y": {
                "field": "value",
                "type": "quantitative",
                "title": None,
                "scale": {"type": scale},
            },
            "detail": {"field": "task"},
            "tooltip": [{"field": name} for name in ("task", "method", "step", "value")],
            **_by_method(methods),
        },
    }
