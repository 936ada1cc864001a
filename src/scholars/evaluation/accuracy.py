"""Score a scholar on real test data: accuracy, confusion matrix, worst mistakes."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from scholars.errors import InputError, did_you_mean
from scholars.scholar import Scholar
from scholars.tasks.task import Task

# Mistakes kept of a task, the most confident ones: enough to fill a picture.
MAX_MISTAKES = 24


@dataclass(frozen=True)
class Evaluation:
    """A scholar's predictions on a task's real test part; classes are its K outputs.

    confusion: ``[K, K]`` int64, how many images of class i (row) were predicted as class j (column)
    images: ``[M, C, H, W]`` uint8, the most confident mistakes, the most confident first
    truth, predicted: ``[M]`` int64, their classes and what they were predicted as
    confidence: ``[M]`` float32, in [0, 1]
    """

    confusion: Tensor
    images: Tensor
    truth: Tensor
    predicted: Tensor
    confidence: Tensor

    @property
    def accuracy(self) -> float:
        """The share of images predicted rightly, in [0, 1]."""
        return int(self.confusion.diagonal().sum()) / int(self.confusion.sum())

    def tensors(self) -> dict[str, Tensor]:
        """Return what is kept on disk."""
        return {name: getattr(self, name) for name in ("confusion", "images", "truth", "predicted", "confidence")}


def evaluate(scholar: Scholar, task: Task, among: Sequence[str] | None = None) -> Evaluation:
    """Predict every image of the task's real test part; a prediction can be any class that ``scholar`` knows.

    among: the only classes that are considered: the task's own, where learning is task-incremental

    Raises InputError if the task or ``among`` has a class that the scholar never learned.
    """
    for name in (*task.classes, *(among or ())):
        if name not in scholar.classes:
            raise InputError(
                f"task {task.name!r}: the scholar knows no class {name!r}. {did_you_mean(name, scholar.classes)}"
            )
    known = len(scholar.classes)
    test = scholar.seen(task.test)
    outputs = torch.tensor([scholar.classes.index(name) for name in task.classes])
    truth = outputs[test.label_tensor]
    probabilities = scholar.probabilities(test.feature_tensor[:, 0] if scholar.backbone else test.tensor)
    if among is not None:
        probabilities = scholar.restrict_to(probabilities, among)
    confidence, predicted = probabilities.max(1)
    confusion = torch.bincount(truth * known + predicted, minlength=known**2).reshape(known, known)
    wrong = (predicted != truth).nonzero()[:, 0]
    worst = wrong[confidence[wrong].argsort(descending=True, stable=True)[:MAX_MISTAKES]]
    shown = scholar.pixels(test[worst.numpy()]).contiguous()
    return Evaluation(confusion, shown, truth[worst], predicted[worst], confidence[worst])


def accuracy(scholar: Scholar, task: Task, among: Sequence[str] | None = None) -> float:
    """Return the share, in [0, 1], of the task's real test part that ``scholar`` predicts rightly; see `evaluate`."""
    return evaluate(scholar, task, among).accuracy


def concat(evaluations: Sequence[Evaluation]) -> Evaluation:
    """Return the evaluations of several tasks as one."""
    confidence = torch.cat([each.confidence for each in evaluations])
    first = confidence.argsort(descending=True, stable=True)[:MAX_MISTAKES]
    images, truth, predicted = (
        torch.cat([getattr(each, name) for each in evaluations])[first] for name in ("images", "truth", "predicted")
    )
    confusion = torch.stack([each.confusion for each in evaluations]).sum(0)
    return Evaluation(confusion, images, truth, predicted, confidence[first])


@dataclass(frozen=True)
class ClassScore:
    """The score of one class.

    accuracy: the share of its images that were predicted rightly, in [0, 1]
    mistaken_for: the class that most of the others were predicted as; None if there are none
    """

    name: str
    accuracy: float
    images: int
    mistaken_for: str | None


def by_class(evaluation: Evaluation, classes: Sequence[str]) -> list[ClassScore]:
    """Return the scores of the classes that test images were of, the worst first; ``classes`` are the K outputs."""
    scores = []
    for output, name in enumerate(classes):
        row = evaluation.confusion[output].clone()
        images, right = int(row.sum()), int(row[output])
        row[output] = 0
        if images:
            mistaken_for = classes[int(row.argmax())] if images > right else None
            scores.append(ClassScore(name, right / images, images, mistaken_for))
    return sorted(scores, key=lambda score: score.accuracy)
