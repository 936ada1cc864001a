"""Whether a task's images are as often negatives as not."""

from __future__ import annotations

import numpy as np
import pytest

from scholars.learning.negatives import shows_negatives, told_from_negatives
from scholars.tasks.images import Images
from scholars.tasks.open import open_task
from scholars.tasks.printed import draw_printed
from scholars.tasks.street import draw_street


def test_drawn_house_numbers_are_and_others_are_not() -> None:
    assert shows_negatives(draw_street(1000, 1).train)
    assert not shows_negatives(draw_printed(500, 1).train)
    assert not shows_negatives(open_task("digits").train)


def test_images_made_negatives_at_random_are() -> None:
    digits = open_task("digits").train
    flip = np.random.default_rng(0).random(len(digits)) < 0.5
    mixed = np.where(flip[:, None, None, None], 255 - digits.images, digits.images)
    assert told_from_negatives(digits) > 0.95
    assert shows_negatives(Images(mixed, digits.labels))


@pytest.mark.parametrize("value", [0, 255])
def test_even_images_tell_nothing(value: int) -> None:
    even = Images(np.full((100, 1, 8, 8), value, np.uint8), np.zeros(100, np.int64))
    assert 0 <= told_from_negatives(even) <= 1


def test_of_few_images_nothing_is_said() -> None:
    few = draw_street(40, 1).train
    assert told_from_negatives(few) == 1
