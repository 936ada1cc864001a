"""Score a scholar on real test data: accuracy, calibration, confusion matrix, worst mistakes."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from scholars.errors import InputError, did_you_mean
from scholars.scholar import Scholar
from scholars.tasks.task import Task

# Mistakes kept of a task, the most confident ones: enough to fill a picture.
MAX_MISTAKES = 24
# M, the number of bins of a calibration error: that of Guo et al. 2017, section 5.
NUM_BINS = 15


@dataclass(frozen=True)
class Evaluation:
    """A scholar's predictions on a task's real test part; classes are its K outputs.

    confusion: ``[K, K]`` int64, how many images of class i (row) were predicted as class j (column)
    images: ``[M, C, H, W]`` uint8, the most confident mistakes, the most confident first
    truth, predicted: ``[M]`` int64, their classes and what they were predicted as
    confidence: ``[M]`` float32, in [0, 1]
    reliability: ``[15, 3]`` float64, what `bin_confidences` returns of all images; None where it was not kept
    """

    confusion: Tensor
    images: Tensor
    truth: Tensor
    predicted: Tensor
    confidence: Tensor
    reliability: Tensor | None = None

    @property
    def accuracy(self) -> float:
        """The share of images predicted rightly, in [0, 1]."""
        return int(self.confusion.diagonal().sum()) / int(self.confusion.sum())

    @property
    def mean_class_accuracy(self) -> float:
        """The mean over classes of the share of each class's images predicted rightly, in [0, 1].

        Of the classes that images are of; also called balanced accuracy (Brodersen et al. 2010) and macro recall. It is
        the accuracy where every class has as many images as any other.
        """
        images, right = self.confusion.sum(1), self.confusion.diagonal()
        shown = images > 0
        return float((right[shown].double() / images[shown]).mean())

    @property
    def is_uneven(self) -> bool:
        """True if classes have different numbers of images: only then `mean_class_accuracy` is another figure."""
        return len(set(self.confusion.sum(1).tolist()) - {0}) > 1

    @property
    def calibration_error(self) -> float | None:
        """The mean over images of how far confidence is from accuracy, in [0, 1]; None where it was not kept.

        ECE = sum_m |B_m| / n |acc(B_m) - conf(B_m)|, of 15 equal bins B_m of the confidence, which is the probability
        of the predicted class (Guo et al. 2017, arXiv 1706.04599, eq. 3).
        """
        if self.reliability is None:
            return None
        images, right, confidence = self.reliability.unbind(1)
        return float((right - confidence).abs().sum() / images.sum())

    def tensors(self) -> dict[str, Tensor]:
        """Return what is kept on disk."""
        return {name: getattr(self, name) for name in ("confusion", "images", "truth", "predicted", "confidence")}


def evaluate(scholar: Scholar, task: Task, among: Sequence[str] | None = None) -> Evaluation:
    """Predict every image of the task's real test part; a prediction can be any class that ``scholar`` knows.

    among: the only classes that are considered: the task's own, where learning is task-incremental

    Raises InputError if the task or ``among`` has a class that the scholar never learned.
    """
    check_known(scholar, task, among or ())
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
    reliability = bin_confidences(confidence, predicted == truth)
    return Evaluation(confusion, shown, truth[worst], predicted[worst], confidence[worst], reliability)


def check_known(scholar: Scholar, task: Task, among: Sequence[str] = ()) -> None:
    """Raise InputError for a class of a task that the scholar never learned."""
    for name in (*task.classes, *among):
        if name not in scholar.classes:
            raise InputError(
                f"task {task.name!r}: the scholar knows no class {name!r}. {did_you_mean(name, scholar.classes)}"
            )


def bin_confidences(confidence: Tensor, right: Tensor) -> Tensor:
    """Return for each of 15 equal bins of confidence: images, those predicted rightly, and the sum of confidences.

    Bin m of M is ((m - 1) / M, m / M], and 0 is in the first (Guo et al. 2017, section 2).

    confidence: ``[N]`` in [0, 1]; right: ``[N]`` bool; returned: ``[15, 3]`` float64
    """
    sure = confidence.double()
    bins = ((sure * NUM_BINS).ceil().long() - 1).clamp(0, NUM_BINS - 1)
    rows = torch.stack([torch.ones_like(sure), right.double(), sure], dim=1)
    return torch.zeros(NUM_BINS, 3, dtype=torch.float64).index_add_(0, bins, rows)


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
    kept = [each.reliability for each in evaluations if each.reliability is not None]
    reliability = torch.stack(kept).sum(0) if len(kept) == len(evaluations) else None
    return Evaluation(confusion, images, truth, predicted, confidence[first], reliability)


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
