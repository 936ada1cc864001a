"""The page about a run."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import yaml

from scholars.keepsakes import read_judged, read_samples
from scholars.report import charts
from scholars.report.audits import by_class
from scholars.report.confusions import Cell, Confusions, confusions
from scholars.report.curves import losses
from scholars.report.html import Chart, picture_of, write_page
from scholars.report.illustrate import generations, read_ticks
from scholars.report.memory import remembered
from scholars.report.methods import look
from scholars.report.results import Results, mean, read
from scholars.report.words import headline, megabytes, number, percent, spread
from scholars.scholar import Scholar

FILE = "report.html"
COLUMNS = (
    *("average", "when learned", "forgetting", "backward transfer", "forward transfer", "gap closed"),
    *("seconds", "peak memory, MB", "kept between tasks, MB", "images generated"),
)


def write_report(folder: Path, out: Path | None = None) -> Path:
    """Write the report of the run in ``folder`` and return its path, by default ``folder/report.html``.

    Reads what the run left there, no data set. Raises InputError where there are no results to read.
    """
    results = read(folder)
    scholars = [Scholar.load(path) for path in generations(folder)]
    real = read_samples(folder) if (folder / "samples.safetensors").is_file() else {}
    lineage = scholars[-1].lineage if scholars else ()
    path = folder / FILE if out is None else out
    write_page(
        path,
        "run.html",
        title=results.recipe,
        results=results,
        headline=headline(results),
        columns=COLUMNS,
        methods=[_method(results, method) for method in results.methods],
        charts=_charts(folder, results),
        memory=remembered(scholars, real),
        audits=lineage,
        classes=by_class(lineage),
        confusions=_confusions(folder, results),
        command=_command(results.environment.get("command")),
        environment={name: value for name, value in results.environment.items() if name != "command"},
        config=yaml.safe_dump(results.config, sort_keys=False, allow_unicode=True),
    )
    return path


def figures(results: Results, method: str) -> list[str]:
    """Those of `COLUMNS`, means over seeds."""
    summary = results.of(method)
    return [
        spread(summary.average_accuracy),
        percent(results.mean(method, "learning_accuracy")),
        percent(results.mean(method, "forgetting")),
        percent(results.mean(method, "backward_transfer")),
        percent(results.mean(method, "forward_transfer")),
        percent(summary.gap_closed),
        number(results.mean(method, "seconds")),
        number(results.mean(method, "peak_memory_mb")),
        megabytes(results.mean(method, "kept_bytes")),
        number(results.mean(method, "images_generated")),
    ]


def _method(results: Results, method: str) -> dict[str, Any]:
    return {
        "name": method,
        "look": look(method),
        "figures": figures(results, method),
        "matrix": _matrix(results, method),
    }


def _matrix(results: Results, method: str) -> list[tuple[str, list[Cell | None]]]:
    """Rows of (task just learned, a cell for each task): means over seeds; None where a task is not learned yet."""
    rows: list[tuple[str, list[Cell | None]]] = []
    for row in range(results.rows(method)):
        known = len(results.tasks) if method == "joint" else row + 1
        cells: list[Cell | None] = []
        for task in range(len(results.tasks)):
            value = mean(results.accuracies(method, row, task))
            cells.append(Cell(percent(value), value or 0.0) if task < known else None)
        rows.append(("all at once" if method == "joint" else results.tasks[row], cells))
    return rows


def _charts(folder: Path, results: Results) -> dict[str, Chart]:
    found = {
        "accuracy": Chart(
            "Accuracy on each task, after each task",
            _alt_accuracy(results),
            charts.accuracy(results),
            picture_of(folder / "accuracy.png"),
        )
    }
    if forgotten := charts.forgetting(results):
        alt = "Bars: for each method and earlier task, how many points its accuracy fell from its best to the end. "
        alt += "; ".join(f"{m}: {percent(results.mean(m, 'forgetting'))} on average" for m in results.methods)
        found["forgetting"] = Chart("Forgetting", alt, forgotten)
    if curves := losses(read_ticks(folder)):
        alt = "Line charts of the losses of each training stage over the training steps."
        found["losses"] = Chart("Training curves", alt, curves, picture_of(folder / "losses.png"))
    return found


def _confusions(folder: Path, results: Results) -> Confusions | None:
    """Of the first method and seed; None of a run that kept none."""
    if not results.methods or not results.seeds:
        return None
    kept = read_judged(folder, results.seeds[0], results.methods[0])
    return confusions(*kept) if kept else None


def _alt_accuracy(results: Results) -> str:
    ends = []
    for task, name in enumerate(results.tasks):
        values = [f"{method} {percent(mean(results.accuracies(method, -1, task)))}" for method in results.methods]
        ends.append(f"{name}: {', '.join(values)}")
    return "Line charts, one for each task. Accuracy in percent at the end: " + "; ".join(ends) + "."


def _command(command: object) -> str | None:
    """The command line of the run: written as text or as a list of arguments."""
    if isinstance(command, list):
        return shlex.join(str(argument) for argument in command)
    return str(command) if command else None
