"""The tables that a run prints at its end."""

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from scholars.experiments.methods import describe_method, find_method
from scholars.report.formatting import ARROW, PERCENT, format_interval, megabytes, number, percent
from scholars.report.results import Results, mean_of_known, parse_results

_MAX_TASKS = 5  # with more of them, a column each would not fit


def summary_table(results: Mapping[str, Any]) -> Table:
    """Build a table of a results document: a row a method, with its accuracy on each task. Means over seeds."""
    found = parse_results(results)
    columns = [(name, [task]) for task, name in enumerate(found.tasks)]
    if len(found.tasks) > _MAX_TASKS:
        columns = [(f"mean of {len(found.tasks)} tasks", list(range(len(found.tasks))))]
    on = ", ".join(filter(None, [found.scored_on, found.scenario_note]))
    table = _table(f"Accuracy in % on {on}, right after learning a task {ARROW} at the end")
    caption = "; ".join(describe_method(method) for method in found.methods) + "."
    if found.is_uneven:
        caption += " Class mean: each class of a task counts alike, however many images it has."
    if len(found.seeds) > 1:
        caption += f" Average: ± half the 95{PERCENT} interval over {len(found.seeds)} seeds."
    table.caption = Text(caption)
    table.add_column("method", no_wrap=True)
    for name, _ in columns:
        # Names come from people and their files: a Text is never read as markup.
        table.add_column(Text(name), justify="right", overflow="fold")
    means = ["class\nmean"] if found.is_uneven else []
    for name in ("average", *means, "forget-\nting", "gap\nclosed", "seconds"):
        table.add_column(name, justify="right")
    for method in found.methods:
        summary = found.summary_of(method)
        table.add_row(
            _method_name(method),
            *(_accuracy_cell(found, method, tasks) for _, tasks in columns),
            format_interval(summary.average_accuracy),
            *(percent(found.seed_mean(method, "average_mean_class_accuracy")) for _ in means),
            percent(found.seed_mean(method, "forgetting")),
            percent(summary.gap_closed),
            number(found.seed_mean(method, "seconds")),
        )
    return table


def cost_table(results: Mapping[str, Any]) -> Table:
    """Build a table of a results document: a row a method, with its time and memory. Means over seeds."""
    found = parse_results(results)
    table = _table("What it cost")
    table.add_column("method", no_wrap=True)
    for name in ("seconds", "peak\nmemory, MB", "kept between\ntasks, MB", f"{found.drawn}\ngenerated"):
        table.add_column(name, justify="right")
    for method in found.methods:
        table.add_row(
            _method_name(method),
            number(found.seed_mean(method, "seconds")),
            number(found.seed_mean(method, "peak_memory_mb")),
            megabytes(found.seed_mean(method, "kept_bytes")),
            number(found.seed_mean(method, "images_generated")),
        )
    return table


def _table(title: str) -> Table:
    return Table(
        title=title,
        caption_justify="left",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )


def _method_name(method: str) -> Text:
    return Text(method, style=f"bold {find_method(method).colour}")


def _accuracy_cell(results: Results, method: str, tasks: list[int]) -> str:
    """Format ``99.3 → 98.7``, right after learning and at the end; one figure where these are the same."""
    end = percent(mean_of_known(results.mean_accuracy(method, -1, task) for task in tasks))
    if find_method(method).joint or tasks == [results.num_rows(method) - 1]:
        return end
    return f"{percent(mean_of_known(results.mean_accuracy(method, task, task) for task in tasks))} {ARROW} {end}"
