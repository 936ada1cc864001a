"""Write docs/costs.md from what scaling.py measured and the formulas that were fitted to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any

from measuring.cost_model import (
    DEFAULT_BANK,
    DEFAULT_GENERATOR_STEPS,
    DEFAULT_STEPS,
    Formula,
    Point,
    learning_seconds,
)
from measuring.extrapolation import extrapolation_sections
from measuring.pages import describe_machine, table

Formulas = Mapping[str, Formula]
Points = Mapping[str, Sequence[Point]]


def format_page(document: Mapping[str, Any], formulas: Formulas, points: Points) -> list[str]:
    """Return the lines of the page."""
    return [
        "# What learning costs",
        "",
        f"Made by `python benchmarks/scaling.py` on {document['date']}: "
        f"{describe_machine(document, 'threads', 'precision')}. One factor at a time "
        "around a small size; seconds are as if the machine had always been as fast as in the median, by a "
        "convolution timed before and after.",
        "",
        "## The formulas",
        "",
        "T tasks, K classes in all (every task has its own), N images a task of S pixels a side and 3 channels,",
        "networks of width W, batches of B for the generator and 4 B for the solver, L levels of the generator's",
        "networks, whose smallest maps have s pixels a side. Fitted by least relative squares, no coefficient below",
        "zero.",
        "",
        *table("what | unit | formula | fitted within", _formula_rows(formulas, points)),
        "## Predicted and measured",
        "",
        "Sizes that the formulas were not fitted to, each farther out than all that they were, and the default sizes,",
        "which differ in four factors at once.",
        "",
        *table("size | what | predicted | measured | off by", _prediction_rows(formulas, points)),
        "## The tenth task and the second",
        "",
        "Tasks of equal size, one after the other: what the tenth and the twentieth cost over the second. The last row",
        f"has {DEFAULT_STEPS:,} steps of the solver, {DEFAULT_GENERATOR_STEPS:,} of the generator and "
        f"{DEFAULT_BANK:,} dreams in the bank, without what detects the",
        "unfamiliar; its target for the tenth is 1.1.",
        "",
        *table("what | tenth over second | twentieth over second", _task_rows(formulas, points)),
        *extrapolation_sections(formulas),
    ]


def _formula_rows(formulas: Formulas, points: Points) -> Iterator[Sequence[object]]:
    for key, formula in formulas.items():
        off = [abs(formula(point.cell) / point.value - 1) for point in points[key] if point.fitted]
        spread = f"{100 * median(off):.0f} % in the median, {100 * max(off):.0f} % at most"
        yield formula.cost.title, formula.cost.unit, formula, spread


def _prediction_rows(formulas: Formulas, points: Points) -> Iterator[Sequence[object]]:
    for key, formula in formulas.items():
        cost = formula.cost
        for point in points[key]:
            if point.factor == "defaults":
                size = "the defaults"
            elif point.fitted or not point.last or not formula.depends_on(point.factor, point.cell):
                continue
            else:
                size = f"{point.factor} {getattr(point.cell, point.factor)}"
            predicted = formula(point.cell)
            yield (
                size,
                f"{cost.title}, {cost.unit}",
                f"{cost.scale * predicted:,.3g}",
                f"{cost.scale * point.value:,.3g}",
                f"{100 * (predicted / point.value - 1):+.0f} %",
            )


def _task_rows(formulas: Formulas, points: Points) -> Iterator[Sequence[object]]:
    by_task = {
        key: {point.cell.tasks: point.value for point in points[key] if point.factor == "tasks"}
        for key in ("solver", "generator", "dream")
    }
    whole = {task: learning_seconds({key: values[task] for key, values in by_task.items()}) for task in (2, 10, 20)}
    rows = {formulas[key].cost.title: values for key, values in by_task.items()} | {"learning a task": whole}
    for what, values in rows.items():
        yield what, f"{values[10] / values[2]:.2f}", f"{values[20] / values[2]:.2f}"
