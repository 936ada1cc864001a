"""The charts of the page: plain data to Vega-Lite specifications, drawn by the reader's browser without a network.

The same figures are in the page's tables and in the PNGs of the run's folder; here they can be asked for their values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from scholars.report.methods import look
from scholars.report.results import Results
from scholars.report.spec import MUTED, SCHEMA, Spec, by_method, by_shape, shortened

_WHOSE = ("class", "generation", "after", "dying")


def accuracy(results: Results) -> Spec:
    """A panel a task: its accuracy after each task, a line a method, a band from the worst seed to the best."""
    rows = [row for task in range(len(results.tasks)) for row in _course(results, task)]
    few = len(results.tasks) < 4
    # Slanted names leave no room for a title; that of the chart says it, too.
    x: Spec = {"field": "after", "type": "ordinal", "sort": results.tasks, "title": "after learning" if few else None}
    x["axis"] = {"labelAngle": 0 if few else -40, "labelExpr": shortened(14)}
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
        "transform": [{"filter": "isValid(datum.mean)"}],
        "mark": {"type": "area", "opacity": 0.15},
        "encoding": {"x": x, "y": {**y, "field": "worst"}, "y2": {"field": "best"}},
    }
    # A level that joint training reaches is no course that it takes.
    level = {
        "transform": [{"filter": "datum.method === 'joint'"}],
        "mark": {"type": "rule", "strokeDash": [4, 3], "strokeWidth": 1.5},
        "encoding": {"y": {**y, "aggregate": "mean"}},
    }
    line = {
        "transform": [{"filter": "isValid(datum.mean) && datum.method !== 'joint'"}],
        "mark": {"type": "line"},
        "encoding": {"x": x, "y": y},
    }
    point = {
        "transform": [{"filter": "isValid(datum.mean)"}],
        "mark": {"type": "point", "filled": True, "size": 60, "opacity": 1},
        "encoding": {"x": x, "y": y, "tooltip": tooltip, **by_shape(results.methods)},
    }
    unlearned = {
        "transform": [{"filter": "datum.unlearned"}],
        "mark": {"type": "text", "color": MUTED, "fontSize": 11, "text": ["not yet", "learned"]},
        "encoding": {"x": x, "y": {"datum": 50}, "color": {"value": MUTED}},
    }
    layers = [unlearned, level, line, point]
    return {
        "$schema": SCHEMA,
        "data": {"values": [*rows, *_not_yet(results.tasks)]},
        "facet": {
            "field": "task",
            "sort": results.tasks,
            "title": None,
            "header": {"labelFontWeight": "bold", "labelExpr": shortened(28), "labelAnchor": "start"},
        },
        "columns": 2 if len(results.tasks) in (2, 4) else min(len(results.tasks), 3),
        "spec": {
            "height": 190,
            "layer": [band, *layers] if len(results.seeds) > 1 else layers,
            "encoding": by_method(results.methods),
        },
    }


def _not_yet(tasks: Sequence[str]) -> list[dict[str, Any]]:
    """Where a panel says why its left is empty: in the middle of it, if there is room."""
    places = [(name, tasks[(place - 1) // 2]) for place, name in enumerate(tasks) if place / len(tasks) > 0.25]
    return [{"task": name, "after": after, "unlearned": True} for name, after in places]


def forgetting(results: Results) -> Spec | None:
    """What became of each earlier task from its best to the end, in points; None where there is no earlier one.

    The mean over the seeds, each from its own best, as in the table.
    """
    rows = []
    for method in results.methods:
        for task, name in enumerate(results.tasks[:-1]):
            fell = []
            for run in results.runs:
                course = [row[task] for row in run.accuracy if len(row) > task]
                known = [value for value in course if value is not None]
                if run.method == method != "joint" and len(known) > 1:
                    fell.append(max(known[:-1]) - known[-1])
            if fell:
                rows.append({"task": name, "method": method, "points": 100 * fmean(fell)})
    if not rows:
        return None
    methods = [method for method in results.methods if any(row["method"] == method for row in rows)]
    return {
        "$schema": SCHEMA,
        "data": {"values": rows},
        "width": "container",
        "height": {"step": 14},
        "mark": {"type": "bar"},
        "encoding": {
            "y": {
                "field": "task",
                "type": "nominal",
                "sort": results.tasks,
                "title": None,
                "axis": {"labelExpr": shortened(20)},
            },
            "yOffset": {"field": "method", "sort": methods},
            "x": {
                "field": "points",
                "type": "quantitative",
                "title": "points lost since the best",
                "axis": {"tickCount": 8},
            },
            "tooltip": [{"field": "task"}, {"field": "method"}, {"field": "points", "format": ".1f"}],
            **by_method(methods),
        },
    }


def classes(rows: Sequence[Mapping[str, Any]], names: Sequence[str], measures: Mapping[str, str], even: float) -> Spec:
    """A panel for each of ``measures``, key and title: bars of the last generation, ticks of the earlier ones.

    rows: class, generation, after (the task), dying, and the measures that are known, in percent
    even: the share of each class if all were dreamt of equally often, in percent
    """
    last = max(row["generation"] for row in rows)
    # Names that are longer than a bar is wide stand upright.
    upright = len(names) > 4 and max(map(len, names)) > 2
    axis = {"labelAngle": -90 if upright else 0, "labelExpr": shortened(12), "labelOverlap": True}
    colour = {"condition": {"test": "datum.dying", "value": look("er").colour}, "value": look("replay").colour}
    panels: list[Spec] = []
    for key, title in measures.items():
        known = [{name: row[name] for name in (*_WHOSE, key)} for row in rows if key in row]
        scale = {} if key == "share" else {"scale": {"domain": [0, 100]}}
        shared = {
            "x": {"field": "class", "type": "nominal", "sort": list(names), "title": None, "axis": axis},
            "y": {"field": key, "type": "quantitative", "title": None, **scale},
            "tooltip": [
                {"field": "class"},
                {"field": "after", "title": "after learning"},
                {"field": key, "title": title, "format": ".1f"},
            ],
        }
        bar = {
            "transform": [{"filter": f"datum.generation === {last}"}],
            "mark": {"type": "bar"},
            "encoding": {**shared, "color": colour},
        }
        tick = {
            "transform": [{"filter": f"datum.generation !== {last}"}],
            "mark": {"type": "tick", "thickness": 2, "color": MUTED, "opacity": 1},
            "encoding": shared,
        }
        evenly = {"mark": {"type": "rule", "strokeDash": [4, 3], "color": MUTED}, "encoding": {"y": {"datum": even}}}
        panels.append(
            {
                "title": {"text": title, "anchor": "start"},
                "height": 140,
                "data": {"values": known},
                "layer": [bar, tick, evenly] if key == "share" else [bar, tick],
            }
        )
    return {"$schema": SCHEMA, "concat": [panel for panel in panels if panel["data"]["values"]], "columns": 3}


def comparison(rows: Sequence[Mapping[str, Any]], names: Sequence[str], methods: Sequence[str]) -> Spec:
    """Average accuracy of several runs, a mark a method.

    rows: run, method and accuracy in percent; of several seeds ``low`` and ``high``, the ends of the 95 % interval
    """
    x = {"type": "quantitative", "title": "average accuracy at the end, %", "scale": {"zero": False}}
    tooltip = [{"field": "run"}, {"field": "method"}, {"field": "accuracy", "format": ".1f"}]
    several = any("low" in row for row in rows)
    if several:
        tooltip += [{"field": end, "title": f"95 % interval, {end}", "format": ".1f"} for end in ("low", "high")]
    rule = {
        "transform": [{"filter": "isValid(datum.low)"}],
        "mark": {"type": "rule", "strokeWidth": 2, "opacity": 0.6},
        "encoding": {"x": {**x, "field": "low"}, "x2": {"field": "high"}},
    }
    point = {
        "mark": {"type": "point", "filled": True, "size": 110, "opacity": 1},
        "encoding": {"x": {**x, "field": "accuracy"}, "tooltip": tooltip, **by_shape(methods)},
    }
    return {
        "$schema": SCHEMA,
        "data": {"values": [dict(row) for row in rows]},
        "width": "container",
        "height": {"step": 28},
        "layer": [rule, point] if several else [point],
        "encoding": {
            "y": {
                "field": "run",
                "type": "nominal",
                "sort": list(names),
                "title": None,
                "axis": {"labelExpr": shortened(20)},
            },
            **by_method(methods),
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
