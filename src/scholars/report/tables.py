"""The tables that a run prints at its end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from scholars.report.methods import legend, look
from scholars.report.results import Results, mean, parse
from scholars.report.words import ARROW, PERCENT, megabytes, number, percent, spread

_MOST_TASKS = 5  # with more of them, a column each would not fit


def summary_table(results: Mapping[str, Any]) -> Table:
    """A row for each method of a results document: what it knew of each task, when and at the end. Means over seeds."""
    found = parse(results)
    columns = [(name, [task]) for task, name in enumerate(found.tasks)]
    if len(found.tasks) > _MOST_TASKS:
        columns = [(f"mean of {len(found.tasks)} tasks", list(range(len(found.tasks))))]
    on = ", ".join(filter(None, [found.scored_on, found.told]))
    table = _table(f"Accuracy in % on {on}, right after learning a task {ARROW} at the end")
    caption = "; ".join(legend(method) for method in found.methods) + "."
    if len(found.seeds) > 1:
        caption += f" Average: ± half the 95{PERCENT} interval over {len(found.seeds)} seeds."
    table.caption = Text(caption)
    table.add_column("method", no_wrap=True)
    for name, _ in columns:
        # Names come from people and their files: a Text is never read as markup.
        table.add_column(Text(name), justify="right", overflow="fold")
    for name in ("average", "forget-\nting", "gap\nclosed", "seconds"):
        table.add_column(name, justify="right")
    for method in found.methods:
        summary = found.of(method)
        table.add_row(
            _named(method),
            *(_course(found, method, tasks) for _, tasks in columns),
            spread(summary.average_accuracy),
            percent(found.mean(method, "forgetting")),
            percent(summary.gap_closed),
            number(found.mean(method, "seconds")),
        )
    return table


def cost_table(results: Mapping[str, Any]) -> Table:
    """A row for each method of a results document: what it took, and what it had to keep. Means over seeds."""
    found = parse(results)
    table = _table("What it cost")
    table.add_column("method", no_wrap=True)
    for name in ("seconds", "peak\nmemory, MB", "kept between\ntasks, MB", "images\ngenerated"):
        table.add_column(name, justify="right")
    for method in found.methods:
        table.add_row(
            _named(method),
            number(found.mean(method, "seconds")),
            number(found.mean(method, "peak_memory_mb")),
            megabytes(found.mean(method, "kept_bytes")),
            number(found.mean(method, "images_generated")),
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


def _named(method: str) -> Text:
    return Text(method, style=f"bold {look(method).colour}")


def _course(results: Results, method: str, tasks: list[int]) -> str:
    """``99.3 → 98.7``; one figure where learning was the end, as for the last task and for joint training."""
    end = percent(mean(mean(results.accuracies(method, -1, task)) for task in tasks))
    if method == "joint" or tasks == [results.rows(method) - 1]:
        return end
    return f"{percent(mean(mean(results.accuracies(method, task, task)) for task in tasks))} {ARROW} {end}"
