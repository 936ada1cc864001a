"""The training curves of a run: the losses in its metrics log, and their chart."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from scholars.experiments.methods import find_method
from scholars.report.charts import MUTED, SCHEMA, Spec, by_method

# Points of one curve, and of all of a page: more would not be seen, and the page has to stay small.
_MAX_CURVE_POINTS, _MAX_POINTS = 200, 12_000
# Tasks whose names find room side by side in a panel.
_MAX_NAMES = 3


Curve = dict[int, float]  # step -> value
Curves = dict[tuple[str, str], dict[str, dict[str, Curve]]]  # (stage, metric) -> task -> method -> curve


def read_curves(ticks: Iterable[Mapping[str, Any]]) -> Curves:
    """Sort the first seed's losses into curves. Of a step that was taken twice, around a resume, the later counts."""
    curves: Curves = defaultdict(lambda: defaultdict(lambda: defaultdict(dict)))
    first: int | None = None
    for tick in ticks:
        first = tick["seed"] if first is None else first
        if tick["seed"] != first:
            continue
        for metric, value in tick["metrics"].items():
            if (metric.endswith("loss") or metric in ("wasserstein", "penalty")) and math.isfinite(value):
                curves[tick["stage"], metric][tick["task"]][tick["method"]][tick["step"]] = value
    return curves


def chart_losses(ticks: Iterable[Mapping[str, Any]]) -> Spec | None:
    """Draw the first seed's losses: a panel for each loss of each stage, task after task; None without any.

    Joint training, which learns all tasks at once, begins at the left.
    """
    curves, panels = read_curves(ticks), list[Spec]()
    drawn = [method for tasks in curves.values() for curve_of in tasks.values() for method in curve_of]
    length = min(_MAX_CURVE_POINTS, max(2, _MAX_POINTS // max(1, len(drawn))))
    for (stage, metric), tasks in curves.items():
        rows, starts, start = [], list[Spec](), 0
        for task, curve_of in tasks.items():
            for method, curve in curve_of.items():
                offset = 0 if find_method(method).joint else start
                rows += _thin_out(curve, length, offset, {"task": task, "method": method})
            steps = max((max(curve) for method, curve in curve_of.items() if not find_method(method).joint), default=0)
            starts += [{"task": task, "step": start}] if steps else []
            start += steps
        rows.sort(key=lambda row: row["method"] == "replay")  # the last is drawn over the others
        title = f"{stage}: {metric.replace('_', ' ')}"
        panels.append(_chart_panel(title, rows, starts, list(dict.fromkeys(drawn)), f"zoom{len(panels)}"))
    return {"$schema": SCHEMA, "concat": panels, "columns": min(len(panels), 2)} if panels else None


def _thin_out(curve: Curve, length: int, offset: int, labels: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return rows for ``length`` points of a curve at most, ``offset`` steps to the right."""
    steps = sorted(curve)
    every = -(-len(steps) // length)
    return [{**labels, "step": offset + step, "value": float(f"{curve[step]:.4g}")} for step in steps[::every]]


def _chart_panel(title: str, rows: Sequence[Spec], starts: Sequence[Spec], methods: Sequence[str], zoom: str) -> Spec:
    values = [row["value"] for row in rows]
    scale = "log" if min(values) > 0 and max(values) > 10 * min(values) else "linear"
    x = {"field": "step", "type": "quantitative", "title": "training step, task after task", "axis": {"grid": False}}
    y = {"field": "value", "type": "quantitative", "title": None, "scale": {"type": scale, "nice": scale == "linear"}}
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
    data = {"data": {"values": list(starts)}}
    rule = {**data, "mark": {"type": "rule", "color": MUTED, "clip": True}, "encoding": {"x": x}}
    label = {"type": "text", "align": "left", "baseline": "top", "dx": 3, "dy": 2, "color": MUTED, "clip": True}
    name = {**data, "mark": label, "encoding": {"x": x, "y": {"value": 0}, "text": {"field": "task"}}}
    return {
        "title": {"text": title, "anchor": "start"},
        "width": 380,
        "height": 160,
        "data": {"values": list(rows)},
        # Names of many tasks would lie upon one another.
        "layer": [rule, *([name] if len(starts) <= _MAX_NAMES else []), line],
    }
