"""The charts of a run, as Vega-Lite specifications, and what all charts share: how they look, how they become pictures.

A page holds specifications for the reader's browser, which shows values on hover; `write_png` draws the same ones.
"""

import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import vl_convert
from PIL import Image
from scipy.optimize import isotonic_regression

from scholars.experiments.methods import describe_method, find_method
from scholars.report.formatting import evenly_spaced, truncate
from scholars.report.results import Results
from scholars.storage import files

Spec = dict[str, Any]
SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
# Legible on white and on black.
MUTED = "#8A949C"
DASHES = [4, 3]
# How every chart looks, in a page and as a picture.
_PLAIN = {"domain": False, "ticks": False, "labelFontSize": 11, "titleFontSize": 11, "titleFontWeight": "normal"}
CONFIG: Spec = {
    "view": {"stroke": None},
    "line": {"strokeWidth": 2},
    "axis": {"gridColor": "#DDDDDD", **_PLAIN},
    "legend": {"symbolStrokeWidth": 2, "labelFontSize": 12, "labelLimit": 320, "columns": 2, "columnPadding": 16},
    "header": {"labelFontSize": 13},
    "title": {"frame": "group"},
}
_PANEL_HEIGHT = 190
_PANEL_WIDTHS = {1: 400, 2: 240, 3: 180}  # of so many panels side by side; a page makes them as wide as it is itself
_LABEL_HEIGHT = 100 * 13 / _PANEL_HEIGHT  # of a label at the end of a line, in percent of accuracy
_MAX_TICKS = 12  # names along an axis: more would find no room


def write_png(spec: Spec, path: Path, scale: float = 2) -> None:
    """Draw a chart on white as a PNG, ``scale`` pixels for each unit of its size. Writes atomically."""
    config = {**CONFIG, "background": "white", "padding": 10}
    picture = Image.open(io.BytesIO(vl_convert.vegalite_to_png(spec, scale=scale, config=config)))
    with files.atomic_write(path) as temporary:
        # Without the channel of opacity, and compressed, it is a third as large.
        picture.convert("RGB").save(temporary, "PNG")


def by_method(methods: Sequence[str]) -> Spec:
    """Encode each method as a colour, the same in every chart; the legend says what a method trains on."""
    return {"color": _method_channel(methods, [find_method(name).colour for name in methods])}


def by_shape(methods: Sequence[str]) -> Spec:
    """Encode each method as a shape, too, so that colour alone carries nothing."""
    return {"shape": _method_channel(methods, [find_method(name).marker for name in methods])}


def _method_channel(methods: Sequence[str], values: Sequence[str]) -> Spec:
    # Legends of colour and of shape are drawn as one only while they are equal. A phone has room for bare names.
    words = f"containerSize()[0] < 560 ? datum.label : {label_expression(methods, map(describe_method, methods))}"
    legend = {"orient": "top", "title": None, "symbolOpacity": 1, "labelExpr": words}
    return {"field": "method", "scale": {"domain": list(methods), "range": list(values)}, "legend": legend}


def label_expression(values: Iterable[str], labels: Iterable[str]) -> str:
    """Return the Vega expression that writes ``labels`` in the place of ``values``."""
    changed = {value: label for value, label in zip(values, labels, strict=True) if value != label}
    return f"{json.dumps(changed)}[datum.label] || (datum.label)" if changed else "datum.label"


def truncated_labels(names: Sequence[str], length: int) -> str:
    """Return the Vega expression that writes ``names`` with ``length`` characters at most; see `truncate`."""
    return label_expression(names, (truncate(name, length) for name in names))


def chart_accuracy(results: Results) -> Spec:
    """Draw a panel a task: its accuracy after each task, a line a method, a band from the worst seed to the best.

    Joint training, which learns all tasks at once, is a dashed level. Lines end in the method's name and last accuracy.
    """
    tasks = results.tasks
    columns = 2 if len(tasks) in (2, 4) else max(1, min(len(tasks), 3))
    heading = {"labelFontWeight": "bold", "labelAnchor": "start", "labelPadding": 4}
    heading["labelExpr"] = truncated_labels(tasks, 22)
    panel = {"width": _PANEL_WIDTHS[columns], "height": _PANEL_HEIGHT, "layer": _accuracy_layers(results)}
    return {
        "$schema": SCHEMA,
        "data": {"values": _accuracy_rows(results)},
        "facet": {"field": "task", "sort": tasks, "title": None, "header": heading},
        "columns": columns,
        "resolve": {"axis": {"x": "independent", "y": "independent"}},
        "spec": {**panel, "encoding": by_method(results.methods)},
    }


def _accuracy_layers(results: Results) -> list[Spec]:
    """Return the layers of each panel of `chart_accuracy`, the lowest first."""
    left, right = -0.4, len(results.tasks) - 0.8 if len(results.tasks) > 1 else 0.4
    x: Spec = {"field": "place", "type": "quantitative", "axis": _task_axis(results.tasks)}
    x["scale"] = {"domain": [left, right], "nice": False}
    y: Spec = {"field": "mean", "type": "quantitative", "scale": {"domain": [0, 100]}, "axis": {"grid": True}}
    y["title"] = "accuracy, %"
    grey, end = {"value": MUTED}, {"datum": right}
    spread = ("worst", "best") if len(results.seeds) > 1 else ()
    figures = {"mean": "accuracy, %", **{name: f"{name} seed, %" for name in spread}}
    tooltip = [{"field": "task"}, {"field": "after", "title": "after learning"}, {"field": "method"}]
    tooltip += [{"field": name, "title": title, "format": ".1f"} for name, title in figures.items()]

    band = {"type": "area", "opacity": 0.15}
    region = {"type": "rect", "opacity": 0.12}
    reason = {"type": "text", "fontSize": 11, "text": ["not yet", "learned"]}
    level = {"type": "rule", "strokeDash": DASHES, "strokeWidth": 1.5}
    point = {"type": "point", "filled": True, "opacity": 1}
    leader = {"type": "rule", "xOffset": 3, "x2Offset": 12, "strokeWidth": 0.8}
    weight = {"expr": "datum.method === 'replay' ? 'bold' : 'normal'"}
    label = {"type": "text", "align": "left", "dx": 15, "fontSize": 11, "fontWeight": weight}

    known = "isValid(datum.place)"
    width, size = _larger_for_replay(3.2, 1.7), _larger_for_replay(90, 50)
    return [
        *([_layer(known, band, x=x, y={**y, "field": "worst"}, y2={"field": "best"})] if spread else []),
        _layer("datum.edge", region, x={**x, "field": "edge"}, x2={"datum": left}, color=grey),
        _layer("datum.middle", reason, x={**x, "field": "middle"}, y={"datum": 50}, color=grey),
        _layer(f"{known} && datum.method === 'joint'", level, y={**y, "aggregate": "mean"}),
        _layer(f"{known} && datum.method !== 'joint'", "line", x=x, y=y, strokeWidth=width),
        _layer(known, point, x=x, y=y, tooltip=tooltip, size=size, **by_shape(results.methods)),
        _layer("datum.label", leader, x=end, x2=end, y=y, y2={"field": "height"}),
        _layer("datum.label", label, x=end, y={**y, "field": "height"}, text={"field": "label"}),
    ]


def _layer(only: str, mark: Spec | str, **encoding: Any) -> Spec:
    """Return one layer of a chart, of those rows for which the expression ``only`` holds."""
    return {"transform": [{"filter": only}], "mark": mark, "encoding": encoding}


def _larger_for_replay(replay: float, others: float) -> Spec:
    return {"condition": {"test": "datum.method === 'replay'", "value": replay}, "value": others}


def _task_axis(tasks: Sequence[str]) -> Spec:
    """Return the x axis of tasks in their order: names level where they find room, else slanted."""
    names = [truncate(name, 12) for name in tasks]
    slanted = sum(len(name) + 2 for name in names) > 28
    return {
        "title": "after learning",
        "values": evenly_spaced(range(len(tasks)), _MAX_TICKS),
        "tickCount": _MAX_TICKS,
        "labelExpr": f"{json.dumps(names)}[datum.value]",
        "labelAngle": -40 if slanted else 0,
        "labelAlign": "right" if slanted else "center",
        "labelBaseline": "middle" if slanted else "top",
        "labelPadding": 6 if slanted else 3,
        "labelOverlap": False,
        "labelFlush": False,
        "grid": False,
    }


def _accuracy_rows(results: Results) -> list[Spec]:
    """Return the rows of `chart_accuracy`: accuracies in percent, labels at the ends of lines, regions not learned."""
    rows = []
    for task, name in enumerate(results.tasks):
        ends = {}
        # The last is drawn over the others.
        for method in sorted(results.methods, key=lambda method: method == "replay"):
            for after in range(task, len(results.tasks)):
                # Joint training has one row: a level to compare with wherever one looks.
                row = -1 if find_method(method).joint else after
                values = [100 * share for share in results.accuracies(method, row, task)]
                if values:
                    at = {"task": name, "after": results.tasks[after], "place": after, "method": method}
                    rows.append({**at, "mean": fmean(values), "worst": min(values), "best": max(values)})
                    ends[method] = fmean(values)
        methods = sorted(ends, key=lambda method: ends[method])
        for method, height in zip(methods, _spread_labels([ends[method] for method in methods]), strict=True):
            label = f"{method} {ends[method]:.1f}"
            rows.append({"task": name, "method": method, "label": label, "mean": ends[method], "height": height})
        if task:
            room = {"middle": (task - 0.9) / 2} if task / len(results.tasks) > 0.25 else {}
            rows.append({"task": name, "edge": task - 0.5, **room})
    return rows


def _spread_labels(heights: Sequence[float]) -> list[float]:
    """Return the places nearest to the ascending ``heights`` that are a label apart and inside the panel.

    With the labels' own heights taken out, what is left is to be non-decreasing and as near as can be: isotonic
    regression.
    """
    if not heights:
        return []
    stack = [_LABEL_HEIGHT * place for place in range(len(heights))]
    fitted = isotonic_regression([height - own for height, own in zip(heights, stack, strict=True)]).x
    highest = max(2.0, 100 - stack[-1])
    return [min(max(float(bottom), 2.0), highest) + own for bottom, own in zip(fitted, stack, strict=True)]


def chart_forgetting(results: Results) -> Spec | None:
    """Draw what each earlier task lost from its best to the end, in points; None where there is no earlier task.

    The mean over the seeds, each from its own best, as in the table.
    """
    rows = []
    for method in results.methods:
        if find_method(method).joint:
            continue
        for task, name in enumerate(results.tasks[:-1]):
            lost = []
            for run in results.runs:
                history = [row[task] for row in run.accuracy if len(row) > task]
                known = [value for value in history if value is not None]
                if run.method == method and len(known) > 1:
                    lost.append(max(known[:-1]) - known[-1])
            if lost:
                rows.append({"task": name, "method": method, "points": 100 * fmean(lost)})
    if not rows:
        return None
    methods = [method for method in results.methods if any(row["method"] == method for row in rows)]
    lost_points = {"field": "points", "type": "quantitative", "title": "points lost since the best"}
    return {
        "$schema": SCHEMA,
        "data": {"values": rows},
        "width": "container",
        "height": {"step": 14},
        "mark": {"type": "bar"},
        "encoding": {
            "y": name_channel("task", results.tasks),
            "yOffset": {"field": "method", "sort": methods},
            "x": {**lost_points, "axis": {"tickCount": 8}},
            "tooltip": [{"field": "task"}, {"field": "method"}, {"field": "points", "format": ".1f"}],
            **by_method(methods),
        },
    }


def name_channel(field: str, names: Sequence[str]) -> Spec:
    """Encode a row a name, in the order of ``names``."""
    axis = {"labelExpr": truncated_labels(names, 20)}
    return {"field": field, "type": "nominal", "sort": list(names), "title": None, "axis": axis}
