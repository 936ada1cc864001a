"""Honest evaluation: on real test parts only, never on training data or dreams."""

from scholars.evaluate.measures import (
    average_accuracy,
    backward_transfer,
    forgetting,
    forward_transfer,
    gap_closed,
    interval,
    learning_accuracy,
    summary,
)
from scholars.evaluate.real import ClassScore, Judged, accuracy, by_class, judge, together

__all__ = [
    "ClassScore",
    "Judged",
    "accuracy",
    "average_accuracy",
    "backward_transfer",
    "by_class",
    "forgetting",
    "forward_transfer",
    "gap_closed",
    "interval",
    "judge",
    "learning_accuracy",
    "summary",
    "together",
]
