"""A training as it really runs, for a moment: how fast it is, and what takes time besides its steps."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import Optimizer

from scholars import store
from scholars.errors import Interrupted
from scholars.fitting import SAVE_EVERY, Draw, Session, Tick, Trainee, fit
from scholars.learning import Mixture
from scholars.replay import Augmented, Batch, Pool, ratio_of_new
from scholars.settings import Settings
from scholars.tasks import Task

# Dreams that stand for the past: as many as take what a real bank takes are drawn from as fast.
BANK = 12_000


@dataclass(frozen=True)
class Burst:
    """Some seconds of something: ``amount`` images (or megabytes) done in ``seconds``.

    outside: of a training, the share of its time outside forward, backward and optimizer, checkpoints included
    """

    amount: float
    seconds: float
    outside: float | None = None


class Clocked:
    """A trainee that notes the seconds of its steps, and of drawing batches within them."""

    def __init__(self, trainee: Trainee) -> None:
        self.modules: Mapping[str, nn.Module] = trainee.modules
        self.optimizers: Mapping[str, Optimizer] = trainee.optimizers
        self._trainee = trainee
        self.stepping = self.drawing = 0.0

    @property
    def calm(self) -> float:
        """As the trainee's own."""
        return self._trainee.calm

    @calm.setter
    def calm(self, value: float) -> None:
        self._trainee.calm = value

    def step(self, draw: Draw, progress: float) -> dict[str, Tensor]:
        """The trainee's own step."""

        def timed() -> Batch:
            began = time.perf_counter()
            batch = draw()
            self.drawing += time.perf_counter() - began
            return batch

        began = time.perf_counter()
        values = self._trainee.step(timed, progress)
        self.stepping += time.perf_counter() - began
        return values


@dataclass
class Training:
    """One of a scholar's networks in training: ``draw`` its batches, ``batch`` images a step, ``steps`` in all."""

    name: str
    trainee: Trainee
    draw: Draw
    batch: int
    steps: int

    def burst(self, fabric: Fabric, seconds: float, scratch: Path) -> Burst:
        """The first ``seconds`` of it, of 4 steps or more, by `fit`, with what a run writes on the way."""
        clocked, stamps = Clocked(self.trainee), list[float]()

        def stopping() -> bool:
            stamps.append(time.perf_counter())
            return len(stamps) > 4 and stamps[-1] - stamps[0] > seconds

        def on_tick(tick: Tick) -> None:
            store.append_json(scratch / "metrics.jsonl", tick.metrics)

        session = Session(scratch, on_tick, stopping, save_every=float("inf"))
        (scratch / f"{self.name}.safetensors").unlink(missing_ok=True)
        with suppress(Interrupted):
            fit(clocked, self.draw, fabric=fabric, steps=self.steps, seed=0, stage=self.name, session=session)
        # That it is saved when it stops shows what every checkpoint costs.
        saving = time.perf_counter() - stamps[-1]
        total = stamps[-1] - stamps[0]
        outside = 1 - (clocked.stepping - clocked.drawing) / total + saving / SAVE_EVERY
        return Burst(self.batch * (len(stamps) - 1), total, outside)

    def step(self) -> Callable[[], object]:
        """One step on the same batch every time."""
        batch = self.draw()
        return lambda: self.trainee.step(lambda: batch, 0.5)


def second_task(first: Task, second: Task, settings: Settings) -> Mixture:
    """What a second task's batches are drawn from; images of the first task stand for dreams of it."""
    classes = len(first.classes)
    some = first.train.tensor[torch.randperm(len(first.train))[:BANK]].contiguous()
    targets = torch.softmax(torch.randn(len(some), classes), dim=1)
    bank = Pool(some, targets, classes, torch.arange(len(some)) % classes)
    vary, ratio = partial(Augmented.by, settings.solver), ratio_of_new(settings.replay.ratio, [classes, classes])
    return Mixture(ratio, ratio, Pool.of(second.train, range(classes), classes, classes), bank, vary, vary)


def training(name: str, teach: Callable[[], object]) -> Training:
    """The training that ``teach`` (teaching.py) would begin, not begun."""
    found: dict[str, Any] = {}

    def instead(trainee: Trainee, draw: Draw, *, steps: int, **_: Any) -> None:
        found.update(trainee=trainee, draw=draw, steps=steps)

    with patch("scholars.teaching.fit", instead):
        teach()
    return Training(name, batch=len(found["draw"]().images), **found)
