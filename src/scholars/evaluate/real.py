"""Accuracy on real test data."""

from __future__ import annotations

import torch

from scholars.errors import InputError, nearest
from scholars.scholar import Scholar
from scholars.tasks.task import Task


def accuracy(scholar: Scholar, task: Task, among: str | None = None) -> float:
    """The share, in [0, 1], of the task's real test part that ``scholar`` names rightly among all classes it knows.

    among: a learned task, only whose classes are considered (task-incremental)

    Raises InputError if the task has a class that the scholar never learned.
    """
    for name in task.classes:
        if name not in scholar.classes:
            raise InputError(
                f"task {task.name!r}: the scholar knows no class {name!r}. {nearest(name, scholar.classes)}"
            )
    shape = scholar.settings.image
    test = task.resized(shape.channels, shape.size).test
    outputs = torch.tensor([scholar.classes.index(name) for name in task.classes])
    predicted = scholar.among(scholar.probabilities(test.tensor), among).argmax(1)
    return float((predicted == outputs[torch.from_numpy(test.labels)]).float().mean())
