"""Metrics of continual learning, computed from an accuracy matrix.

``a[i][j]`` is the accuracy in [0, 1] on the test part of task j after task i was learned, j <= i; the last row is the
end. T is the number of tasks.
"""

from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

from scipy.special import stdtrit

Matrix = Sequence[Sequence[float]]


def average_accuracy(a: Matrix) -> float:
    """Return ACC = 1/T sum_j a[T][j] (Lopez-Paz & Ranzato 2017, eq. 2)."""
    return sum(a[-1]) / len(a[-1])


def forgetting(a: Matrix) -> float | None:
    """Return F = 1/(T-1) sum_{j<T} ( max_{j<=l<T} a[l][j] - a[T][j] ) (Chaudhry et al. 2018, eq. 3); None for one row.

    The paper's l begins at 1. What was not learned yet is not forgotten, and is not measured.
    """
    last = len(a) - 1
    if last < 1:
        return None
    return sum(max(a[i][j] for i in range(j, last)) - a[last][j] for j in range(last)) / last


def backward_transfer(a: Matrix) -> float | None:
    """Return BWT = 1/(T-1) sum_{j<T} ( a[T][j] - a[j][j] ) (Lopez-Paz & Ranzato 2017, eq. 3); None for one row."""
    last = len(a) - 1
    if last < 1:
        return None
    return sum(a[last][j] - a[j][j] for j in range(last)) / last


def learning_accuracy(a: Matrix) -> float:
    """Return LA = 1/T sum_j a[j][j], right after each task (Riemer et al. 2019, section 4); of one row its mean."""
    return sum(row[-1] for row in a) / len(a) if len(a) > 1 else average_accuracy(a)


def forward_transfer(ahead: Sequence[float | None], chance: Sequence[float]) -> float | None:
    """Return FWT, the mean over tasks j > 1 of a[j-1][j] - b[j] (after Lopez-Paz & Ranzato 2017, eq. 4).

    ahead: a[j-1][j], the accuracy on each task but the first just before it was learned; None where a class was
        unknown, and the mean is of the others
    chance: b[j], what guessing gives there; the paper's is the accuracy of a network with random weights

    None where no task could be tried before it was learned.
    """
    gains = [before - guess for before, guess in zip(ahead, chance, strict=True) if before is not None]
    return sum(gains) / len(gains) if gains else None


def interval(values: Sequence[float]) -> float | None:
    """Return half the width of the 95 % interval of the mean, by Student's t; None for a single value."""
    n = len(values)
    return float(stdtrit(n - 1, 0.975)) * stdev(values) / n**0.5 if n > 1 else None


def gap_closed(method: float, naive: float, joint: float) -> float | None:
    """Return (method - naive) / (joint - naive), in average accuracy; None where there is no gap to close."""
    return (method - naive) / (joint - naive) if joint > naive else None


def summary(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return for each method mean, sample standard deviation, number and 95 % interval of its average accuracies.

    And the gap closed, over the seeds that the method has in common with both brackets.
    """
    accuracies: dict[str, dict[int, float]] = {}
    for entry in runs:
        accuracies.setdefault(entry["method"], {})[entry["seed"]] = entry["average_accuracy"]

    def gap(method: str) -> float | None:
        three = [accuracies.get(name, {}) for name in (method, "naive", "joint")]
        common = set.intersection(*map(set, three))
        return gap_closed(*(fmean(found[seed] for seed in common) for found in three)) if common else None

    return {
        method: {
            "average_accuracy": {
                "mean": fmean(found.values()),
                "std": stdev(found.values()) if len(found) > 1 else 0.0,
                "n": len(found),
                "interval": interval(list(found.values())),
            },
            "gap_closed": gap(method),
        }
        for method, found in accuracies.items()
    }
