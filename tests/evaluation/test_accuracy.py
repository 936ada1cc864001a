from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from scholars.errors import InputError
from scholars.evaluation.accuracy import (
    MAX_MISTAKES,
    ClassScore,
    Evaluation,
    accuracy,
    bin_confidences,
    by_class,
    concat,
    evaluate,
)
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


def counted(confusion: list[list[int]]) -> Evaluation:
    none = torch.zeros(0)
    return Evaluation(torch.tensor(confusion), none, none, none, none)


def test_the_mean_over_classes_counts_a_small_class_as_much_as_a_large_one() -> None:
    """99 of 100, 80 of 100, and 1 of 4: the small class is a third of the mean, and 2 % of the images."""
    found = counted([[99, 1, 0], [20, 80, 0], [3, 0, 1]])
    assert found.accuracy == 180 / 204
    assert found.mean_class_accuracy == pytest.approx((0.99 + 0.80 + 0.25) / 3, abs=1e-12)
    assert found.is_uneven


def test_the_mean_is_over_classes_that_were_shown() -> None:
    found = counted([[3, 1, 0], [0, 0, 0], [2, 0, 2]])
    assert found.mean_class_accuracy == found.accuracy == 5 / 8
    assert not found.is_uneven


def calibration(confidence: list[float], right: list[bool]) -> float | None:
    reliability = bin_confidences(torch.tensor(confidence, dtype=torch.float64), torch.tensor(right))
    return replace(counted([[1]]), reliability=reliability).calibration_error


def test_the_calibration_error_by_hand() -> None:
    """Bins of 1/15: three in (9/15, 10/15], of which one is right; one in (14/15, 1], right; one in (1/15, 2/15]."""
    error = calibration([0.61, 0.64, 0.66, 0.98, 0.10], [True, False, False, True, False])
    gaps = [3 * abs(1 / 3 - (0.61 + 0.64 + 0.66) / 3), 1 * abs(1 - 0.98), 1 * abs(0 - 0.10)]
    assert error == pytest.approx(sum(gaps) / 5, abs=1e-12)


@pytest.mark.parametrize(
    ("confidence", "right", "error"),
    [
        ([1.0, 1.0], [True, True], 0.0),
        ([1.0, 1.0], [False, False], 1.0),
        ([0.5, 0.5], [True, False], 0.0),
        ([0.0], [True], 1.0),
        # One bin: the gaps of its images cancel. In two bins they do not.
        ([0.55, 0.59], [True, False], 0.07),
        ([0.55, 0.65], [True, False], 0.55),
        # The upper end belongs to a bin: 0.2 = 3/15 is with 0.15, and not with 0.25.
        ([0.2, 0.15], [True, False], (1 - 0.35) / 2),
    ],
)
def test_calibration_errors(confidence: list[float], right: list[bool], error: float) -> None:
    assert calibration(confidence, right) == pytest.approx(error, abs=1e-12)


def test_the_calibration_error_of_a_scholar(two: Scholar, low: Task, high: Task) -> None:
    images = low.resized(1, 16).test.tensor
    proba = two.predict_proba(images)
    right = proba.argmax(1) == np.array([two.classes.index(low.classes[label]) for label in low.test.labels])
    gaps = 0.0
    for bottom in np.arange(15) / 15:
        inside = (proba.max(1) > bottom) & (proba.max(1) <= bottom + 1 / 15)
        gaps += abs(float(right[inside].sum()) - float(proba.max(1)[inside].sum()))
    found = evaluate(two, low)
    assert found.calibration_error == pytest.approx(gaps / len(images), abs=1e-6)
    # Of two tasks together: the bins are joined before gaps are taken.
    both = concat([found, evaluate(two, high)])
    assert both.reliability is not None
    assert both.reliability[:, 0].sum() == len(low.test) + len(high.test)
    # A run keeps what its report needs, and that is not calibration.
    kept = Evaluation(**both.tensors())
    assert kept.calibration_error is None
    assert concat([found, kept]).calibration_error is None
