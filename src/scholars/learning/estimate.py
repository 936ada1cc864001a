"""Estimate how long learning a task takes on this machine, from a few measured steps."""

import time

import numpy as np
import torch

from scholars.backbones import Backbone
from scholars.backbones.look import look_at
from scholars.compute.device import device_for, fork_rng, open_fabric
from scholars.learning.heads import FeatureSet, fit_head, head_steps
from scholars.learning.networks import train_generator, train_solver
from scholars.settings import Fit, HeadSettings, MixtureSettings, Settings, SolverSettings
from scholars.tasks.task import Task
from scholars.training.batches import Pool
from scholars.training.loop import Session

# Images that the backbone looks at, steps that are taken, and the least examples for them, to measure the pace.
_LOOKED_AT, _STEPS, _EXAMPLES = 32, 6, 256
# Seconds, on two cores, of all that is no step: loading, memories, dreams, the audit.
_REST = 4.0


def estimate_seconds(task: Task, classes: int, settings: Settings, backbone: Backbone | None) -> float:
    """Return about how many seconds learning will take, within a factor of two or so on a quiet machine.

    classes: of the scholar, once it has learned
    """
    with fork_rng(device_for(settings.compute).device):
        seconds = _REST + _steps_seconds(len(task.train), classes, settings, backbone)
        if backbone is None:
            return seconds
        assert settings.backbone
        return seconds + _looking_seconds(task, backbone, settings.backbone.views, settings.image.fit)


def _looking_seconds(task: Task, backbone: Backbone, views: int, fit: Fit) -> float:
    rows = np.linspace(0, len(task.train) - 1, min(_LOOKED_AT, len(task.train))).astype(np.int64)
    sample = task.train[rows]
    look_at(sample[:1], backbone, 0, fit, keep=False)  # the engine is made
    start = _now()
    look_at(sample, backbone, views, fit, keep=False)
    return (_now() - start) / len(sample) * (len(task.train) + len(task.test) / (1 + views))


def _steps_seconds(photos: int, classes: int, settings: Settings, backbone: Backbone | None) -> float:
    """Return about how many seconds the steps of all networks take; those of what is in closed form are not counted."""
    # In this process alone: others that learn together have nothing to do yet.
    fabric, solver, generator = open_fabric(settings.compute), settings.solver, settings.generator
    count = max(_EXAMPLES, classes)
    labels = torch.arange(count) % classes
    inputs = torch.zeros(count, settings.image.channels, settings.image.size, settings.image.size).byte()
    if backbone:
        inputs = torch.randn(count, backbone.record.features).half()
    pool = Pool(inputs, labels, classes, labels)

    few = settings
    counts: dict[str, int] = {}
    if not isinstance(generator, MixtureSettings):
        counts["generator"] = generator.steps
        few = few.model_copy(update={"generator": generator.model_copy(update={"steps": _STEPS})})
    if isinstance(solver, HeadSettings | SolverSettings):
        counts["solver"] = head_steps(solver, photos, classes) if isinstance(solver, HeadSettings) else solver.steps
        few = few.model_copy(update={"solver": solver.model_copy(update={"steps": _STEPS})})
    ticks: list[float] = []
    session = Session(on_tick=lambda tick: ticks.append(_now()))

    def take(kind: str) -> None:
        """Take some steps of one of the networks."""
        if kind == "generator":
            features = inputs if backbone else None
            train_generator(
                pool, conditions=classes, settings=few, seed=0, fabric=fabric, features=features, session=session
            )
        elif backbone:
            names = [str(number) for number in range(classes)]
            fit_head(FeatureSet(inputs, labels, photos), names, few, 0, fabric, session)
        else:
            train_solver(pool, classes=classes, settings=few, seed=0, fabric=fabric, session=session)

    seconds = 0.0
    for kind, steps in counts.items():
        ticks.clear()
        take(kind)
        # The first step takes longer than all others, and whatever else the machine does prolongs some of them.
        seconds += float(np.median(np.diff(ticks)[1:])) * steps
    return seconds


def _now() -> float:
    return time.perf_counter()
