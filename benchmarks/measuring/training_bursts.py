"""Run a training as `scholars run` does, for some seconds: how fast it is, and what takes time besides its steps."""

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
from torch import Tensor

from scholars.errors import Interrupted
from scholars.generators import Generator
from scholars.learning.budget import Facts, plan_settings
from scholars.learning.mixture import Mixture
from scholars.learning.networks import train_generator, train_solver
from scholars.scholar import Scholar
from scholars.settings import Settings
from scholars.solvers import Solver
from scholars.storage import files
from scholars.tasks.task import Task
from scholars.training.batches import Augmented, Batch, BatchSource, Pool, new_data_ratio
from scholars.training.loop import SAVE_EVERY, Draw, Session, Trainee, fit
from scholars.training.meter import Tick

# Real images in the place of a bank of dreams: drawn as fast, if there are as many.
BANK = 12_000
# Of a second task of ten known classes, as in `mnist-svhn`.
FACTS = Facts(images=8553, conditions=10, ratio=0.5, generator_ratio=0.5, tasks=2)


@dataclass(frozen=True)
class Burst:
    """Some seconds of something: ``amount`` images (or megabytes) done in ``seconds``.

    outside: of a training, the share of its time outside forward, backward and optimizer, checkpoints included
    """

    amount: float
    seconds: float
    outside: float | None = None


class TimedTrainee:
    """A trainee that adds up the seconds of its steps, and of drawing batches within them."""

    def __init__(self, trainee: Trainee) -> None:
        self.modules, self.optimizers = trainee.modules, trainee.optimizers
        self._trainee = trainee
        self.step_seconds = self.draw_seconds = 0.0

    def learning_rates(self, progress: float) -> Mapping[str, float]:
        """Return those of the trainee."""
        return self._trainee.learning_rates(progress)

    def step(self, draw: Draw, progress: float) -> dict[str, Tensor]:
        """Take the trainee's step."""

        def timed_draw() -> Batch:
            began = time.perf_counter()
            batch = draw()
            self.draw_seconds += time.perf_counter() - began
            return batch

        began = time.perf_counter()
        values = self._trainee.step(timed_draw, progress)
        self.step_seconds += time.perf_counter() - began
        return values


@dataclass
class Training:
    """The training of one network, not begun: ``draw`` its batches, ``batch`` images a step, ``steps`` in all."""

    name: str
    trainee: Trainee
    draw: Draw
    batch: int
    steps: int

    def burst(self, fabric: Fabric, seconds: float, scratch: Path) -> Burst:
        """Train from the beginning for ``seconds``, 4 steps or more, by `fit`, with the files that a run writes."""
        timed, stamps = TimedTrainee(self.trainee), list[float]()

        def stopping() -> bool:
            stamps.append(time.perf_counter())
            return len(stamps) > 4 and stamps[-1] - stamps[0] > seconds

        def on_tick(tick: Tick) -> None:
            files.append_json(scratch / "metrics.jsonl", tick.metrics)

        session = Session(scratch, on_tick, stopping, save_every=float("inf"))
        (scratch / f"{self.name}.safetensors").unlink(missing_ok=True)
        with suppress(Interrupted):
            fit(timed, self.draw, fabric=fabric, steps=self.steps, seed=0, stage=self.name, session=session)
        # The checkpoint that is written at the stop shows what every checkpoint costs.
        saving = time.perf_counter() - stamps[-1]
        total = stamps[-1] - stamps[0]
        outside = 1 - (timed.step_seconds - timed.draw_seconds) / total + saving / SAVE_EVERY
        return Burst(self.batch * (len(stamps) - 1), total, outside)

    def repeated_step(self) -> Callable[[], object]:
        """Return a function that takes a step, on the same batch every time."""
        batch = self.draw()
        return lambda: self.trainee.step(lambda: batch, 0.5)


def solver_training(source: BatchSource, classes: int, settings: Settings, fabric: Fabric) -> Training:
    """Return the training of a solver that `train_solver` would begin."""
    plan = plan_settings(settings, FACTS)
    return _capture("solver", lambda: train_solver(source, classes=classes, settings=plan, seed=0, fabric=fabric))


def generator_training(
    source: BatchSource, conditions: int, settings: Settings, fabric: Fabric, previous: Scholar | None = None
) -> Training:
    """Return the training of a generator that `train_generator` would begin."""
    plan = plan_settings(settings, FACTS)
    return _capture(
        settings.generator.kind,
        lambda: train_generator(source, previous=previous, conditions=conditions, settings=plan, seed=0, fabric=fabric),
    )


def _capture(name: str, train: Callable[[], Solver | Generator]) -> Training:
    """Return the training that ``train`` would begin by calling `fit`."""
    found: dict[str, Any] = {}

    def instead(trainee: Trainee, draw: Draw, *, steps: int, **_: Any) -> None:
        found.update(trainee=trainee, draw=draw, steps=steps)

    with patch("scholars.learning.networks.fit", instead):
        train()
    return Training(name, batch=len(found["draw"]().inputs), **found)


def second_task_mixture(first: Task, second: Task, settings: Settings) -> Mixture:
    """Return what a second task's batches are drawn from, with images of the first task in the place of dreams."""
    classes = len(first.classes)
    some = first.train.tensor[torch.randperm(len(first.train))[:BANK]].contiguous()
    targets = torch.softmax(torch.randn(len(some), classes), dim=1)
    augment = partial(Augmented.by, plan_settings(settings, FACTS).image_solver)
    ratio = new_data_ratio(settings.replay.ratio, [classes, classes])
    return Mixture(
        ratio=ratio,
        generator_ratio=ratio,
        new=Pool.of(second.train, range(classes), classes, classes),
        replayed=Pool(some, targets, classes, torch.arange(len(some)) % classes),
        augment=augment,
        augment_replayed=augment,
    )
