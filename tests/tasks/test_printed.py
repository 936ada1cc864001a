"""Drawn printed digits."""

from __future__ import annotations

import numpy as np

from scholars.tasks.open import open_task
from scholars.tasks.printed import draw_printed


def test_a_smaller_task_is_the_beginning_of_a_larger_one() -> None:
    small, large = draw_printed(30, 10), draw_printed(600, 10)
    assert np.array_equal(small.train.images, large.train.images[:30])
    assert np.array_equal(small.test.images, large.test.images)
    assert not np.array_equal(small.train.images[:10], small.test.images)
    assert not np.array_equal(draw_printed(30, 10, seed=1).train.images, small.train.images)


def test_dark_on_light_grey_and_balanced() -> None:
    task = draw_printed(500, 500)
    assert task.train.images.shape == (500, 1, 28, 28)
    assert np.bincount(task.train.labels).tolist() == [50] * 10
    border, middle = task.train.images[..., 0, :].mean(), task.train.images[..., 8:20, 8:20].mean()
    assert border > 180
    assert middle < border - 30


def test_it_is_opened_by_name() -> None:
    task = open_task("printed")
    assert (len(task.train), len(task.test), task.classes) == (10_000, 2_000, tuple("0123456789"))
