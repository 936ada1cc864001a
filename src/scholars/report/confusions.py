"""A scholar's mistakes, for a page: the confusion matrix, and the most confident wrong predictions."""

from collections.abc import Sequence
from dataclasses import dataclass

from scholars.evaluation.accuracy import Evaluation
from scholars.report.dream_grid import encode_row
from scholars.report.formatting import number, percent

# A table of more classes is not legible; their largest confusions are listed all the same.
_MAX_CLASSES = 26
_NUM_LARGEST = 8


@dataclass(frozen=True)
class Cell:
    """A cell of a matrix: its figure, and how strongly it is tinted, in [0, 1]."""

    text: str
    tint: float


@dataclass(frozen=True)
class Mistake:
    """One image, its true class, the class predicted for it, and the confidence."""

    uri: str
    truth: str
    predicted: str
    confidence: str


@dataclass(frozen=True)
class Confusions:
    """A row a class (None: too many for a table), the largest confusions in words, and the most confident mistakes."""

    classes: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...] | None
    largest: tuple[str, ...]
    mistakes: tuple[Mistake, ...]


def summarise_confusions(evaluation: Evaluation, classes: Sequence[str]) -> Confusions:
    """Summarise an evaluation: rows are true classes, columns predicted ones, figures shares of the row in percent."""
    shares = evaluation.confusion / evaluation.confusion.sum(1, keepdim=True).clamp_min(1)
    wrong = evaluation.confusion.clone().fill_diagonal_(0).flatten()
    largest = []
    for place in wrong.argsort(descending=True, stable=True)[:_NUM_LARGEST].tolist():
        truth, predicted = divmod(place, len(classes))
        if wrong[place]:
            share = percent(float(shares[truth, predicted]))
            largest.append(
                f"{classes[truth]} taken for {classes[predicted]}: {number(int(wrong[place]))} images, {share} %"
            )
    table = None
    if len(classes) <= _MAX_CLASSES:
        table = tuple(
            (name, tuple(Cell(percent(float(share)) if share else "", float(share)) for share in row))
            for name, row in zip(classes, shares, strict=True)
        )
    mistakes = tuple(
        Mistake(encode_row(image[None]), classes[int(truth)], classes[int(predicted)], percent(float(confidence), 0))
        for image, truth, predicted, confidence in zip(
            evaluation.images, evaluation.truth, evaluation.predicted, evaluation.confidence, strict=True
        )
    )
    return Confusions(tuple(classes), table, tuple(largest), mistakes)
