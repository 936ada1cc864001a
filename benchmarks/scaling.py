"""What learning costs, by number of tasks, classes, images, their size, and the networks' width.

python benchmarks/scaling.py [--only FACTOR ...]

One factor at a time around a small size, each size in a process of its own, some seconds long; a formula is fitted to
most of them, and predicts the others. Writes docs/costs.md. Rows are kept in benchmarks/measured and not measured
twice: remove one to measure it anew.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from statistics import median
from typing import Any

from measuring import pages
from measuring.cost_model import COSTS, Cell, Cost, Formula, Point, fit_formula
from measuring.costs_page import format_page

BASE = Cell()
# The last one of each factor is held back: it is farther out than all that the formula is fitted to.
FACTORS: dict[str, list[Cell]] = {
    "base": [BASE],
    "tasks": [replace(BASE, tasks=20)],
    "classes": [replace(BASE, classes=classes) for classes in (2, 16, 48, 128)],
    "images": [replace(BASE, images=images) for images in (1000, 6000, 16_000, 40_000)],
    "size": [replace(BASE, size=size) for size in (28, 40, 48, 64, 96)],
    "width": [replace(BASE, width=width) for width in (8, 24, 32, 48)],
    "batch": [replace(BASE, batch=batch) for batch in (8, 32)],
    # Several factors at once: the sizes that are the default.
    "defaults": [replace(BASE, classes=10, images=20_000, width=32, batch=32)],
}
HELD_BACK = ("classes", "images", "size", "width", "defaults")
# The tasks of the chain that the formula is fitted to.
FITTED_TASKS = (1, 2, 3, 5, 8, 12)
Rows = Mapping[str, Sequence[Mapping[str, Any]]]


def points(rows: Rows, cost: Cost) -> list[Point]:
    """Return what was measured of a cost; seconds as if the machine had always been as fast as in the median."""
    usual = median(row["reference_speed"] for parts in rows.values() for row in parts)
    found = []
    for factor, cells in FACTORS.items():
        for cell in cells:
            is_last = cell is cells[-1]
            # Its last task alone; of the chain, all.
            for row in rows.get(cell_name(cell), [])[0 if factor == "tasks" else -1 :]:
                value = cost.read(row)
                if value is None:
                    continue
                if cost.timed:
                    value *= row["reference_speed"] / usual
                task = row["task"]
                fitted = task in FITTED_TASKS if factor == "tasks" else factor not in HELD_BACK or not is_last
                found.append(Point(factor, replace(cell, tasks=task), value, fitted, is_last and task == cell.tasks))
    return found


def fit_formulas(rows: Rows) -> dict[str, Formula]:
    """Fit the formula of each cost to the points that are not held back."""
    return {
        key: fit_formula(cost, [(point.cell, point.value) for point in points(rows, cost) if point.fitted])
        for key, cost in COSTS.items()
    }


def cell_name(cell: Cell) -> str:
    return ", ".join(f"{key} {value}" for key, value in asdict(cell).items())


def main() -> None:
    parser = pages.argument_parser(__doc__)
    parser.add_argument("--only", nargs="*", choices=list(FACTORS), default=list(FACTORS))
    options = parser.parse_args()
    document = pages.read_kept("scaling", rows={})
    rows: dict[str, list[dict[str, Any]]] = document["rows"]
    for cell in (cell for factor in options.only for cell in FACTORS[factor]):
        if cell_name(cell) not in rows:
            pages.check_machine("scaling", document)
            print(cell_name(cell), file=sys.stderr, flush=True)
            rows[cell_name(cell)] = pages.run_json(
                Path(__file__).with_name("scaling_cell.py"), json.dumps(asdict(cell))
            )
            pages.write_kept("scaling", document)
    if missing := [factor for factor, cells in FACTORS.items() if any(cell_name(cell) not in rows for cell in cells)]:
        print(f"no page yet: {', '.join(missing)} not measured", file=sys.stderr)
        return
    pages.write_page(
        "costs", format_page(document, fit_formulas(rows), {key: points(rows, c) for key, c in COSTS.items()})
    )


if __name__ == "__main__":
    main()
