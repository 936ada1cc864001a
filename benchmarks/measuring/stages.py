"""The stages of a run of `mnist-svhn`, each as something that can be timed for a moment."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from lightning_fabric import Fabric

from measuring.references import BYTES, INFERENCE, TRAINING
from measuring.training_bursts import Burst, Training, generator_training, second_task_mixture, solver_training
from scholars import Scholar, changed, learn
from scholars.compute.device import open_fabric, to_device
from scholars.evaluation.accuracy import evaluate
from scholars.experiments.recipe import Recipe
from scholars.experiments.stream import open_stream
from scholars.generators import build_generator
from scholars.generators.sampling import sample_images
from scholars.learning.mixture import Mixture
from scholars.settings import DEFAULT_GENERATOR, GENERATORS, Settings
from scholars.solvers import build_solver
from scholars.tasks.task import Task
from scholars.training import checkpoints


@dataclass(frozen=True)
class Stage:
    """A stage of a run.

    reference: the workload that it is compared with
    burst: does it for about so many seconds
    step, images: the smallest part of it that computes all that it computes, and of how many images that is; None for
        a stage that does not compute with floating-point numbers
    unit: what ``Burst.amount`` counts
    """

    name: str
    reference: str
    burst: Callable[[float], Burst]
    step: Callable[[], object] | None = None
    images: int = 0
    unit: str = "images"


def build_stages(recipe: Recipe, data_dir: Path | None, scratch: Path) -> Iterator[Stage]:
    """Build those of ``recipe``'s second task, with every kind of generator: its own settings, defaults of others."""
    settings = recipe.settings()
    fabric = open_fabric(settings.compute)
    first, second, *_ = open_stream(recipe, 0, data_dir)
    yield Stage("decode", BYTES, lambda _: _decode(recipe, data_dir))
    mix, known = second_task_mixture(first, second, settings), len(first.classes)
    trainings = {"the solver": solver_training(mix.for_solver(), known, settings, fabric)}
    by_kind = {kind: changed(settings, {"generator.kind": kind}) for kind in GENERATORS}
    trainings |= {kind: _generator_training(mix, first, own, fabric) for kind, own in by_kind.items()}
    for name, training in trainings.items():
        burst = partial(_training_burst, training, fabric, scratch)
        yield Stage(f"step of {name}", TRAINING, burst, training.repeated_step(), training.batch)
    scholar = Scholar(build_solver(settings.image_solver, settings.image, known), None, first.classes, (), settings)
    to_device(scholar.solver, fabric.device)
    for kind in dict.fromkeys([DEFAULT_GENERATOR, settings.generator.kind]):
        yield _dream_stage(by_kind[kind], scholar, 2 * known)
    images = second.test.tensor[: scholar.chunk_size].contiguous()
    yield _repeat("label", lambda: scholar.probabilities(images), len(images))
    few = replace(second, test=second.test[: 8 * scholar.chunk_size])
    yield _repeat("evaluate", lambda: evaluate(scholar, few), len(few.test))
    yield Stage("checkpoint", BYTES, partial(_save, trainings[DEFAULT_GENERATOR], scratch), unit="MB")


def _decode(recipe: Recipe, data_dir: Path | None) -> Burst:
    """Open the data once: it takes seconds."""
    began = time.perf_counter()
    tasks = open_stream(recipe, 0, data_dir)
    return Burst(sum(len(task.train) + len(task.test) for task in tasks), time.perf_counter() - began)


def _generator_training(mix: Mixture, first: Task, settings: Settings, fabric: Fabric) -> Training:
    """Return a second generator's training, with a previous one: some kinds learn from more of it than its dreams."""
    short = changed(settings, {"solver.steps": 1, "generator.steps": 1, "ood.dreams": 0})
    previous = learn(first.sampled(9, 0), settings=short)
    return generator_training(mix.for_generator(), 2 * len(first.classes), settings, fabric, previous)


def _training_burst(training: Training, fabric: Fabric, scratch: Path, seconds: float) -> Burst:
    return training.burst(fabric, seconds, scratch)


def _dream_stage(settings: Settings, scholar: Scholar, conditions: int) -> Stage:
    """Draw and label a chunk of dreams, as for a bank."""
    generator = build_generator(settings.trained_generator, settings.image, conditions)
    to_device(generator, open_fabric(settings.compute).device)
    drawn = torch.arange(scholar.chunk_size) % conditions

    def chunk() -> None:
        scholar.probabilities(sample_images(generator, drawn, settings))

    return _repeat(f"dream with {settings.generator.kind}", chunk, scholar.chunk_size)


def _repeat(name: str, step: Callable[[], object], images: int) -> Stage:
    """Return a stage that does ``step`` again and again, ``images`` at a time."""

    def burst(seconds: float) -> Burst:
        times, began = 0, time.perf_counter()
        while (spent := time.perf_counter() - began) < seconds or not times:
            step()
            times += 1
        return Burst(images * times, spent)

    return Stage(name, INFERENCE, burst, step, images)


def _save(training: Training, scratch: Path, seconds: float) -> Burst:
    """Write the whole state of a training, as often as fits."""
    training.repeated_step()()
    path = scratch / "checkpoint.safetensors"
    written, began = 0.0, time.perf_counter()
    while (spent := time.perf_counter() - began) < seconds or not written:
        checkpoints.save(path, training.trainee.modules, training.trainee.optimizers, {})
        written += path.stat().st_size / 1e6
    return Burst(written, spent)
