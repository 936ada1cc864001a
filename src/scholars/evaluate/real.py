"""What a scholar makes of real test data: how often it is right, and what it takes for what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from scholars.errors import InputError, nearest
from scholars.scholar import Scholar
from scholars.tasks.task import Task

# Mistakes kept of a task, those that the scholar was surest of: enough to fill a picture.
MISTAKES = 24


@dataclass(frozen=True)
class Judged:
    """A scholar on one task's real test part; classes are its outputs.

    confusion: ``[K, K]`` int64, how many images of class i (row) it took for class j (column)
    images: ``[M, C, H, W]`` uint8, the mistakes that it was surest of, the surest first
    truth, taken: ``[M]`` int64, what they show and what it took them for
    confidence: ``[M]`` float32, in [0, 1]
    """

    confusion: Tensor
    images: Tensor
    truth: Tensor
    taken: Tensor
    confidence: Tensor

    @property
    def accuracy(self) -> float:
        """The share of images named rightly, in [0, 1]."""
        return int(self.confusion.diagonal().sum()) / int(self.confusion.sum())

    def tensors(self) -> dict[str, Tensor]:
        """What is kept on disk."""
        return {name: getattr(self, name) for name in ("confusion", "images", "truth", "taken", "confidence")}


def judge(scholar: Scholar, task: Task, among: Sequence[str] | None = None) -> Judged:
    """Look at every image of the task's real test part; classes can be all that ``scholar`` knows.

    among: the only classes that are considered; the task's own, if learning is task-incremental

    Raises InputError if the task or ``among`` has a class that the scholar never learned.
    """
    for name in (*task.classes, *(among or ())):
        if name not in scholar.classes:
            raise InputError(
                f"task {task.name!r}: the scholar knows no class {name!r}. {nearest(name, scholar.classes)}"
            )
    shape, known = scholar.settings.image, len(scholar.classes)
    test = task.test.resized(shape.channels, shape.size)
    outputs = torch.tensor([scholar.classes.index(name) for name in task.classes])
    truth = outputs[torch.from_numpy(test.labels)]
    probabilities = scholar.probabilities(test.tensor)
    if among is not None:
        probabilities = scholar.only(probabilities, among)
    confidence, taken = probabilities.max(1)
    confusion = torch.bincount(truth * known + taken, minlength=known**2).reshape(known, known)
    wrong = (taken != truth).nonzero()[:, 0]
    worst = wrong[confidence[wrong].argsort(descending=True, stable=True)[:MISTAKES]]
    return Judged(confusion, test.tensor[worst].contiguous(), truth[worst], taken[worst], confidence[worst])


@dataclass(frozen=True)
class ClassScore:
    """How one class was named.

    accuracy: the share of its images that were named rightly, in [0, 1]
    mistaken_for: the class that most of the others were taken for; None if there are none
    """

    name: str
    accuracy: float
    images: int
    mistaken_for: str | None


def by_class(judged: Judged, classes: Sequence[str]) -> list[ClassScore]:
    """The scores of those classes that images were of, the worst first; ``classes`` are all that the scholar knows."""
    found = []
    for place, name in enumerate(classes):
        row = judged.confusion[place].clone()
        shown, right = int(row.sum()), int(row[place])
        row[place] = 0
        if shown:
            other = classes[int(row.argmax())] if shown > right else None
            found.append(ClassScore(name, right / shown, shown, other))
    return sorted(found, key=lambda score: score.accuracy)


def accuracy(scholar: Scholar, task: Task, among: Sequence[str] | None = None) -> float:
    """The share, in [0, 1], of the task's real test part that ``scholar`` names rightly; see `judge`."""
    return judge(scholar, task, among).accuracy


def together(judged: Sequence[Judged]) -> Judged:
    """Several tasks as one."""
    confidence = torch.cat([one.confidence for one in judged])
    surest = confidence.argsort(descending=True, stable=True)[:MISTAKES]
    images, truth, taken = (
        torch.cat([getattr(one, name) for one in judged])[surest] for name in ("images", "truth", "taken")
    )
    confusion = torch.stack([one.confusion for one in judged]).sum(0)
    return Judged(confusion, images, truth, taken, confidence[surest])
