"""A short life, learned by as many processes as asked for: ``python lives.py PROCESSES OUT [stop|lose|cores]``."""

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
from scholars.config import build
from scholars.errors import Interrupted
from scholars.fitting import Session, Tick
from scholars.settings import ImageSettings, SolverSettings
from scholars.solvers.cnn import CNN
from scholars.team import carry_out, fabric_of, together

KINDS = ("flow", "r3gan", "gan", "wgan-gp", "wgan", "vae")


def settings(kind: str, solver: str = "cnn") -> Settings:
    document: dict[str, Any] = {
        "image": {"size": 16, "channels": 1},
        "compute": {"precision": "32-true", "device": "cpu"},
        "solver": {"kind": solver, "width": 8, "steps": 3, "batch": 16},
        "generator": {"kind": kind, kind: {"steps": 4, "batch": 16, "width": 8}},
        "replay": {"bank": 300},  # two chunks: one each
        "familiarity": {"dreams": 0},
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
    """A scholar of two generations, and what the first step of every stage gave."""
    chosen, given = settings(kind), dict[str, Any]()

    def note(generation: int, tick: Tick) -> None:
        if tick.step == 1:
            given[f"{generation} {tick.stage}"] = dict(tick.metrics)

    one = learn(task("first", ("a", "b"), 0), settings=chosen, session=Session(on_tick=partial(note, 1)))
    return learn(task("second", ("c", "d"), 1), one, session=Session(on_tick=partial(note, 2))), given


def first(session: Session, solver: str = "cnn") -> Scholar:
    return learn(task("first", ("a", "b"), 0), settings=settings("flow", solver), session=session)


class Mortal(CNN):
    """A solver of which the second process dies in its third step."""

    steps = 0

    def features(self, images: Tensor) -> Tensor:
        Mortal.steps += self.training
        if Mortal.steps == 3 and os.environ.get("LOCAL_RANK") == "1":
            os._exit(3)
        return super().features(images)


def _mortal(settings: SolverSettings, image: ImageSettings, classes: int) -> Mortal:
    return Mortal(settings, image, classes)


def note_cores(out: Path, fabric: Fabric) -> None:
    """In every process: the cores that its threads may run on, and how those of gloo that receive are scheduled."""
    cores, scheduled = set[int](), []
    for thread in Path("/proc/self/task").iterdir():
        cores |= os.sched_getaffinity(int(thread.name))
        if (thread / "comm").read_text().strip() == "gloo_tcp_loop":
            scheduled.append(os.sched_getscheduler(int(thread.name)))
    (out / f"{fabric.global_rank}.json").write_text(json.dumps([sorted(cores), scheduled]))


def main(count: int, out: Path, how: str) -> None:
    register_solver("mortal", _mortal)
    with together(settings("flow").compute, count):
        if how == "stop":
            steps = [("", 0)]
            session = Session(
                out, lambda tick: steps.append((tick.stage, tick.step)), lambda: steps[-1] == ("solver", 1)
            )
            try:
                first(session)
            except Interrupted as stop:
                (out / "stopped.txt").write_text(str(stop))
        elif how == "cores":
            carry_out(fabric_of(settings("flow").compute), partial(note_cores, out))
        elif how == "lose":
            first(Session(), "mortal").save(out)
        else:
            found = {}
            for kind in KINDS:
                learned, found[kind] = life(kind)
                learned.save(out / kind)
            (out / "metrics.json").write_text(json.dumps(found))
    (out / "after.json").write_text(json.dumps(sorted(os.sched_getaffinity(0))))


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), *(sys.argv[3:] or [""]))
