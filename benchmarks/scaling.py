"""What learning costs, by number of tasks, classes, images, their size, and the networks' width.

python benchmarks/scaling.py [--only FACTOR ...]

One factor at a time around a small size, each size in a process of its own, some seconds long; a formula is fitted to
most of them, and the others, which it was not shown, are predicted. Writes docs/costs.md. Rows are kept in
benchmarks/measured and not measured twice: remove one to measure it anew.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from measuring.costs import COSTS, Cell, Cost, Fit, fitted
from measuring.costs_page import Point, written

from scholars import store
from scholars.environment import environment
from scholars.settings import Settings

HERE = Path(__file__).parent
KEPT = HERE / "measured" / "scaling.json"
PAGE = HERE.parent / "docs" / "costs.md"
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
# Of the chain of tasks the formula is shown these.
SHOWN = (1, 2, 3, 5, 8, 12)


def measure(cell: Cell) -> list[dict[str, Any]]:
    command = [sys.executable, str(HERE / "scaling_cell.py"), json.dumps(asdict(cell))]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=sys.stderr, text=True)
    rows: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return rows


def points(rows: dict[str, list[dict[str, Any]]], cost: Cost) -> list[Point]:
    """What was measured of a cost; seconds as if the machine had always been as fast as in the median."""
    usual = median(row["yardstick"] for parts in rows.values() for row in parts)
    found = []
    for factor, cells in FACTORS.items():
        for place, cell in enumerate(cells):
            # Its last task alone; of the chain, all.
            for row in rows.get(name(cell), [])[0 if factor == "tasks" else -1 :]:
                value = cost.read(row)
                if value is None:
                    continue
                shown = row["task"] in SHOWN if factor == "tasks" else factor not in HELD_BACK or cell is not cells[-1]
                found.append(
                    Point(
                        factor,
                        replace(cell, tasks=row["task"]),
                        value * row["yardstick"] / usual if cost.timed else value,
                        shown,
                        last=place == len(cells) - 1 and row["task"] == cell.tasks,
                    )
                )
    return found


def name(cell: Cell) -> str:
    return ", ".join(f"{key} {value}" for key, value in asdict(cell).items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(FACTORS), default=list(FACTORS))
    options = parser.parse_args()
    document: dict[str, Any] = store.read_json(KEPT) if KEPT.is_file() else {"rows": {}}
    rows: dict[str, list[dict[str, Any]]] = document["rows"]
    for factor in options.only:
        for cell in FACTORS[factor]:
            if name(cell) not in rows:
                print(factor, name(cell), file=sys.stderr, flush=True)
                rows[name(cell)] = measure(cell)
                document |= {
                    "date": datetime.now(UTC).date().isoformat(),
                    "environment": environment(Settings().compute),
                }
                store.write_json(KEPT, document)
    if missing := [factor for factor, cells in FACTORS.items() if any(name(cell) not in rows for cell in cells)]:
        print(f"no page yet: {', '.join(missing)} not measured", file=sys.stderr)
        return
    measured = {key: points(rows, cost) for key, cost in COSTS.items()}
    fits: dict[str, Fit] = {
        key: fitted(cost, [(point.cell, point.value) for point in measured[key] if point.shown])
        for key, cost in COSTS.items()
    }
    PAGE.write_text(written(document, fits, measured), encoding="utf-8")
    print(PAGE)


if __name__ == "__main__":
    main()
