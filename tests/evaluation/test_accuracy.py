from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from scholars.errors import InputError
from scholars.evaluation.accuracy import MAX_MISTAKES, ClassScore, Evaluation, accuracy, by_class, concat, evaluate
from scholars.scholar import Scholar
from scholars.tasks.task import Task


def test_evaluating_agrees_with_predicting(two: Scholar, low: Task) -> None:
    names = np.array(two.predict(low.resized(1, 16).test.tensor))
    truth = np.array(low.classes)[low.test.labels]
    found = evaluate(two, low)
    assert found.accuracy == accuracy(two, low) == float((names == truth).mean())
    assert found.confusion.shape == (10, 10)
    for shown, predicted in ((0, 0), (1, 4), (3, 8)):
        both = (truth == two.classes[shown]) & (names == two.classes[predicted])
        assert found.confusion[shown, predicted] == both.sum()


def test_the_mistakes_are_those_it_was_surest_of(one: Scholar, low: Task) -> None:
    """Labels turned by one: nearly everything is a mistake now."""
    turned = replace(low, test=replace(low.test, labels=(low.test.labels + 1) % 5))
    found = evaluate(one, turned)
    assert len(found.images) == MAX_MISTAKES
    assert torch.equal(found.confidence, found.confidence.sort(descending=True).values)
    assert bool((found.truth != found.predicted).all())
    assert np.array(one.predict(found.images)).tolist() == [one.classes[i] for i in found.predicted.tolist()]


def test_evaluations_of_several_tasks_are_joined(two: Scholar, low: Task, high: Task) -> None:
    first, second = evaluate(two, low), evaluate(two, high)
    both = concat([first, second])
    assert torch.equal(both.confusion, first.confusion + second.confusion)
    confidence = torch.cat([first.confidence, second.confidence]).sort(descending=True).values
    assert torch.equal(both.confidence, confidence[:MAX_MISTAKES])
    # And every picture keeps what was said of it.
    assert rows(both) <= rows(first) | rows(second)


def rows(evaluation: Evaluation) -> set[tuple[bytes, int, int, float]]:
    parts = zip(evaluation.images, evaluation.truth, evaluation.predicted, evaluation.confidence, strict=True)
    return {
        (image.numpy().tobytes(), int(truth), int(predicted), float(sure)) for image, truth, predicted, sure in parts
    }


def test_the_worst_class_comes_first_with_what_it_is_taken_for() -> None:
    confusion = torch.tensor([[4, 0, 0], [1, 1, 2], [0, 0, 0]])
    none = torch.zeros(0)
    evaluation = Evaluation(confusion, none, none, none, none)
    assert by_class(evaluation, ("a", "b", "c")) == [ClassScore("b", 0.25, 4, "c"), ClassScore("a", 1.0, 4, None)]


def test_among_some_classes(two: Scholar, low: Task, high: Task) -> None:
    assert evaluate(two, low, among=high.classes).confusion[:, :5].sum() == 0
    assert evaluate(two, low, among=low.classes).confusion[:, 5:].sum() == 0
    assert evaluate(two, low, among=low.classes).accuracy >= evaluate(two, low).accuracy
    with pytest.raises(InputError, match="knows no class 'digits'"):
        evaluate(two, low, among=["digits"])


def test_a_class_that_was_never_learned(one: Scholar, high: Task) -> None:
    with pytest.raises(InputError, match="knows no class '5'"):
        evaluate(one, high)
