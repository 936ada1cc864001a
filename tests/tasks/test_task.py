"""What a task refuses, and what its views of itself keep."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scholars.errors import InputError
from scholars.tasks.images import Images
from scholars.tasks.task import Task


def images(labels: list[int], channels: int = 1, height: int = 4, width: int = 4) -> Images:
    """Images that show their own place in the data set."""
    pixels = np.empty((len(labels), channels, height, width), dtype=np.uint8)
    pixels[:] = np.arange(len(labels)).reshape(-1, 1, 1, 1)
    return Images(pixels, np.array(labels, dtype=np.int64))


def task(train: list[int], test: list[int], classes: tuple[str, ...] = ("a", "b", "c", "d")) -> Task:
    return Task("letters", classes, images(train), images(test))


@pytest.mark.parametrize(
    ("pixels", "labels", "said"),
    [
        (np.zeros((2, 1, 4, 4)), np.zeros(2, dtype=np.int64), "uint8"),
        (np.zeros((2, 4, 4), dtype=np.uint8), np.zeros(2, dtype=np.int64), "N, C, H, W"),
        (np.zeros((2, 4, 4, 3), dtype=np.uint8), np.zeros(2, dtype=np.int64), "1 or 3 channels"),
        (np.zeros((2, 1, 4, 4), dtype=np.uint8), np.zeros(2), "int64"),
        (np.zeros((2, 1, 4, 4), dtype=np.uint8), np.zeros((2, 1), dtype=np.int64), "int64"),
        (np.zeros((2, 1, 4, 4), dtype=np.uint8), np.zeros(3, dtype=np.int64), "2 images but 3 labels"),
    ],
)
def test_images_refuse_other_arrays(pixels: np.ndarray, labels: np.ndarray, said: str) -> None:
    with pytest.raises(InputError, match=said):
        Images(pixels, labels)


@pytest.mark.parametrize(
    ("train", "test", "classes", "said"),
    [
        ([], [0], ("a",), "the train part holds no image"),
        ([0], [], ("a",), "the test part holds no image"),
        ([0, 1], [0], ("a",), "train labels reach from 0 to 1, but there are 1 classes"),
        ([0], [-1], ("a",), "test labels reach from -1"),
        ([0], [0], ("a", "a"), "repeat"),
    ],
)
def test_a_task_refuses(train: list[int], test: list[int], classes: tuple[str, ...], said: str) -> None:
    with pytest.raises(InputError, match=said):
        task(train, test, classes)


@given(st.lists(st.integers(0, 3), max_size=20), st.permutations("abcd"), st.integers(1, 4))
def test_only_keeps_every_image_of_the_classes_under_its_name(labels: list[int], order: list[str], count: int) -> None:
    whole = task([*labels, 0, 1, 2, 3], [0, 1, 2, 3])
    chosen = order[:count]
    part = whole.select_classes(chosen)
    assert part.classes == tuple(chosen)

    def shown(of: Task) -> list[tuple[int, str]]:
        pairs = zip(of.train.images[:, 0, 0, 0], of.train.labels, strict=True)
        return [(int(pixel), of.classes[label]) for pixel, label in pairs]

    assert shown(part) == [(pixel, name) for pixel, name in shown(whole) if name in chosen]
    assert len(part.test) == count


@pytest.mark.parametrize(
    ("classes", "said"), [(["e"], "no class 'e'"), (["a", "a"], "each class once"), ([], "got none")]
)
def test_only_refuses(classes: list[str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        task([0, 1], [0]).select_classes(classes)


def test_only_refuses_a_class_without_test_images() -> None:
    with pytest.raises(InputError, match="the test part holds no image"):
        task([0, 1], [0]).select_classes(["b"])


def test_limited_takes_the_same_images_every_time_and_leaves_the_test_part() -> None:
    whole = task([0, 1, 2, 3] * 10, [0, 1, 2, 3])
    first, again = whole.limited(12), whole.limited(12)
    assert np.array_equal(first.train.images, again.train.images)
    assert len(np.unique(first.train.images[:, 0, 0, 0])) == 12
    assert first.test is whole.test
    assert whole.limited(40) is whole


def test_validated_holds_out_a_share_of_each_class_and_never_shows_the_test_part() -> None:
    whole = task([0] * 40 + [1] * 10 + [2] * 2 + [3], [0, 1, 2, 3])
    held = whole.with_validation_split(0.1)
    assert np.bincount(held.test.labels, minlength=4).tolist() == [4, 1, 1, 0]
    assert np.bincount(held.train.labels, minlength=4).tolist() == [36, 9, 1, 1]
    places = [set(part.images[:, 0, 0, 0].tolist()) for part in (held.train, held.test)]
    assert places[0] | places[1] == set(range(53))
    assert not places[0] & places[1]
    for part in (held.train, held.test):
        assert [whole.train.labels[place] for place in part.images[:, 0, 0, 0]] == part.labels.tolist()
    assert np.array_equal(held.test.images, whole.with_validation_split(0.1).test.images)
    assert np.bincount(whole.with_validation_split(0.99).train.labels, minlength=4).tolist() == [1, 1, 1, 1]
    with pytest.raises(InputError, match="test part holds no image"):
        task([0, 1], [0, 1]).with_validation_split(0.5)


def test_inverted_swaps_dark_and_bright() -> None:
    images = Images(np.array([0, 100, 255], np.uint8).reshape(3, 1, 1, 1), np.array([0, 1, 0]))
    task = Task("t", ("a", "b"), images, images).inverted()
    assert task.train.images.ravel().tolist() == [255, 155, 0]
    assert task.test.labels.tolist() == [0, 1, 0]


def test_an_image_costs_what_it_costs_in_its_smallest_shape() -> None:
    grey = Images(np.zeros((4, 1, 8, 8), dtype=np.uint8), np.array([0, 1, 0, 1]))
    task = Task("t", ("a", "b"), grey, grey)
    assert task.image_bytes == 64
    large = task.resized(3, 32)
    assert (large.image_bytes, large.select_classes(("a",)).image_bytes, large.sampled(1, 0).image_bytes) == (
        64,
        64,
        64,
    )
    assert large.resized(1, 4).image_bytes == 16
