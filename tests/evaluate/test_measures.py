"""Every measure against figures worked out by hand."""

from __future__ import annotations

import pytest

from scholars.evaluate import average_accuracy, backward_transfer, forgetting, gap_closed

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
