from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from scholars.errors import InputError
from scholars.evaluate import ClassScore, accuracy, by_class, judge, together
from scholars.evaluate.real import MISTAKES, Judged
from scholars.scholar import Scholar
from scholars.tasks import Task


def test_judging_agrees_with_predicting(two: Scholar, low: Task) -> None:
    names = np.array(two.predict(low.resized(1, 16).test.tensor))
    truth = np.array(low.classes)[low.test.labels]
    found = judge(two, low)
    assert found.accuracy == accuracy(two, low) == float((names == truth).mean())
    assert found.confusion.shape == (10, 10)
    for shown, taken in ((0, 0), (1, 4), (3, 8)):
        both = (truth == two.classes[shown]) & (names == two.classes[taken])
        assert found.confusion[shown, taken] == both.sum()


def test_the_mistakes_are_those_it_was_surest_of(one: Scholar, low: Task) -> None:
    """Labels turned by one: nearly everything is a mistake now."""
    turned = replace(low, test=replace(low.test, labels=(low.test.labels + 1) % 5))
    found = judge(one, turned)
    assert len(found.images) == MISTAKES
    assert torch.equal(found.confidence, found.confidence.sort(descending=True).values)
    assert bool((found.truth != found.taken).all())
    assert np.array(one.predict(found.images)).tolist() == [one.classes[i] for i in found.taken.tolist()]


def test_several_tasks_are_judged_together(two: Scholar, low: Task, high: Task) -> None:
    first, second = judge(two, low), judge(two, high)
    both = together([first, second])
    assert torch.equal(both.confusion, first.confusion + second.confusion)
    confidence = torch.cat([first.confidence, second.confidence]).sort(descending=True).values
    assert torch.equal(both.confidence, confidence[:MISTAKES])
    # And every picture keeps what was said of it.
    assert rows(both) <= rows(first) | rows(second)


def rows(judged: Judged) -> set[tuple[bytes, int, int, float]]:
    parts = zip(judged.images, judged.truth, judged.taken, judged.confidence, strict=True)
    return {(image.numpy().tobytes(), int(truth), int(taken), float(sure)) for image, truth, taken, sure in parts}


def test_the_worst_class_comes_first_with_what_it_is_taken_for() -> None:
    confusion = torch.tensor([[4, 0, 0], [1, 1, 2], [0, 0, 0]])
    none = torch.zeros(0)
    judged = Judged(confusion, none, none, none, none)
    assert by_class(judged, ("a", "b", "c")) == [ClassScore("b", 0.25, 4, "c"), ClassScore("a", 1.0, 4, None)]


def test_among_some_classes(two: Scholar, low: Task, high: Task) -> None:
    assert judge(two, low, among=high.classes).confusion[:, :5].sum() == 0
    assert judge(two, low, among=low.classes).confusion[:, 5:].sum() == 0
    assert judge(two, low, among=low.classes).accuracy >= judge(two, low).accuracy
    with pytest.raises(InputError, match="knows no class 'digits'"):
        judge(two, low, among=["digits"])


def test_a_class_that_was_never_learned(one: Scholar, high: Task) -> None:
    with pytest.raises(InputError, match="knows no class '5'"):
        judge(one, high)
