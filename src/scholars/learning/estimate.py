"""Estimate how long learning a task takes on this machine, from a few measured steps."""

import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch

from scholars.backbones import Backbone
from scholars.backbones.look import look_at
from scholars.compute.device import fork_rng
from scholars.compute.processes import current_fabric
from scholars.learning.heads import FeatureSet, fit_head, head_steps
from scholars.learning.networks import train_generator, train_solver
from scholars.settings import Fit, HeadSettings, MixtureSettings, Settings, SolverSettings
from scholars.tasks.task import Task
from scholars.training.batches import Pool
from scholars.training.loop import NO_SESSION

# Images that the backbone looks at, steps that are taken, and examples that they are taken on, to measure the pace.
_LOOKED_AT, _STEPS, _EXAMPLES = 32, 3, 256


def estimate_seconds(task: Task, classes: int, settings: Settings, backbone: Backbone | None) -> float:
    """Return about how many seconds learning will take, within a factor of two or so on a quiet machine.

    classes: of the scholar, once it has learned
    """
    with fork_rng(current_fabric(settings.compute).device):
        steps = _steps_seconds(classes, settings, backbone)
        if backbone is None:
            return steps
        assert settings.backbone
        return steps + _looking_seconds(task, backbone, settings.backbone.views, settings.image.fit)


def _looking_seconds(task: Task, backbone: Backbone, views: int, fit: Fit) -> float:
    rows = np.linspace(0, len(task.train) - 1, min(_LOOKED_AT, len(task.train))).astype(np.int64)
    sample = task.train[rows]
    look_at(sample[:1], backbone, 0, fit, keep=False)  # the engine is made
    seconds = _timed(lambda: look_at(sample, backbone, views, fit, keep=False))
    return seconds / len(sample) * (len(task.train) + len(task.test) / (1 + views))


def _steps_seconds(classes: int, settings: Settings, backbone: Backbone | None) -> float:
    """Return about how many seconds the steps of all networks take; those of what is in closed form are not counted."""
    fabric, solver, generator = current_fabric(settings.compute), settings.solver, settings.generator
    labels = torch.arange(_EXAMPLES) % classes
    inputs = torch.zeros(_EXAMPLES, settings.image.channels, settings.image.size, settings.image.size).byte()
    if backbone:
        inputs = torch.randn(_EXAMPLES, backbone.record.features).half()
    pool = Pool(inputs, labels, classes, labels)

    def take(kind: str, steps: int) -> None:
        """Train one of the networks for so many steps."""
        few = settings.model_copy(update={kind: getattr(settings, kind).model_copy(update={"steps": steps})})
        if kind == "generator":
            features = inputs if backbone else None
            train_generator(pool, conditions=classes, settings=few, seed=0, fabric=fabric, features=features)
        elif backbone:
            names = [str(number) for number in range(classes)]
            fit_head(FeatureSet(inputs, labels, _EXAMPLES), names, few, 0, fabric, NO_SESSION)
        else:
            train_solver(pool, classes=classes, settings=few, seed=0, fabric=fabric)

    counts = {}
    if not isinstance(generator, MixtureSettings):
        counts["generator"] = generator.steps
    if isinstance(solver, HeadSettings):
        counts["solver"] = head_steps(solver, _EXAMPLES, classes)
    elif isinstance(solver, SolverSettings):
        counts["solver"] = solver.steps
    seconds = 0.0
    for kind, steps in counts.items():
        first = _timed(partial(take, kind, 1))
        seconds += max(0.0, _timed(partial(take, kind, 1 + _STEPS)) - first) / _STEPS * steps
    return seconds


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
