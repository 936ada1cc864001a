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
_LEGEND = {"orient": "top", "title": None, "symbolOpacity": 1}
# Matplotlib's markers, as Vega calls them, or the nearest that can be filled.
_SHAPES = {
    "o": "circle",
    "v": "triangle-down",
    "s": "square",
    "P": "cross",
    "X": "triangle-up",
    "D": "diamond",
}
# Legible on white and on black.
_MUTED = "#8A949C"
_WHOSE = ("class", "generation", "after", "dying")
_SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
# Points of one curve, and of all of a page: more would not be seen, and the page has to stay small.
_POINTS, _ALL_POINTS = 200, 12_000
# Tasks whose names find room side by side in a panel.
_NAMED = 3


def accuracy(results: Results) -> Spec:
    """A panel a task: its accuracy after each task, a line a method, a band from the worst seed to the best."""
    rows = [row for task in range(len(results.tasks)) for row in _course(results, task)]
    few = len(results.tasks) < 4
    # Slanted names leave no room for a title; that of the chart says it, too.
    x: Spec = {"field": "after", "type": "ordinal", "sort": results.tasks, "title": "after learning" if few else None}
    x["axis"] = {"labelAngle": 0 if few else -40, "labelExpr": _shortened(14)}
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
        "encoding": {"x": x, "y": y, "tooltip": tooltip, **_by_shape(results.methods)},
    }
    unlearned = {
        "transform": [{"filter": "datum.unlearned"}],
        "mark": {"type": "text", "color": _MUTED, "fontSize": 11, "text": ["not yet", "learned"]},
        "encoding": {"x": x, "y": {"datum": 50}, "color": {"value": _MUTED}},
    }
    layers = [unlearned, level, line, point]
    return {
        "$schema": _SCHEMA,
        "data": {"values": [*rows, *_not_yet(results.tasks)]},
        "facet": {
            "field": "task",
            "sort": results.tasks,
            "title": None,
            "header": {"labelFontWeight": "bold", "labelExpr": _shortened(28), "labelAnchor": "start"},
        },
        "columns": 2 if len(results.tasks) in (2, 4) else min(len(results.tasks), 3),
        "spec": {
            "height": 190,
            "layer": [band, *layers] if len(results.seeds) > 1 else layers,
            "encoding": _by_method(results.methods),
        },
    }


def _not_yet(tasks: Sequence[str]) -> list[dict[str, Any]]:
    """Where a panel says why its left is empty: in the middle of it, if there is room."""
    places = [(name, tasks[(place - 1) // 2]) for place, name in enumerate(tasks) if place / len(tasks) > 0.25]
    return [{"task": name, "after": after, "unlearned": True} for name, after in places]


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
    methods = [method for method in results.methods if any(row["method"] == method for row in rows)]
    return {
        "$schema": _SCHEMA,
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
                "axis": {"labelExpr": _shortened(20)},
            },
            "yOffset": {"field": "method", "sort": methods},
            "x": {
                "field": "points",
                "type": "quantitative",
                "title": "points lost since the best",
                "axis": {"tickCount": 8},
            },
            "tooltip": [{"field": "task"}, {"field": "method"}, {"field": "points", "format": ".1f"}],
            **_by_method(methods),
        },
    }


def losses(ticks: Iterable[Mapping[str, Any]]) -> Spec | None:
    """Training curves of the first seed: a panel for each loss of each stage, task after task; None without any."""
    curves, panels = read_curves(ticks), list[Spec]()
    methods = list(dict.fromkeys(line.method for lines in curves.values() for line in lines))
    most = min(_POINTS, max(2, _ALL_POINTS // max(1, sum(len(lines) for lines in curves.values()))))
    for (stage, metric), lines in curves.items():
        rows, starts, start = [], list[Spec](), 0
        for task in dict.fromkeys(line.task for line in lines):
            here = {line.method: curve for line, curve in lines.items() if line.task == task}
            for method, curve in here.items():
                # Joint training learns all tasks at once: it begins at the left.
                rows += _points(curve, most, 0 if method == "joint" else start, {"task": task, "method": method})
            steps = max((max(curve) for method, curve in here.items() if method != "joint"), default=0)
            starts += [{"task": task, "step": start}] if steps else []
            start += steps
        panels.append(
            _curves_panel(f"{stage}: {metric.replace('_', ' ')}", rows, starts, methods, f"zoom{len(panels)}")
        )
    return {"$schema": _SCHEMA, "concat": panels, "columns": 2} if panels else None


def classes(rows: Sequence[Mapping[str, Any]], names: Sequence[str], measures: Mapping[str, str], even: float) -> Spec:
    """A panel for each of ``measures``, key and title: bars of the last generation, ticks of the earlier ones.

    rows: class, generation, after (the task), dying, and the measures that are known, in percent
    even: the share of each class if all were dreamt of equally often, in percent
    """
    last = max(row["generation"] for row in rows)
    # Names that are longer than a bar is wide stand upright.
    upright = len(names) > 4 and max(map(len, names)) > 2
    axis = {"labelAngle": -90 if upright else 0, "labelExpr": _shortened(12), "labelOverlap": True}
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
            "mark": {"type": "tick", "thickness": 2, "color": _MUTED, "opacity": 1},
            "encoding": shared,
        }
        evenly = {"mark": {"type": "rule", "strokeDash": [4, 3], "color": _MUTED}, "encoding": {"y": {"datum": even}}}
        panels.append(
            {
                "title": {"text": title, "anchor": "start"},
                "height": 140,
                "data": {"values": known},
                "layer": [bar, tick, evenly] if key == "share" else [bar, tick],
            }
        )
    return {"$schema": _SCHEMA, "concat": [panel for panel in panels if panel["data"]["values"]], "columns": 3}


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
        "encoding": {"x": {**x, "field": "accuracy"}, "tooltip": tooltip, **_by_shape(methods)},
    }
    return {
        "$schema": _SCHEMA,
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
                "axis": {"labelExpr": _shortened(20)},
            },
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


def _shortened(most: int) -> str:
    """A name as an axis has room for it: beginning and end, for names often differ in their last part only."""
    half = most // 2
    ends = f"slice(datum.label, 0, {half}) + '…' + slice(datum.label, -{half})"
    return f"length(datum.label) > {most} ? {ends} : datum.label"


def _by_method(methods: Sequence[str]) -> Spec:
    scale = {"domain": list(methods), "range": [look(method).colour for method in methods]}
    return {"color": {"field": "method", "scale": scale, "legend": _LEGEND}}


def _by_shape(methods: Sequence[str]) -> Spec:
    """So that colour alone carries nothing; the same legend as that of the colours, or there would be two."""
    scale = {"domain": list(methods), "range": [_SHAPES[look(method).marker] for method in methods]}
    return {"shape": {"field": "method", "scale": scale, "legend": _LEGEND}}


def _points(curve: Curve, most: int, start: int, whose: Mapping[str, str]) -> list[dict[str, Any]]:
    steps = sorted(curve)
    every = -(-len(steps) // most)
    return [{**whose, "step": start + step, "value": float(f"{curve[step]:.4g}")} for step in steps[::every]]


def _curves_panel(title: str, rows: Sequence[Spec], starts: Sequence[Spec], methods: Sequence[str], zoom: str) -> Spec:
    values = [row["value"] for row in rows]
    scale = "log" if min(values) > 0 and max(values) > 10 * min(values) else "linear"
    x = {"field": "step", "type": "quantitative", "title": "step, task after task"}
    y = {"field": "value", "type": "quantitative", "title": None, "scale": {"type": scale}}
    line = {
        "params": [{"name": zoom, "select": "interval", "bind": "scales"}],
        "mark": {"type": "line", "strokeWidth": 1.3, "clip": True},
        "encoding": {
            "x": x,
            "y": y,
            "detail": {"field": "task"},
            "tooltip": [{"field": name} for name in ("task", "method", "step", "value")],
            **_by_method(methods),
        },
    }
    begun = {"data": {"values": list(starts)}}
    rule = {**begun, "mark": {"type": "rule", "color": _MUTED, "clip": True}, "encoding": {"x": x}}
    label = {"type": "text", "align": "left", "baseline": "top", "dx": 3, "dy": 2, "color": _MUTED, "clip": True}
    name = {**begun, "mark": label, "encoding": {"x": x, "y": {"value": 0}, "text": {"field": "task"}}}
    return {
        "title": {"text": title, "anchor": "start"},
        "height": 160,
        "data": {"values": list(rows)},
        # Names of many tasks would lie upon one another.
        "layer": [rule, *([name] if len(starts) <= _NAMED else []), line],
    }
