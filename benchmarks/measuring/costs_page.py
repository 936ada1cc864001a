"""docs/costs.md, from what scaling.py measured and what was fitted to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from measuring.costs import Cell, Fit
from measuring.extrapolation import extrapolated, learning_seconds


@dataclass(frozen=True)
class Point:
    """One cost at one size, in seconds, MiB or bytes.

    factor: which factor's size this is
    shown: whether the formula was fitted to it
    last: whether it is the farthest out of its factor
    """

    factor: str
    cell: Cell
    value: float
    shown: bool
    last: bool


def written(document: Mapping[str, Any], fits: Mapping[str, Fit], measured: Mapping[str, Sequence[Point]]) -> str:
    """The whole page."""
    here = document["environment"]
    lines = [
        "# What learning costs",
        "",
        f"Made by `python benchmarks/scaling.py` on {document['date']}: {here['processor']}, "
        f"{here['threads']} threads, {here['precision']}, torch {here['packages']['torch']}. One factor at a time "
        "around a small size; seconds are as if the machine had always been as fast as in the median, by a "
        "convolution timed before and after.",
        "",
        *_formulas(fits, measured),
        *_predicted(fits, measured),
        *_tenth(fits, measured),
        *extrapolated(fits),
    ]
    return "\n".join(lines) + "\n"


def _formulas(fits: Mapping[str, Fit], measured: Mapping[str, Sequence[Point]]) -> Iterator[str]:
    yield from (
        "## The formulas",
        "",
        "T tasks, K classes in all (every task has its own), N images a task of S pixels a side and 3 channels,",
        "networks of width W, batches of B for the generator and 4 B for the solver, L levels of the generator's",
        "networks, whose smallest maps have s pixels a side. Fitted by least relative squares, no coefficient below",
        "zero.",
        "",
        "| what | unit | formula | fitted within |",
        "|---|---|---|---|",
    )
    for key, fit in fits.items():
        off = [abs(fit(point.cell) / point.value - 1) for point in measured[key] if point.shown]
        spread = f"{100 * median(off):.0f} % in the median, {100 * max(off):.0f} % at most"
        yield f"| {fit.cost.title} | {fit.cost.unit} | {fit.formula} | {spread} |"
    yield ""


def _predicted(fits: Mapping[str, Fit], measured: Mapping[str, Sequence[Point]]) -> Iterator[str]:
    yield from (
        "## Predicted and measured",
        "",
        "Sizes that the formulas were not fitted to, each farther out than all that they were, and the default sizes,",
        "which differ in four factors at once.",
        "",
        "| size | what | predicted | measured | off by |",
        "|---|---|---|---|---|",
    )
    for key, fit in fits.items():
        for point in measured[key]:
            if point.shown or not point.last or not _matters(fit, point):
                continue
            guess, scale = fit(point.cell), fit.cost.scale
            yield (
                f"| {_size(point)} | {fit.cost.title}, {fit.cost.unit} | {scale * guess:,.3g} | "
                f"{scale * point.value:,.3g} | {100 * (guess / point.value - 1):+.0f} % |"
            )
    yield ""


def _matters(fit: Fit, point: Point) -> bool:
    """Whether the formula has the factor at all."""
    if point.factor == "defaults":
        return True
    usual = replace(point.cell, **{point.factor: getattr(Cell(), point.factor)})
    return any(term(usual) != term(point.cell) for _, term in fit.cost.terms)


def _size(point: Point) -> str:
    if point.factor == "defaults":
        return "the defaults"
    return f"{point.factor} {getattr(point.cell, point.factor)}"


def _tenth(fits: Mapping[str, Fit], measured: Mapping[str, Sequence[Point]]) -> Iterator[str]:
    yield from (
        "## The tenth task and the second",
        "",
        "Tasks of equal size, one after the other: what the tenth and the twentieth cost over the second. The last row",
        "has the default numbers of steps and of dreams in the bank, without a preview and without what tells the",
        "unfamiliar; its target for the tenth is 1.1.",
        "",
        "| what | tenth over second | twentieth over second |",
        "|---|---|---|",
    )
    by_task = {
        key: {point.cell.tasks: point.value for point in measured[key] if point.factor == "tasks"}
        for key in ("solver", "generator", "dream")
    }
    whole = {task: learning_seconds({key: values[task] for key, values in by_task.items()}) for task in (2, 10, 20)}
    rows = {fits[key].cost.title: values for key, values in by_task.items()} | {"learning a task": whole}
    for what, values in rows.items():
        yield f"| {what} | {values[10] / values[2]:.2f} | {values[20] / values[2]:.2f} |"
    yield ""
