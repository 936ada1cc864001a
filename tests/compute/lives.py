"""Scholars learned by several processes: ``python lives.py PROCESSES OUT``.

Writes into OUT what `test_processes` compares with the same in one process. At the end the second process dies.
"""

from __future__ import annotations

import json
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from lightning_fabric import Fabric
from torch import Tensor

from scholars import Images, Scholar, Settings, Task, learn, register_solver
from scholars.compute.processes import current_fabric, distributed, run_everywhere
from scholars.errors import Interrupted, ScholarsError
from scholars.settings import ImageSettings, SolverSettings
from scholars.settings.overrides import build
from scholars.solvers.cnn import CNN
from scholars.training.loop import Session
from scholars.training.meter import Tick

KINDS = ("flow", "r3gan", "gan", "wgan-gp", "wgan", "vae")


def settings(kind: str, solver: str = "cnn") -> Settings:
    document: dict[str, Any] = {
        "image": {"size": 16, "channels": 1},
        "compute": {"precision": "32-true", "device": "cpu"},
        "solver": {"kind": solver, "width": 8, "steps": 3, "batch": 16},
        "generator": {"kind": kind, "steps": 4, "batch": 16, "width": 8},
        "replay": {"bank": 300},  # two chunks: one each
        "ood": {"dreams": 0},
        "audit": {"dreams": 0},
    }
    return build(Settings, document, {}, where="settings")


def task(name: str, classes: tuple[str, str], seed: int) -> Task:
    random = np.random.default_rng(seed)
    images = random.integers(0, 256, (64, 1, 16, 16), dtype=np.uint8)
    labels = np.arange(64) % 2
    images[labels == 0, :, :8] //= 4
    return Task(name, classes, Images(images, labels), Images(images[:16], labels[:16]))


def life(kind: str) -> tuple[Scholar, dict[str, Any]]:
    """Return a scholar of two generations, and the metrics of the first step of every stage."""
    metrics = dict[str, Any]()

    def note(generation: int, tick: Tick) -> None:
        if tick.step == 1:
            metrics[f"{generation} {tick.stage}"] = dict(tick.metrics)

    one = learn(task("first", ("a", "b"), 0), settings=settings(kind), session=Session(on_tick=partial(note, 1)))
    return learn(task("second", ("c", "d"), 1), one, session=Session(on_tick=partial(note, 2))), metrics


def first(session: Session, solver: str = "cnn") -> Scholar:
    return learn(task("first", ("a", "b"), 0), settings=settings("flow", solver), session=session)


class Mortal(CNN):
    """A solver that ends the second process in its third step."""

    steps = 0

    def features(self, images: Tensor) -> Tensor:
        Mortal.steps += self.training
        if Mortal.steps == 3 and os.environ.get("LOCAL_RANK") == "1":
            os._exit(3)
        return super().features(images)


def _mortal(settings: SolverSettings, image: ImageSettings, classes: int) -> Mortal:
    return Mortal(settings, image, classes)


def stop_in_solver(folder: Path) -> str:
    """Learn until the solver has taken a step; return the message of the interruption."""
    ticks = list[Tick]()
    session = Session(folder, ticks.append, lambda: bool(ticks) and (ticks[-1].stage, ticks[-1].step) == ("solver", 1))
    try:
        first(session)
    except Interrupted as stop:
        return str(stop)
    return ""


def note_cores(out: Path, fabric: Fabric) -> None:
    """Write, in every process, on which cores its threads may run, and how gloo's receiving threads are scheduled."""
    cores, scheduled = set[int](), []
    for thread in Path("/proc/self/task").iterdir():
        cores |= os.sched_getaffinity(int(thread.name))
        if (thread / "comm").read_text().strip() == "gloo_tcp_loop":
            scheduled.append(os.sched_getscheduler(int(thread.name)))
    (out / f"{fabric.global_rank}.json").write_text(json.dumps([sorted(cores), scheduled]))


def main(count: int, out: Path) -> None:
    register_solver("mortal", _mortal)
    try:
        with distributed(settings("flow").compute, count):
            metrics = {}
            for kind in KINDS:
                scholar, metrics[kind] = life(kind)
                scholar.save(out / kind)
            (out / "metrics.json").write_text(json.dumps(metrics))
            (out / "stopped.txt").write_text(stop_in_solver(out / "stopped"))
            run_everywhere(current_fabric(settings("flow").compute), partial(note_cores, out))
            first(Session(), "mortal").save(out / "lost")
    except ScholarsError as error:
        (out / "lost.txt").write_text(str(error))
    (out / "after.json").write_text(json.dumps(sorted(os.sched_getaffinity(0))))


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
