"""The losses in a metrics log, sorted into curves, and the chart of them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from scholars.report.spec import MUTED, SCHEMA, Spec, by_method

# Points of one curve, and of all of a page: more would not be seen, and the page has to stay small.
_POINTS, _ALL_POINTS = 200, 12_000
# Tasks whose names find room side by side in a panel.
_NAMED = 3


class Panel(NamedTuple):
    """What curves are compared within: one loss of one stage of training."""

    stage: str
    metric: str


class Line(NamedTuple):
    """One method on one task."""

    method: str
    task: str


Curve = dict[int, float]  # step -> value


def read_curves(ticks: Iterable[Mapping[str, Any]]) -> dict[Panel, dict[Line, Curve]]:
    """The first seed's losses. A step that was taken twice, before and after a resume, counts as the second time."""
    curves: dict[Panel, dict[Line, Curve]] = defaultdict(lambda: defaultdict(dict))
    first: int | None = None
    for tick in ticks:
        first = tick["seed"] if first is None else first
        if tick["seed"] != first:
            continue
        for metric, value in tick["metrics"].items():
            if _is_loss(metric) and math.isfinite(value):
                curves[Panel(tick["stage"], metric)][Line(tick["method"], tick["task"])][tick["step"]] = value
    return curves


def _is_loss(metric: str) -> bool:
    return metric.endswith("loss") or metric in ("wasserstein", "penalty")


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
    return {"$schema": SCHEMA, "concat": panels, "columns": 2} if panels else None


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
            **by_method(methods),
        },
    }
    begun = {"data": {"values": list(starts)}}
    rule = {**begun, "mark": {"type": "rule", "color": MUTED, "clip": True}, "encoding": {"x": x}}
    label = {"type": "text", "align": "left", "baseline": "top", "dx": 3, "dy": 2, "color": MUTED, "clip": True}
    name = {**begun, "mark": label, "encoding": {"x": x, "y": {"value": 0}, "text": {"field": "task"}}}
    return {
        "title": {"text": title, "anchor": "start"},
        "height": 160,
        "data": {"values": list(rows)},
        # Names of many tasks would lie upon one another.
        "layer": [rule, *([name] if len(starts) <= _NAMED else []), line],
    }
