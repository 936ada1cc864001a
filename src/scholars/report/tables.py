"""The table that a run prints at its end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from scholars.report.methods import legend, look
from scholars.report.results import Results, mean, parse
from scholars.report.words import ARROW, number, percent, spread

_MOST_TASKS = 5  # with more of them, a column each would not fit


def summary_table(results: Mapping[str, Any]) -> Table:
    """A row for each method of a results document: what it knew of each task, and what it cost. Means over seeds."""
    found = parse(results)
    columns = [(name, [task]) for task, name in enumerate(found.tasks)]
    if len(found.tasks) > _MOST_TASKS:
        columns = [(f"mean of {len(found.tasks)} tasks", list(range(len(found.tasks))))]
    table = Table(
        title=f"Accuracy in % on real test images, right after learning a task {ARROW} at the end",
        caption=Text("; ".join(legend(method) for method in found.methods) + "."),
        caption_justify="left",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    table.add_column("method", no_wrap=True)
    for name, _ in columns:
        # Names come from people and their files: a Text is never read as markup.
        table.add_column(Text(name), justify="right", overflow="fold")
    for name in ("average", "forget-\nting", "gap\nclosed", "seconds"):
        table.add_column(name, justify="right")
    for method in found.methods:
        summary = found.of(method)
        table.add_row(
            Text(method, style=f"bold {look(method).colour}"),
            *(_course(found, method, tasks) for _, tasks in columns),
            spread(summary.average_accuracy),
            percent(found.mean(method, "forgetting")),
            percent(summary.gap_closed),
            number(found.mean(method, "seconds")),
        )
    return table


def _course(results: Results, method: str, tasks: list[int]) -> str:
    """``99.3 → 98.7``; one figure where learning was the end, as for the last task and for joint training."""
    end = percent(mean(mean(results.accuracies(method, -1, task)) for task in tasks))
    if method == "joint" or tasks == [results.rows(method) - 1]:
        return end
    return f"{percent(mean(mean(results.accuracies(method, task, task)) for task in tasks))} {ARROW} {end}"
