from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console
from rich.table import Table

from scholars.report import cost_table, summary_table
from scholars.report.formatting import DASH

from .documents import one_run, results, single, uneven


def printed(
    document: dict[str, Any], width: int = 120, table: Callable[[dict[str, Any]], Table] = summary_table
) -> list[str]:
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        console.print(table(document))
    return [" ".join(row.split()) for row in capture.get().splitlines()]


def row(lines: list[str], method: str) -> str:
    (found,) = [text for text in lines if text.startswith(f"{method} ")]
    return found


def test_rows_say_how_each_task_went() -> None:
    lines = printed(results())
    assert row(lines, "replay") == "replay 98.0 → 95.0 91.0 93.0 ± 12.7 3.0 93.1 2,002"
    assert row(lines, "naive") == "naive 98.0 → 25.0 94.0 59.5 ± 38.1 73.0 0.0 1,001"
    assert row(lines, "joint") == f"joint 98.0 93.0 95.5 ± 6.3 {DASH} 100.0 100"


def test_methods_are_explained_under_the_table() -> None:
    text = " ".join(printed(results()))
    assert "replay: new data and dreams, no old data kept; naive: new data only; joint: all data at once." in text
    assert "exact:" not in text


def test_one_task_and_one_seed() -> None:
    assert row(printed(single()), "replay") == f"replay 98.7 98.7 {DASH} {DASH} 100"


def test_means_over_classes_where_classes_have_different_numbers_of_images() -> None:
    lines = printed(uneven(), 80)
    assert any("mean" in text.split() for text in lines)
    assert row(lines, "replay") == f"replay 99.0 {DASH} 85.0 {DASH} {DASH} 100"
    assert "Class mean: each class of a task counts alike, however many images it has." in " ".join(lines)
    even = uneven()
    for entry in even["runs"]:
        entry["mean_class_accuracy"] = entry["accuracy"]
    assert "Class mean" not in " ".join(printed(even, 80))
    assert row(printed(even, 80), "replay") == f"replay 99.0 {DASH} {DASH} {DASH} 100"


def test_missing_figures_are_dashes() -> None:
    document = single()
    document["runs"][0].update(accuracy=[[None]], seconds=None)
    document["summary"] = {}
    assert row(printed(document), "replay") == f"replay {DASH} {DASH} {DASH} {DASH} {DASH}"


def test_costs_are_means_over_seeds() -> None:
    document = results()
    document["runs"][-1] |= {"kept_bytes": 0, "images_generated": 0}
    document["runs"][2] |= {"kept_bytes": 0, "images_generated": 0}
    lines = printed(document, 80, cost_table)
    assert row(lines, "replay") == "replay 2,002 1,500 8.1 12,000"
    assert row(lines, "joint") == "joint 100 1,500 0 0"


def test_three_tasks_fit_a_terminal_of_80_columns() -> None:
    rows = [[0.9], [0.9, 0.8], [0.9, 0.8, 0.7]]
    document = results(tasks=["mnist", "svhn", "digits"], runs=[one_run(0, "replay", rows, seconds=12345.0)])
    assert row(printed(document, 80), "replay") == f"replay 90.0 → 90.0 80.0 → 80.0 70.0 93.0 ± 12.7 {DASH} 93.1 12,345"


def test_many_tasks_share_a_column() -> None:
    rows = [[0.9] * place + [1.0] for place in range(6)]
    document = results(tasks=list("abcdef"), runs=[one_run(0, "replay", rows)])
    lines = printed(document, 80)
    assert any("mean of 6 tasks" in text for text in lines)
    assert row(lines, "replay").startswith("replay 100.0 → 91.7 ")


@pytest.mark.parametrize("name", ["[red]", "[/]", "<script>"])
def test_names_are_no_markup(name: str) -> None:
    assert any(name in text for text in printed(single(name)))
