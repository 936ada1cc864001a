"""The stages of a run of `mnist-svhn`, each as something that can be done for a moment."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from lightning_fabric import Fabric

from measuring.trained import Burst, Training, second_task, training
from measuring.yardsticks import BYTES, INFERENCE, TRAINING
from scholars import Scholar, checkpoints
from scholars.compute import open_fabric, place
from scholars.config import Recipe, build
from scholars.evaluate import judge
from scholars.generators import build_generator
from scholars.learning import Mixture, learn
from scholars.scholar import painted
from scholars.settings import Settings
from scholars.solvers import build_solver
from scholars.streams import open_stream
from scholars.tasks import Task
from scholars.teaching import teach_generator, teach_solver


@dataclass(frozen=True)
class Stage:
    """A stage of a run.

    yardstick: what it is compared with
    burst: does it for about so many seconds
    step, images: the smallest part of it that computes all that it computes, and of how many images that is; None for
        a stage that does not compute with floating-point numbers
    unit: what ``Burst.amount`` counts
    """

    name: str
    yardstick: str
    burst: Callable[[float], Burst]
    step: Callable[[], object] | None = None
    images: int = 0
    unit: str = "images"


def stages(recipe: Recipe, data_dir: Path | None, scratch: Path) -> Iterator[Stage]:
    """Those of ``recipe``'s second task, with every kind of generator at its own settings."""
    settings = recipe.settings()
    fabric = open_fabric(settings.compute)
    first, second, *_ = open_stream(recipe, 0, data_dir)
    yield Stage("decode", BYTES, lambda _: _decoded(recipe, data_dir))
    mix, known = second_task(first, second, settings), len(first.classes)
    solver = training(
        "solver", lambda: teach_solver(mix.for_solver(), classes=known, settings=settings, seed=0, fabric=fabric)
    )
    yield _trained("step of the solver", solver, fabric, scratch)
    kinds = {kind: _generator(kind, mix, first, settings, fabric) for kind in settings.generator.kinds()}
    for kind, one in kinds.items():
        yield _trained(f"step of {kind}", one, fabric, scratch)
    scholar = Scholar(build_solver(settings.solver, settings.image, known), None, first.classes, (), settings)
    place(scholar.solver, fabric.device)
    for kind in dict.fromkeys([Settings().generator.kind, settings.generator.kind]):
        yield _dreamt(kind, scholar, 2 * known)
    yield from _looked_at(scholar, second)
    yield Stage("checkpoint", BYTES, partial(_kept, kinds[Settings().generator.kind], scratch), unit="MB")


def _decoded(recipe: Recipe, data_dir: Path | None) -> Burst:
    """Once: it takes seconds."""
    began = time.perf_counter()
    tasks = open_stream(recipe, 0, data_dir)
    return Burst(sum(len(task.train) + len(task.test) for task in tasks), time.perf_counter() - began)


def _generator(kind: str, mix: Mixture, first: Task, settings: Settings, fabric: Fabric) -> Training:
    """A second generator's training: that of a flow and of a vae asks the first one, too."""
    chosen = settings.model_copy(update={"generator": settings.generator.model_copy(update={"kind": kind})})
    changes = {"solver.steps": 1, f"generator.{kind}.steps": 1, "familiarity.dreams": 0}
    previous = learn(first.sampled(9, 0), settings=build(Settings, chosen.model_dump(), changes, where="speed"))
    source, conditions = mix.for_generator(), 2 * len(first.classes)
    return training(
        kind,
        lambda: teach_generator(
            source, previous=previous, conditions=conditions, settings=chosen, seed=0, fabric=fabric
        ),
    )


def _trained(name: str, one: Training, fabric: Fabric, scratch: Path) -> Stage:
    return Stage(name, TRAINING, lambda seconds: one.burst(fabric, seconds, scratch), one.step(), one.batch)


def _dreamt(kind: str, scholar: Scholar, conditions: int) -> Stage:
    """A chunk of dreams, painted and labelled, as a bank is made of."""
    settings = scholar.settings.model_copy(
        update={"generator": scholar.settings.generator.model_copy(update={"kind": kind})}
    )
    generator = build_generator(settings.generator, settings.image, conditions)
    place(generator, open_fabric(settings.compute).device)
    asked = torch.arange(scholar.chunk) % conditions

    def chunk() -> None:
        scholar.probabilities(painted(generator, asked, settings))

    return _repeated(f"dream with {kind}", chunk, scholar.chunk)


def _looked_at(scholar: Scholar, task: Task) -> Iterator[Stage]:
    images = task.test.tensor[: scholar.chunk].contiguous()
    few = replace(task, test=task.test[: 8 * scholar.chunk])
    yield _repeated("label", lambda: scholar.probabilities(images), len(images))
    yield _repeated("evaluate", lambda: judge(scholar, few), len(few.test))


def _repeated(name: str, once: Callable[[], object], images: int) -> Stage:
    def burst(least: float) -> Burst:
        times, began = 0, time.perf_counter()
        while (spent := time.perf_counter() - began) < least or not times:
            once()
            times += 1
        return Burst(images * times, spent)

    return Stage(name, INFERENCE, burst, once, images)


def _kept(one: Training, scratch: Path, least: float) -> Burst:
    """The whole state of a training written, as often as fits."""
    one.step()()
    path = scratch / "kept.safetensors"
    written, began = 0.0, time.perf_counter()
    while (spent := time.perf_counter() - began) < least or not written:
        checkpoints.save(path, one.trainee.modules, one.trainee.optimizers, {})
        written += path.stat().st_size / 1e6
    return Burst(written, spent)
