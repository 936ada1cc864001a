"""The page that compares several runs: their figures, and where their configurations differ."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scholars.errors import InputError
from scholars.experiments.methods import find_method
from scholars.report.charts import SCHEMA, Spec, by_method, by_shape, name_channel
from scholars.report.formatting import PERCENT, number, percent
from scholars.report.html import Chart, write_page
from scholars.report.results import Results, read_results
from scholars.report.run_page import columns, method_figures


def write_comparison_page(folders: Sequence[Path], out: Path) -> Path:
    """Write the page about the runs in ``folders`` and return its path.

    Raises InputError where a folder holds no results, or is given twice.
    """
    for place, folder in enumerate(folders):
        if folder.resolve() in [other.resolve() for other in folders[:place]]:
            raise InputError(f"{folder} is given twice: name each run once")
    runs = dict(zip(_names(folders), [read_results(folder) for folder in folders], strict=True))
    methods = list(dict.fromkeys(method for results in runs.values() for method in results.methods))
    points = [point for name, results in runs.items() for point in _points(name, results)]
    shown = columns(runs.values())
    ends = "; ".join(f"{p['run']}, {p['method']}: {p['accuracy']:.1f}" for p in points)
    write_page(
        out,
        "comparison.html",
        title=f"{len(runs)} runs",
        headline=_headline(runs, points),
        chart=Chart(
            "Average accuracy at the end",
            f"Dots, a row a run. Average accuracy in percent: {ends}.",
            _chart_runs(points, list(runs), methods),
        ),
        columns=list(shown),
        methods=[
            {
                "name": method,
                "style": find_method(method),
                "rows": [
                    (name, method_figures(run, method, shown)) for name, run in runs.items() if method in run.methods
                ],
            }
            for method in methods
        ],
        tasks=list(dict.fromkeys(task for run in runs.values() for task in run.tasks)),
        ends={name: _ends(run) for name, run in runs.items()},
        differences=_differences({name: run.config for name, run in runs.items()}),
    )
    return out


def _names(folders: Sequence[Path]) -> list[str]:
    """Return names that differ: the last part of each path, or whole paths where two have the same last part."""
    last = [folder.resolve().name for folder in folders]
    return last if len(set(last)) == len(last) else [str(folder) for folder in folders]


def _points(name: str, results: Results) -> list[dict[str, Any]]:
    """Return the rows of the chart: one a method, with the interval of its mean where there is one."""
    found = []
    for method in results.methods:
        average = results.summary_of(method).average_accuracy
        if average.mean is None:
            continue
        point = {"run": name, "method": method, "accuracy": 100 * average.mean}
        if average.interval is not None:
            point |= {"low": 100 * (average.mean - average.interval), "high": 100 * (average.mean + average.interval)}
        found.append(point)
    return found


def _chart_runs(rows: Sequence[Mapping[str, Any]], names: Sequence[str], methods: Sequence[str]) -> Spec:
    """Draw the average accuracy of several runs, a mark a method.

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
        "encoding": {"y": name_channel("run", names), **by_method(methods)},
    }


def _headline(runs: Mapping[str, Results], points: Sequence[Mapping[str, Any]]) -> str:
    """Say whose first method ended best; how far apart they are is in the chart."""
    if not points:
        return f"No method of {', '.join(runs)} has finished yet."
    method = points[0]["method"]
    best = max((point for point in points if point["method"] == method), key=lambda point: float(point["accuracy"]))
    count = sum(point["method"] == method for point in points)
    scored_on = runs[best["run"]].scored_on
    share = f"{number(best['accuracy'], 1)}{PERCENT} of the {scored_on}, averaged over its tasks"
    words = f"Of {count} runs by {method}, {best['run']} ends best: right on {share}."
    unlike: dict[str, set[Any]] = {
        "scenario": {results.scenario_note for results in runs.values()},
        "stream": {tuple(results.tasks) for results in runs.values()},
        "kind of images": {results.scored_on for results in runs.values()},
    }
    if differing := [what for what, found in unlike.items() if len(found) > 1]:
        words += f" They are not of one {' and '.join(differing)}, and so not of one difficulty."
    return words


def _ends(results: Results) -> dict[str, str]:
    """Return the first method's accuracy on each task at the end."""
    if not results.methods:
        return {}
    known = [results.mean_accuracy(results.methods[0], -1, task) for task in range(len(results.tasks))]
    return {name: percent(value) for name, value in zip(results.tasks, known, strict=True)}


def _differences(configs: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, list[Any]]]:
    """Return (key, its value in each run) for every key of the configurations whose values are not all equal."""
    flat = [_flat(config) for config in configs.values()]
    keys = list(dict.fromkeys(key for config in flat for key in config))
    rows = [(key, [config.get(key) for config in flat]) for key in keys]
    return [(key, values) for key, values in rows if any(value != values[0] for value in values)]


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in config.items():
        inner = _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
        found.update(inner)
    return found
