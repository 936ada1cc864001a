"""scikit-learn's Digits as a task."""

from __future__ import annotations

import numpy as np

from scholars.tasks.digits import read_digits


def test_digits() -> None:
    task = read_digits()
    assert (len(task.train), len(task.test)) == (1437, 360)
    assert task.classes == tuple("0123456789")
    assert task.train.images.shape[1:] == (1, 8, 8)
    assert (task.train.images.min(), task.train.images.max()) == (0, 255)
    assert np.bincount(task.test.labels).min() >= 34  # 20 % of every class


def test_digits_are_split_the_same_way_every_time() -> None:
    first, again = read_digits(), read_digits()
    assert np.array_equal(first.test.images, again.test.images)
    assert np.array_equal(first.train.labels, again.train.labels)
