"""What learning costs at one size. Run by scaling.py, in a process of its own, for its memory is measured.

python benchmarks/scaling_cell.py CELL

CELL is a JSON object of `measuring.costs.Cell`'s fields. Prints a JSON list, an object for each task that is learned.
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

import numpy as np
import psutil
import torch
from measuring.costs import BANK, STEPS, TESTED, Cell
from measuring.yardsticks import TRAINING, yardsticks

from scholars import Images, Scholar, Task, learn
from scholars.compute import machine
from scholars.config import build
from scholars.environment import peak_memory_mb, restart_peak_memory
from scholars.evaluate import accuracy
from scholars.fitting import Session, Tick
from scholars.replay import Augmented, Pool
from scholars.settings import Settings

MIB = 2**20


def settings(cell: Cell) -> Settings:
    """Defaults, but for the size of everything. As by default, the solver's batches are four of the generator's."""
    kind = Settings().generator.kind
    document: dict[str, Any] = {
        "image": {"size": cell.size, "channels": 3},
        "solver": {"width": cell.width, "batch": 4 * cell.batch, "steps": STEPS},
        "generator": {"kind": kind, kind: {"width": cell.width, "batch": cell.batch, "steps": STEPS}},
        "replay": {"bank": BANK, "preview": 0},
        "familiarity": {"dreams": 0},
        "audit": {"dreams": 0},
    }
    return build(Settings, document, {}, where="scaling")


def task(number: int, cell: Cell) -> Task:
    """Noise of classes that no other task has."""
    rng = np.random.default_rng(number)

    def noise(count: int) -> Images:
        images = rng.integers(0, 256, (count, 3, cell.size, cell.size), dtype=np.uint8)
        return Images(images, np.arange(count) % cell.classes)

    names = tuple(f"class {number}-{place}" for place in range(cell.classes))
    return Task(f"task {number}", names, noise(cell.images), noise(TESTED))


def learned(number: int, cell: Cell, previous: Scholar | None, scratch: Path, before: int) -> tuple[Scholar, Any]:
    """The scholar after its task ``number``, and what that cost; ``before``: bytes of the process before any of it."""
    speeds = defaultdict[str, list[float]](list)

    def on_tick(tick: Tick) -> None:
        speeds[tick.stage].append(tick.images_per_second)

    restart_peak_memory()
    new = task(number, cell)
    scholar = learn(new, previous, settings=settings(cell), session=Session(on_tick=on_tick))
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
        "evaluate": _evaluated(scholar, new),
        "draw": _drawn(new, cell),
        "memory": peak,
        "bytes": {path.name: path.stat().st_size for path in folder.iterdir()},
    }


def _evaluated(scholar: Scholar, tested: Task) -> float:
    spent = []
    for _ in range(3):
        began = time.perf_counter()
        accuracy(scholar, tested)
        spent.append(time.perf_counter() - began)
    return median(spent) / TESTED


def _drawn(new: Task, cell: Cell) -> float:
    source, spent = Augmented(Pool.of(new.train, range(cell.classes), cell.classes), shift=2), []
    for _ in range(20):
        began = time.perf_counter()
        source.draw(4 * cell.batch)
        spent.append(time.perf_counter() - began)
    return median(spent) / (4 * cell.batch)


def main() -> None:
    cell = Cell(**json.loads(sys.argv[1]))
    yardstick = yardsticks(machine(Settings().compute).bf16)[TRAINING]
    torch.manual_seed(0)
    before = psutil.Process().memory_info().rss
    scholar: Scholar | None = None
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch:
        for number in range(1, cell.tasks + 1):
            ahead = yardstick.speed()
            scholar, row = learned(number, cell, scholar, Path(scratch), before)
            rows.append(row | {"task": number, "yardstick": (ahead + yardstick.speed()) / 2})
    sys.stdout.write(json.dumps(rows) + "\n")


if __name__ == "__main__":
    main()
