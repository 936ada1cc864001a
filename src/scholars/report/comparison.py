"""The page that sets several runs side by side: their figures, and where their configurations differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scholars.errors import InputError
from scholars.report import charts
from scholars.report.html import Chart, write_page
from scholars.report.methods import look
from scholars.report.page import COLUMNS, figures
from scholars.report.results import Results, mean, read
from scholars.report.words import PERCENT, number, percent


def write_comparison(folders: Sequence[Path], out: Path) -> Path:
    """Write the page about the runs in ``folders`` and return its path.

    Raises InputError where one holds none, or is given twice.
    """
    for place, folder in enumerate(folders):
        if folder.resolve() in [other.resolve() for other in folders[:place]]:
            raise InputError(f"{folder} is given twice: name each run once")
    runs = dict(zip(_names(folders), [read(folder) for folder in folders], strict=True))
    methods = list(dict.fromkeys(method for results in runs.values() for method in results.methods))
    points = [point for name, results in runs.items() for point in _points(name, results)]
    ends = "; ".join(f"{p['run']}, {p['method']}: {p['accuracy']:.1f}" for p in points)
    write_page(
        out,
        "comparison.html",
        title=f"{len(runs)} runs",
        headline=_headline(runs, points),
        chart=Chart(
            "Average accuracy at the end",
            f"Dots, a row a run. Average accuracy in percent: {ends}.",
            charts.comparison(points, list(runs), methods),
        ),
        columns=COLUMNS,
        methods=[
            {
                "name": method,
                "look": look(method),
                "rows": [(name, figures(run, method)) for name, run in runs.items() if method in run.methods],
            }
            for method in methods
        ],
        tasks=list(dict.fromkeys(task for run in runs.values() for task in run.tasks)),
        ends={name: _ends(run) for name, run in runs.items()},
        differences=_differences({name: run.config for name, run in runs.items()}),
    )
    return out


def _names(folders: Sequence[Path]) -> list[str]:
    """What tells the folders apart: the last part of each path, the whole where two have the same."""
    last = [folder.resolve().name for folder in folders]
    return last if len(set(last)) == len(last) else [str(folder) for folder in folders]


def _points(name: str, results: Results) -> list[dict[str, Any]]:
    """For the chart: a mark a method, with the interval of its mean where there is one."""
    found = []
    for method in results.methods:
        average = results.of(method).average_accuracy
        if average.mean is None:
            continue
        point = {"run": name, "method": method, "accuracy": 100 * average.mean}
        if average.interval is not None:
            point |= {"low": 100 * (average.mean - average.interval), "high": 100 * (average.mean + average.interval)}
        found.append(point)
    return found


def _headline(runs: Mapping[str, Results], points: Sequence[Mapping[str, Any]]) -> str:
    """Which run's first method ended best; how far apart they are is in the chart."""
    if not points:
        return f"No method of {', '.join(runs)} has finished yet."
    hero = points[0]["method"]
    best = max((point for point in points if point["method"] == hero), key=lambda point: float(point["accuracy"]))
    count = sum(point["method"] == hero for point in points)
    scored_on = runs[best["run"]].scored_on
    share = f"{number(best['accuracy'], 1)}{PERCENT} of the {scored_on}, averaged over its tasks"
    words = f"Of {count} runs by {hero}, {best['run']} ends best: right on {share}."
    unlike: dict[str, set[Any]] = {
        "scenario": {results.told for results in runs.values()},
        "stream": {tuple(results.tasks) for results in runs.values()},
        "kind of images": {results.scored_on for results in runs.values()},
    }
    if differing := [what for what, found in unlike.items() if len(found) > 1]:
        words += f" They are not of one {' and '.join(differing)}, and so not of one difficulty."
    return words


def _ends(results: Results) -> dict[str, str]:
    """What the first method knows of each task at the end."""
    if not results.methods:
        return {}
    known = [mean(results.accuracies(results.methods[0], -1, task)) for task in range(len(results.tasks))]
    return {name: percent(value) for name, value in zip(results.tasks, known, strict=True)}


def _differences(configs: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, list[Any]]]:
    """(key, its value in each run) for every key of the configurations whose values are not all equal."""
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
