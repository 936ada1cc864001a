"""What learning costs at one size. Run by scaling.py, in a process of its own, for its memory is measured.

python benchmarks/scaling_cell.py CELL

CELL is a JSON object of `measuring.cost_model.Cell`'s fields. Prints a JSON list, an object for each learned task.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Any

import psutil
import torch
from measuring.cost_model import BANK, DEFAULTS, STEPS, TEST_IMAGES, Cell
from measuring.noise import noise_task
from measuring.references import TRAINING, build_references

from scholars import Scholar, Task, changed, learn
from scholars.compute.device import device_for
from scholars.evaluation.accuracy import accuracy
from scholars.experiments.environment import peak_memory_mb, reset_peak_memory
from scholars.settings import Settings
from scholars.training.batches import Augmented, Pool
from scholars.training.loop import Session
from scholars.training.meter import Tick

MIB = 2**20


def cell_settings(cell: Cell) -> Settings:
    """Return the defaults, but for sizes. As by default, the solver's batches are four of the generator's."""
    changes = {
        "image.size": cell.size,
        "image.channels": 3,
        "solver.width": cell.width,
        "solver.batch": 4 * cell.batch,
        "solver.steps": STEPS,
        "generator.width": cell.width,
        "generator.batch": cell.batch,
        "generator.steps": STEPS,
        "replay.bank": BANK,
        "ood.dreams": 0,
        "audit.dreams": 0,
    }
    return changed(DEFAULTS, changes)


def learn_task(number: int, cell: Cell, previous: Scholar | None, scratch: Path, before: int) -> tuple[Scholar, Any]:
    """Learn task ``number``; return the scholar and what that cost.

    before: bytes of the process before any task
    """
    speeds = defaultdict[str, list[float]](list)

    def on_tick(tick: Tick) -> None:
        speeds[tick.stage].append(tick.images_per_second)

    reset_peak_memory()
    settings = cell_settings(cell)
    new = noise_task(f"task {number}", cell.classes, settings.image, cell.images, TEST_IMAGES)
    scholar = learn(new, previous, settings=settings, session=Session(on_tick=on_tick))
    peak = peak_memory_mb() - before / MIB
    folder = scratch / str(number)
    scholar.save(folder)
    # The first steps wait for kernels to be made.
    step = {
        "solver": 4 * cell.batch / median(speeds["solver"][4:]),
        "generator": cell.batch / median(speeds["generator"][4:]),
    }
    return scholar, {
        **step,
        "dream": 1 / speeds["bank"][-1] if speeds["bank"] else None,
        "evaluate": _evaluation_seconds(scholar, new),
        "draw": _draw_seconds(new, cell),
        "memory": peak,
        "bytes": {path.name: path.stat().st_size for path in folder.iterdir()},
    }


def _evaluation_seconds(scholar: Scholar, task: Task) -> float:
    """Return the seconds of evaluating one test image."""
    spent = []
    for _ in range(3):
        began = time.perf_counter()
        accuracy(scholar, task)
        spent.append(time.perf_counter() - began)
    return median(spent) / TEST_IMAGES


def _draw_seconds(task: Task, cell: Cell) -> float:
    """Return the seconds of drawing and augmenting one training image."""
    source, spent = Augmented(Pool.of(task.train, range(cell.classes), cell.classes), shift=2), []
    for _ in range(20):
        began = time.perf_counter()
        source.draw(4 * cell.batch)
        spent.append(time.perf_counter() - began)
    return median(spent) / (4 * cell.batch)


def main() -> None:
    cell = Cell(**json.loads(sys.argv[1]))
    reference = build_references(device_for(Settings().compute).bf16)[TRAINING]
    torch.manual_seed(0)
    before = psutil.Process().memory_info().rss
    scholar: Scholar | None = None
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch:
        for number in range(1, cell.tasks + 1):
            ahead = reference.speed()
            scholar, row = learn_task(number, cell, scholar, Path(scratch), before)
            rows.append(row | {"task": number, "reference_speed": (ahead + reference.speed()) / 2})
    sys.stdout.write(json.dumps(rows) + "\n")


if __name__ == "__main__":
    main()
