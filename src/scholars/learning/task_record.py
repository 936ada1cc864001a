"""Make the record of a task that a scholar has learned, with its accuracy on the test part."""

from collections.abc import Mapping, Sequence
from typing import Any

from scholars.evaluation.accuracy import evaluate
from scholars.scholar import Scholar
from scholars.storage.records import LineageRecord
from scholars.tasks.task import Task


def record_task(
    scholar: Scholar, task: Task, train_counts: Sequence[int], learned: Mapping[str, Any], private: bool = False
) -> LineageRecord:
    """Return the record of ``task``, which ``scholar`` has learned; its test part is scored.

    train_counts: the number of training images of each class; of a private task with noise
    learned: what else the record says (`scholars.learning.algorithm.train_scholar`)
    """
    tested = evaluate(scholar, task) if len(task.test) else None
    return LineageRecord(
        name=task.name,
        classes=task.classes,
        train_count=sum(train_counts),
        train_counts=tuple(train_counts),
        test_count=len(task.test),
        test_counts=task.test.count_labels(len(task.classes)),
        accuracy=tested.accuracy if tested else None,
        mean_class_accuracy=tested.mean_class_accuracy if tested else None,
        private=private,
        **learned,
    )
