"""Every measure against figures worked out by hand."""

from __future__ import annotations

import pytest

from scholars.evaluation.metrics import (
    average_accuracy,
    backward_transfer,
    forgetting,
    forward_transfer,
    gap_closed,
    interval,
    learning_accuracy,
    summary,
)

MATRIX = [[0.9], [0.5, 0.8], [0.6, 0.7, 0.95]]


def test_average_accuracy() -> None:
    assert average_accuracy(MATRIX) == pytest.approx((0.6 + 0.7 + 0.95) / 3)


def test_forgetting_compares_with_the_best_ever() -> None:
    assert forgetting(MATRIX) == pytest.approx(((0.9 - 0.6) + (0.8 - 0.7)) / 2)
    # Task 0 was best after task 1: that, not the first figure, is what was forgotten.
    assert forgetting([[0.5], [0.9, 0.8], [0.6, 0.8, 1.0]]) == pytest.approx((0.9 - 0.6) / 2)


def test_backward_transfer_compares_with_the_first_figure() -> None:
    assert backward_transfer(MATRIX) == pytest.approx(((0.6 - 0.9) + (0.7 - 0.8)) / 2)
    assert backward_transfer([[0.5], [0.9, 0.8]]) == pytest.approx(0.4)


def test_one_row_has_neither() -> None:
    assert forgetting([[0.9, 0.8]]) is None
    assert backward_transfer([[0.9, 0.8]]) is None


def test_gap_closed() -> None:
    assert gap_closed(0.9, 0.5, 1.0) == pytest.approx(0.8)
    assert gap_closed(0.9, 1.0, 1.0) is None


def test_learning_accuracy_is_that_of_the_diagonal() -> None:
    assert learning_accuracy(MATRIX) == pytest.approx((0.9 + 0.8 + 0.95) / 3)
    assert learning_accuracy([[0.9, 0.8]]) == pytest.approx(0.85)


def test_forward_transfer_compares_with_chance() -> None:
    assert forward_transfer([0.3, 0.5], [0.1, 0.25]) == pytest.approx(((0.3 - 0.1) + (0.5 - 0.25)) / 2)
    assert forward_transfer([None, 0.5], [0.1, 0.25]) == pytest.approx(0.25)
    assert forward_transfer([None], [0.5]) is None
    assert forward_transfer([], []) is None


def test_the_interval_by_a_table_of_t() -> None:
    """Three values with a standard deviation of 1; t of 97.5 % with two degrees of freedom is 4.303."""
    assert interval([1.0, 2.0, 3.0]) == pytest.approx(4.3027 / 3**0.5, abs=1e-3)
    assert interval([5.0]) is None


def test_a_gap_is_of_the_seeds_that_all_three_have() -> None:
    """Seed 1 has no naive run: of seed 0 alone, 0.8 is three quarters of the way from 0.2 to 1."""
    runs = [
        {"seed": seed, "method": method, "average_accuracy": value}
        for seed, method, value in [(0, "replay", 0.8), (1, "replay", 0.1), (0, "naive", 0.2), (0, "joint", 1.0)]
    ]
    found = summary([*runs, {"seed": 1, "method": "er", "average_accuracy": 0.9}])
    assert found["replay"]["gap_closed"] == pytest.approx(0.75)
    assert found["replay"]["average_accuracy"]["n"] == 2
    assert found["er"]["gap_closed"] is None
