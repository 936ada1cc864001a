"""Open the tasks of a recipe's stream."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from scholars.compute.device import derive_seed
from scholars.errors import InputError
from scholars.experiments.recipe import Recipe, SplitSpec, TaskSpec
from scholars.tasks import transforms
from scholars.tasks.open import open_task
from scholars.tasks.task import Task


def open_stream(recipe: Recipe, seed: int, data_dir: str | Path | None = None) -> list[Task]:
    """Return the tasks of ``recipe`` in the order in which ``seed`` learns them, in the recipe's image shape.

    For a backbone, images in files are not decoded yet.

    Raises InputError for tasks that cannot be opened or do not fit together.
    """
    tasks = _open_split(recipe, recipe.split, seed, data_dir) if recipe.split else _open_listed(recipe, data_dir)
    names = [task.name for task in tasks]
    if len(set(names)) != len(names):
        raise InputError(f"tasks need different names, got {', '.join(names)}: name them with 'name:'")
    for task in tasks:
        task.check_classes()
        if not len(task.test):
            raise InputError(f"task {task.name!r} has no test image: an experiment scores every task")
    if len(tasks[0].classes) < 2 and not recipe.backbone:
        raise InputError(f"task {names[0]!r} has one class only; the first task of a stream needs two or more")
    return [task.with_validation_split(recipe.validation) for task in tasks] if recipe.validation else tasks


def _open_listed(recipe: Recipe, data_dir: str | Path | None) -> list[Task]:
    tasks = []
    for spec in recipe.tasks:
        task = _open_source(recipe, spec, spec.classes, data_dir)
        task = task.limited(spec.limit) if spec.limit else task
        task = task.inverted() if spec.invert else task
        task = task.transformed(transforms.grey()) if spec.grey else task
        task = task.transformed(transforms.edges()) if spec.edges else task
        task = task.transformed(transforms.blur(spec.blur)) if spec.blur else task
        task = task.rotated(spec.rotate) if spec.rotate else task
        task = task.permuted(spec.permute) if spec.permute is not None else task
        tasks.append(replace(task, name=spec.name or task.name))
    return tasks


def _open_split(recipe: Recipe, spec: SplitSpec, seed: int, data_dir: str | Path | None) -> list[Task]:
    whole = _open_source(recipe, spec, None, data_dir)
    order = _class_order(spec, whole, seed)
    if spec.tasks > 1 and spec.tasks >= len(order):
        raise InputError(
            f"split.tasks={spec.tasks}: {len(order)} classes make at most {len(order) - 1} tasks; the first needs two"
        )
    # As evenly as possible, the larger parts first.
    groups = [tuple(str(name) for name in part) for part in np.array_split(np.array(order), spec.tasks)]
    if recipe.scenario == "domain" and len({len(group) for group in groups}) > 1:
        raise InputError(
            f"scenario=domain needs the same number of classes in every task, and {len(order)} classes cannot be split "
            f"evenly into {spec.tasks}: change split.tasks"
        )
    tasks = []
    for number, group in enumerate(groups, start=1):
        task = whole.select_classes(group)
        if recipe.scenario == "domain":
            # The first classes of all tasks are one class, the second ones another (van de Ven et al. 2022, table 1).
            task = replace(task, classes=tuple(str(rank) for rank in range(1, len(group) + 1)))
        name = f"part {number}" if spec.order == "seed" or len(group) > 3 else "+".join(group)
        tasks.append(replace(task, name=name))
    return tasks


def _class_order(spec: SplitSpec, whole: Task, seed: int) -> Sequence[str]:
    if spec.order == "source":
        return whole.classes
    if spec.order == "seed":
        shuffled = np.random.default_rng(derive_seed(seed, "classes", 0)).permutation(len(whole.classes))
        return [whole.classes[index] for index in shuffled]
    return whole.select_classes(spec.order).classes


def _open_source(
    recipe: Recipe, spec: TaskSpec | SplitSpec, classes: Sequence[str] | None, data_dir: str | Path | None
) -> Task:
    image = None if recipe.backbone else recipe.image  # a backbone looks at the files
    task = open_task(
        spec.source,
        data_dir=data_dir,
        classes=classes,
        size=image.size if image else None,
        channels=image.channels if image else None,
        fit=recipe.image.fit,
        decode=image is not None,
        follow_links=spec.follow_links,
    )
    return task.resized(image.channels, image.size, image.fit) if image else task
