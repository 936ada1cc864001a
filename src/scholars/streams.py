"""From a recipe to the tasks of its stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from scholars.compute import seed_of
from scholars.config import Recipe, SplitSpec
from scholars.errors import InputError
from scholars.tasks import Task, open_task


def open_stream(recipe: Recipe, seed: int, data_dir: str | Path | None = None) -> list[Task]:
    """Open the stream that ``recipe`` learns with ``seed``, in the recipe's image shape.

    Raises InputError, naming what is at fault.
    """
    tasks = _split(recipe, recipe.split, seed, data_dir) if recipe.split else _listed(recipe, data_dir)
    names = [task.name for task in tasks]
    if len(set(names)) != len(names):
        raise InputError(f"tasks need different names, got {', '.join(names)}: give them with 'name:'")
    for task in tasks:
        task.check_classes()
    if len(tasks[0].classes) < 2:
        raise InputError(f"task {names[0]!r} has one class only; the first task of a stream needs two or more")
    return [task.validated(recipe.validation) for task in tasks] if recipe.validation else tasks


def _listed(recipe: Recipe, data_dir: str | Path | None) -> list[Task]:
    tasks = []
    for spec in recipe.tasks:
        task = _opened(recipe, spec.source, spec.classes, data_dir)
        task = task.limited(spec.limit) if spec.limit else task
        task = task.inverted() if spec.invert else task
        task = task.rotated(spec.rotate) if spec.rotate else task
        task = task.permuted(spec.permute) if spec.permute is not None else task
        tasks.append(replace(task, name=spec.name or task.name))
    return tasks


def _split(recipe: Recipe, spec: SplitSpec, seed: int, data_dir: str | Path | None) -> list[Task]:
    whole = _opened(recipe, spec.source, None, data_dir)
    order = _order(spec, whole, seed)
    if spec.tasks > 1 and spec.tasks >= len(order):
        raise InputError(
            f"split.tasks={spec.tasks}: {len(order)} classes make at most {len(order) - 1} tasks; the first needs two"
        )
    # As even as it can be, the larger parts first.
    groups = [tuple(str(name) for name in part) for part in np.array_split(np.array(order), spec.tasks)]
    if recipe.scenario == "domain" and len({len(group) for group in groups}) > 1:
        raise InputError(
            f"scenario=domain needs as many classes in every task, and {len(order)} cannot be split into {spec.tasks} "
            "so: change split.tasks"
        )
    tasks = []
    for number, group in enumerate(groups, start=1):
        task = whole.only(group)
        if recipe.scenario == "domain":
            # The first class of every task is one class, the second another (van de Ven et al. 2022, table 1).
            task = replace(task, classes=tuple(str(place) for place in range(1, len(group) + 1)))
        named = f"part {number}" if spec.order == "seed" or len(group) > 3 else "+".join(group)
        tasks.append(replace(task, name=named))
    return tasks


def _order(spec: SplitSpec, whole: Task, seed: int) -> Sequence[str]:
    if spec.order == "source":
        return whole.classes
    if spec.order == "seed":
        shuffled = np.random.default_rng(seed_of(seed, "classes", 0)).permutation(len(whole.classes))
        return [whole.classes[place] for place in shuffled]
    return whole.only(spec.order).classes


def _opened(recipe: Recipe, source: str, classes: Sequence[str] | None, data_dir: str | Path | None) -> Task:
    shape = recipe.image
    task = open_task(source, data_dir=data_dir, classes=classes, size=shape.size, channels=shape.channels)
    return task.resized(shape.channels, shape.size)
