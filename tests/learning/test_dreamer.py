"""A scholar's dreams as the one that learns from them sees them."""

from __future__ import annotations

import torch

from scholars.learning.dreamer import Dreamer
from scholars.scholar import Scholar
from scholars.settings import ImageSettings
from scholars.training.batches import Batch


def dreamer(one: Scholar, outputs: list[int], conditions: list[int], weights: list[float] | None = None) -> Dreamer:
    told = torch.tensor(weights or [1.0] * len(conditions), dtype=torch.float64)
    return Dreamer(one, torch.tensor(outputs), torch.tensor(conditions), told)


def dreams(targets: list[list[float]], conditions: list[int], side: int = 8) -> Batch:
    count = len(targets)
    images = torch.arange(count, dtype=torch.uint8).reshape(-1, 1, 1, 1).expand(count, 1, side, side)
    return Batch(images.contiguous(), torch.tensor(targets), torch.tensor(conditions), torch.full((count,), 2.0))


SHAPE = ImageSettings(size=8, channels=1)


def test_outputs_and_conditions_are_those_of_the_new_scholar(one: Scholar) -> None:
    """Classes a, b, c here are outputs 2, 0 and 3 of five there; of the others nothing is said."""
    told = dreamer(one, [2, 0, 3], [4, 5, 6])
    found = told.translate(dreams([[0.5, 0.25, 0.25], [0, 1, 0]], [2, 0]), SHAPE, 5)
    assert found.targets.tolist() == [[0.25, 0, 0.5, 0.25, 0], [1, 0, 0, 0, 0]]
    assert found.conditions.tolist() == [6, 4]
    assert found.temperatures.tolist() == [2, 2]
    assert found.inputs[:, 0, 0, 0].tolist() == [0, 1]
    assert told.asked is None
    assert told.share == 3


def test_a_left_out_class_gives_its_probability_to_the_others(one: Scholar) -> None:
    """p(a, b, c) = (1/2, 1/4, 1/4) without c is (2/3, 1/3); and dreams that show c are none."""
    told = dreamer(one, [1, 0, -1], [0, 1, -1], [1, 1, 0])
    found = told.translate(dreams([[0.5, 0.25, 0.25], [0.3, 0.3, 0.4], [0.25, 0.5, 0.25]], [0, 1, 1]), SHAPE, 2)
    assert torch.allclose(found.targets, torch.tensor([[1 / 3, 2 / 3], [2 / 3, 1 / 3]]))
    assert found.inputs[:, 0, 0, 0].tolist() == [0, 2]
    assert found.conditions.tolist() == [0, 1]
    assert told.asked == [0, 1]
    assert told.share == 2


def test_what_was_asked_for_a_left_out_condition_is_left_out(one: Scholar) -> None:
    told = dreamer(one, [0, 1], [-1, 0])
    found = told.keep(dreams([[0.9, 0.1], [0.9, 0.1]], [0, 1]))
    assert found.inputs[:, 0, 0, 0].tolist() == [1]


def test_two_outputs_that_become_one_add_up(one: Scholar) -> None:
    found = dreamer(one, [0, 1, 0], [0, 1, 2]).translate(dreams([[0.25, 0.25, 0.5]], [0]), SHAPE, 2)
    assert found.targets.tolist() == [[0.75, 0.25]]


def test_images_are_brought_to_another_shape_and_features_are_not(one: Scholar) -> None:
    told = dreamer(one, [0, 1], [0, 1])
    found = told.translate(dreams([[1, 0]] * 3, [0] * 3, side=8), ImageSettings(size=16, channels=3), 2)
    assert found.inputs.shape == (3, 3, 16, 16)
    assert found.inputs.dtype == torch.uint8
    assert (found.inputs[2] == 2).all()
    features = Batch(torch.ones(2, 7), torch.eye(2), torch.tensor([0, 1]), torch.ones(2))
    assert torch.equal(told.translate(features, SHAPE, 2).inputs, torch.ones(2, 7))


def test_what_others_tell_too_is_drawn_less_often(one: Scholar) -> None:
    """Conditions 3 and 0 of the new scholar: the first is told of by two."""
    told = dreamer(one, [0, 1, 2], [3, 0, -1], [0.5, 1, 0])
    conditions = torch.tensor([3, 0, 0, 3])
    found = told.weigh(conditions, None)
    assert found is not None
    assert found.tolist() == [0.5, 1, 1, 0.5]
    found = told.weigh(conditions, torch.tensor([2.0, 4, 8, 16], dtype=torch.float64))
    assert found is not None
    assert found.tolist() == [1, 4, 8, 8]
    # All alike: as they were.
    assert dreamer(one, [0, 1], [3, 0], [0.5, 0.5]).weigh(conditions, None) is None
