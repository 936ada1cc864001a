"""Mistakes, for a page: what was taken for what, and the images that the scholar was surest and wrong about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scholars.evaluate import Judged
from scholars.report.memory import picture
from scholars.report.words import number, percent

# A table of more classes is not legible; their largest confusions are listed all the same.
_MOST_CLASSES = 26
_LARGEST = 8


@dataclass(frozen=True)
class Cell:
    """A cell of a matrix: its figure, and how strongly it is tinted, in [0, 1]."""

    text: str
    tint: float


@dataclass(frozen=True)
class Mistake:
    """One image, what it shows, what it was taken for and how surely."""

    uri: str
    truth: str
    taken: str
    confidence: str


@dataclass(frozen=True)
class Confusions:
    """For the template: a row a class (None: too many for a table), the largest in words, and the worst images."""

    classes: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...] | None
    largest: tuple[str, ...]
    mistakes: tuple[Mistake, ...]


def confusions(judged: Judged, classes: Sequence[str]) -> Confusions:
    """Rows are what images show, columns what they were taken for; shares of the row in percent."""
    shares = judged.confusion / judged.confusion.sum(1, keepdim=True).clamp_min(1)
    wrong = judged.confusion.clone().fill_diagonal_(0).flatten()
    largest = []
    for place in wrong.argsort(descending=True, stable=True)[:_LARGEST].tolist():
        truth, taken = divmod(place, len(classes))
        if wrong[place]:
            share = percent(float(shares[truth, taken]))
            largest.append(
                f"{classes[truth]} taken for {classes[taken]}: {number(int(wrong[place]))} images, {share} %"
            )
    table = None
    if len(classes) <= _MOST_CLASSES:
        table = tuple(
            (name, tuple(Cell(percent(float(share)) if share else "", float(share)) for share in row))
            for name, row in zip(classes, shares, strict=True)
        )
    mistakes = tuple(
        Mistake(picture(image[None]), classes[int(truth)], classes[int(taken)], percent(float(confidence), 0))
        for image, truth, taken, confidence in zip(
            judged.images, judged.truth, judged.taken, judged.confidence, strict=True
        )
    )
    return Confusions(tuple(classes), table, tuple(largest), mistakes)
