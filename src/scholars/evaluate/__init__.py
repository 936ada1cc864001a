"""Honest evaluation: accuracies are of real test parts only, never of training data or dreams.

What dreams look like beside real images (likeness.py) is no accuracy, and judges dreams alone.
"""

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
