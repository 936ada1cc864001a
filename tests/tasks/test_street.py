"""The task that the project draws itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from scholars.tasks.street import draw_street
from scholars.tasks.task import Task


@pytest.fixture(scope="module")
def task() -> Task:
    return draw_street(train=1000, test=300)


def test_shapes_types_and_names(task: Task) -> None:
    assert task.name == "street"
    assert task.classes == tuple("0123456789")
    assert task.train.images.shape == (1000, 3, 32, 32)
    assert task.test.images.shape == (300, 3, 32, 32)
    assert task.train.images.dtype == np.uint8
    assert task.train.labels.dtype == np.int64


def test_the_classes_are_balanced_and_in_random_order(task: Task) -> None:
    assert np.bincount(task.train.labels).tolist() == [100] * 10
    assert np.bincount(task.test.labels, minlength=10).min() > 10
    assert (task.train.labels[:500] != task.train.labels[500:]).mean() > 0.8


def test_the_same_seed_draws_the_same_and_leaves_torch_alone(task: Task) -> None:
    state = torch.get_rng_state()
    again = draw_street(train=1000, test=300)
    assert torch.equal(torch.get_rng_state(), state)
    for ours, theirs in ((task.train, again.train), (task.test, again.test)):
        np.testing.assert_array_equal(ours.images, theirs.images)
        np.testing.assert_array_equal(ours.labels, theirs.labels)


@pytest.mark.parametrize("count", [1, 17, 501])
def test_fewer_images_are_the_first_ones_of_more(task: Task, count: int) -> None:
    fewer = draw_street(train=count, test=1)
    np.testing.assert_array_equal(fewer.train.images, task.train.images[:count])
    np.testing.assert_array_equal(fewer.train.labels, task.train.labels[:count])


def test_another_seed_draws_other_images(task: Task) -> None:
    other = draw_street(train=100, test=1, seed=1)
    assert (other.train.images != task.train.images[:100]).any(axis=(1, 2, 3)).all()
    assert (other.train.labels != task.train.labels[:100]).any()


def test_no_image_is_drawn_twice_in_or_between_the_parts(task: Task) -> None:
    everything = np.concatenate([task.train.images, task.test.images])
    assert len({image.tobytes() for image in everything}) == len(everything)


def test_every_image_has_contrast_and_the_set_has_colour_and_both_polarities(task: Task) -> None:
    images = task.train.images.astype(np.float64)
    grey = images.mean(axis=1)
    assert grey.std(axis=(1, 2)).min() > 2
    assert (images.max(axis=1) - images.min(axis=1)).mean() > 5
    # A "1" fills the middle column: on half the images darker than the columns at the image's edge, else lighter.
    ones = grey[task.train.labels == 1]
    darker = (ones[:, 12:20, 15:17].mean(axis=(1, 2)) < ones[:, 12:20, [4, 27]].mean(axis=(1, 2))).mean()
    assert 0.25 < darker < 0.75


def test_the_labelled_digit_is_visible(task: Task) -> None:
    def edges(images: np.ndarray) -> np.ndarray:
        """Strength of the edges, which is the same for light digits on dark and dark ones on light; ``[N, D]``."""
        grey = images.mean(axis=1)
        across, down = np.abs(np.diff(grey, axis=2))[:, 1:], np.abs(np.diff(grey, axis=1))[:, :, 1:]
        both = np.stack([across, down], axis=1)[:, :, :30, :30]
        blocks = both.reshape(len(images), 2, 10, 3, 10, 3).mean(axis=(3, 5)).reshape(len(images), -1)
        return np.asarray(blocks / blocks.sum(axis=1, keepdims=True) * blocks.shape[1])

    model = LogisticRegression(C=0.1, max_iter=200).fit(edges(task.train.images), task.train.labels)
    right = model.score(edges(task.test.images), task.test.labels)
    assert right > 0.35  # chance is 0.1


@pytest.mark.parametrize("label", range(10))
def test_every_glyph_of_a_digit_is_one_of_its_kind(label: int) -> None:
    """A font without this digit, or with a box in its place, would be far from all the others."""
    from scholars.tasks.glyphs import glyph_atlas

    masks, widths = glyph_atlas()
    assert widths.min() > 0.1
    assert widths.max() < 1  # no digit is cut by its cell
    flat = torch.nn.functional.avg_pool2d(masks, 6).flatten(2)
    flat = flat / flat.norm(dim=2, keepdim=True)
    assert (flat[:, label] @ flat[:, label].mean(0) / flat[:, label].mean(0).norm()).min() > 0.75
