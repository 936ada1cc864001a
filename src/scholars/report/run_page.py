"""The page about a run."""

import shlex
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import yaml

from scholars.experiments.methods import find_method
from scholars.experiments.samples import read_evaluation, read_samples
from scholars.report.audits import build_class_table
from scholars.report.charts import chart_accuracy, chart_forgetting
from scholars.report.confusions import Cell, Confusions, summarise_confusions
from scholars.report.curves import chart_losses
from scholars.report.dream_grid import build_dream_grid
from scholars.report.figures import read_ticks, scholar_folders
from scholars.report.formatting import describe_run, format_interval, megabytes, number, percent
from scholars.report.html import Chart, embed_picture, write_page
from scholars.report.results import Results, read_results
from scholars.scholar import Scholar

FILE = "report.html"
# What a table says of a method, by its headings: means over seeds.
Columns = Mapping[str, Callable[[Results, str], str]]
_CLASS_MEAN = "mean over classes"
_COLUMNS: Columns = {
    "average": lambda results, method: format_interval(results.summary_of(method).average_accuracy),
    _CLASS_MEAN: lambda results, method: percent(results.seed_mean(method, "average_mean_class_accuracy")),
    "when learned": lambda results, method: percent(results.seed_mean(method, "learning_accuracy")),
    "forgetting": lambda results, method: percent(results.seed_mean(method, "forgetting")),
    "backward transfer": lambda results, method: percent(results.seed_mean(method, "backward_transfer")),
    "forward transfer": lambda results, method: percent(results.seed_mean(method, "forward_transfer")),
    "gap closed": lambda results, method: percent(results.summary_of(method).gap_closed),
    "seconds": lambda results, method: number(results.seed_mean(method, "seconds")),
    "peak memory, MB": lambda results, method: number(results.seed_mean(method, "peak_memory_mb")),
    "kept between tasks, MB": lambda results, method: megabytes(results.seed_mean(method, "kept_bytes")),
}


def write_report(folder: Path, out: Path | None = None) -> Path:
    """Write the report of the run in ``folder`` and return its path, by default ``folder/report.html``.

    Reads what the run left there, no data set. Raises InputError where there are no results to read.
    """
    results = read_results(folder)
    scholars = [Scholar.load(path) for path in scholar_folders(folder)]
    real = read_samples(folder) if (folder / "samples.safetensors").is_file() else {}
    lineage = scholars[-1].lineage if scholars else ()
    path = folder / FILE if out is None else out
    shown = columns([results])
    write_page(
        path,
        "run.html",
        title=results.recipe,
        results=results,
        headline=describe_run(results),
        columns=list(shown),
        methods=[_method(results, method, shown) for method in results.methods],
        charts=_charts(folder, results),
        dreams=build_dream_grid(scholars, real),
        audits=lineage,
        classes=build_class_table(lineage),
        confusions=_confusions(folder, results),
        command=_command(results.environment.get("command")),
        environment={name: value for name, value in results.environment.items() if name != "command"},
        config=yaml.safe_dump(results.config, sort_keys=False, allow_unicode=True),
    )
    return path


def columns(runs: Collection[Results]) -> Columns:
    """Return what a table of these runs has of each method; means over classes where they are other figures."""
    uneven = any(run.is_uneven for run in runs)
    found = {name: figure for name, figure in _COLUMNS.items() if uneven or name != _CLASS_MEAN}
    generated = " or ".join(dict.fromkeys(run.drawn for run in runs)) + " generated"
    return found | {generated: lambda results, method: number(results.seed_mean(method, "images_generated"))}


def method_figures(results: Results, method: str, shown: Columns) -> list[str]:
    """Return the figures of a method under these columns."""
    return [figure(results, method) for figure in shown.values()]


def _method(results: Results, method: str, shown: Columns) -> dict[str, Any]:
    return {
        "name": method,
        "style": find_method(method),
        "figures": method_figures(results, method, shown),
        "matrix": _matrix(results, method),
    }


def _matrix(results: Results, method: str) -> list[tuple[str, list[Cell | None]]]:
    """Return rows of (task just learned, a cell for each task): means over seeds; None for a task yet to be learned."""
    joint, rows = find_method(method).joint, list[tuple[str, list[Cell | None]]]()
    for row in range(results.num_rows(method)):
        known = len(results.tasks) if joint else row + 1
        cells: list[Cell | None] = []
        for task in range(len(results.tasks)):
            value = results.mean_accuracy(method, row, task)
            cells.append(Cell(percent(value), value or 0.0) if task < known else None)
        rows.append(("all at once" if joint else results.tasks[row], cells))
    return rows


def _charts(folder: Path, results: Results) -> dict[str, Chart]:
    found = {
        "accuracy": Chart(
            "Accuracy on each task, after each task",
            _alt_accuracy(results),
            chart_accuracy(results),
            embed_picture(folder / "accuracy.png"),
        )
    }
    if forgotten := chart_forgetting(results):
        alt = "Bars: for each method and earlier task, how many points its accuracy fell from its best to the end. "
        alt += "; ".join(f"{m}: {percent(results.seed_mean(m, 'forgetting'))} on average" for m in results.methods)
        found["forgetting"] = Chart("Forgetting", alt, forgotten)
    if curves := chart_losses(read_ticks(folder)):
        alt = "Line charts of the losses of each training stage over the training steps."
        found["losses"] = Chart("Training curves", alt, curves, embed_picture(folder / "losses.png"))
    return found


def _confusions(folder: Path, results: Results) -> Confusions | None:
    """Return the confusions of the first method and seed; None of a run that kept no evaluation."""
    if not results.methods or not results.seeds:
        return None
    kept = read_evaluation(folder, results.seeds[0], results.methods[0])
    return summarise_confusions(*kept) if kept else None


def _alt_accuracy(results: Results) -> str:
    ends = []
    for task, name in enumerate(results.tasks):
        values = [f"{method} {percent(results.mean_accuracy(method, -1, task))}" for method in results.methods]
        ends.append(f"{name}: {', '.join(values)}")
    return "Line charts, one for each task. Accuracy in percent at the end: " + "; ".join(ends) + "."


def _command(command: object) -> str | None:
    """Return the command line of a run, which is kept as text or as a list of arguments."""
    if isinstance(command, list):
        return shlex.join(str(argument) for argument in command)
    return str(command) if command else None
