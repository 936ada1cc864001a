"""What continual learning is measured by, from an accuracy matrix.

``a[i][j]`` is the accuracy in [0, 1] on the test part of task j after task i was learned, j <= i; the last row is the
end. T is the number of tasks.
"""

from __future__ import annotations

from collections.abc import Sequence

Matrix = Sequence[Sequence[float]]


def average_accuracy(a: Matrix) -> float:
    """ACC = 1/T sum_j a[T][j] (Lopez-Paz & Ranzato 2017, eq. 2)."""
    return sum(a[-1]) / len(a[-1])


def forgetting(a: Matrix) -> float | None:
    """F = 1/(T-1) sum_{j<T} ( max_{l<T} a[l][j] - a[T][j] ) (Chaudhry et al. 2018, eq. 3); None for one row."""
    last = len(a) - 1
    if last < 1:
        return None
    return sum(max(a[i][j] for i in range(j, last)) - a[last][j] for j in range(last)) / last


def backward_transfer(a: Matrix) -> float | None:
    """BWT = 1/(T-1) sum_{j<T} ( a[T][j] - a[j][j] ) (Lopez-Paz & Ranzato 2017, eq. 3); None for one row."""
    last = len(a) - 1
    if last < 1:
        return None
    return sum(a[last][j] - a[j][j] for j in range(last)) / last


def gap_closed(method: float, naive: float, joint: float) -> float | None:
    """(method - naive) / (joint - naive), in average accuracy; None where there is no gap to close."""
    return (method - naive) / (joint - naive) if joint > naive else None
