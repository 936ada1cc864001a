"""What a run's report needs of its tasks comes back from files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from scholars.errors import InputError
from scholars.evaluation.accuracy import evaluate
from scholars.experiments.samples import read_evaluation, read_samples, save_evaluation, save_samples
from scholars.scholar import Scholar
from scholars.storage import files
from scholars.tasks.task import Task


def test_samples_come_back_class_by_class(low: Task, tmp_path: Path) -> None:
    save_samples(tmp_path, [low], "crop")
    samples = read_samples(tmp_path)[low.name]
    assert samples.classes == tuple(name for name in "01234" for _ in range(8))
    first = low.test.tensor[int((low.test.labels == 0).argmax())]
    assert torch.equal(samples.images[0], first)


def test_an_evaluation_comes_back(one: Scholar, low: Task, tmp_path: Path) -> None:
    assert read_evaluation(tmp_path, 0, "replay") is None
    evaluation = evaluate(one, low)
    save_evaluation(tmp_path, 0, "replay", evaluation, one.classes)
    kept = read_evaluation(tmp_path, 0, "replay")
    assert kept is not None
    assert kept[1] == one.classes
    assert all(torch.equal(value, evaluation.tensors()[name]) for name, value in kept[0].tensors().items())


def test_damage_is_found(one: Scholar, low: Task, tmp_path: Path) -> None:
    path = tmp_path / "evaluations" / "0-replay.safetensors"
    files.write_tensors(path, {"confusion": torch.zeros(2, 2)})
    with pytest.raises(InputError, match="does not hold an evaluation"):
        read_evaluation(tmp_path, 0, "replay")
    files.write_tensors(path, evaluate(one, low).tensors(), {"classes": "[1"})
    with pytest.raises(InputError, match="names of 5 images or classes"):
        read_evaluation(tmp_path, 0, "replay")
