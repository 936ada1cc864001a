"""Save what a run's report needs of its tasks, so that it can be made again without their data.

``samples.safetensors`` holds some real test images of each task, ``evaluations/SEED-METHOD.safetensors`` how a method's
last scholar predicted all test parts.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from scholars.backbones.views import squares
from scholars.errors import InputError
from scholars.evaluation.accuracy import Evaluation
from scholars.settings import Fit
from scholars.storage import files
from scholars.tasks.task import Task

# Images kept of each class; fewer where a task has so many classes that they would be more than this for the task.
MAX_PER_CLASS, MAX_PER_TASK = 8, 400
# Pixels a side of photographs, which are not decoded otherwise.
_PHOTOGRAPH_SIZE = 64


@dataclass(frozen=True)
class Samples:
    """Real test images of one task, class by class: ``[N, C, H, W]`` uint8, and the class of each."""

    images: Tensor
    classes: tuple[str, ...]


def save_samples(folder: Path, tasks: Sequence[Task], fit: Fit) -> None:
    """Write a few test images of every class of every task."""
    selected = {task.name: select_samples(task, fit) for task in tasks}
    files.write_tensors(
        folder / "samples.safetensors",
        {name: samples.images for name, samples in selected.items()},
        {name: json.dumps(samples.classes) for name, samples in selected.items()},
    )


def select_samples(task: Task, fit: Fit) -> Samples:
    """Return the first test images of each class, class by class; those of files as squares (see `fit_square`)."""
    per_class = max(1, min(MAX_PER_CLASS, MAX_PER_TASK // len(task.classes)))
    labels = task.test.labels
    rows = [int(i) for label in range(len(task.classes)) for i in np.flatnonzero(labels == label)[:per_class]]
    chosen = task.test[np.array(rows, np.int64)]
    if chosen.pixels is None:
        images = torch.from_numpy(squares(chosen, _PHOTOGRAPH_SIZE, "bilinear", fit))
    else:
        images = chosen.tensor.contiguous()
    return Samples(images, tuple(task.classes[label] for label in labels[rows]))


def read_samples(folder: Path) -> dict[str, Samples]:
    """Return the samples by task name. Raises InputError where the file is missing or damaged."""
    tensors, notes = files.read_tensors(folder / "samples.safetensors")
    for name, images in tensors.items():
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] not in (1, 3) or 0 in images.shape:
            raise InputError(f"{folder / 'samples.safetensors'}: {name!r} is not a batch of images")
    return {name: Samples(images, _read_names(folder, notes, name, len(images))) for name, images in tensors.items()}


def save_evaluation(folder: Path, seed: int, method: str, evaluation: Evaluation, classes: Sequence[str]) -> None:
    """Write the evaluation of a method's last scholar on all test parts; ``classes`` are its outputs."""
    path = _evaluation_file(folder, seed, method)
    files.write_tensors(path, evaluation.tensors(), {"classes": json.dumps(list(classes))})


def read_evaluation(folder: Path, seed: int, method: str) -> tuple[Evaluation, tuple[str, ...]] | None:
    """Return a method's evaluation and its classes; None if the method has not ended. Raises InputError for damage."""
    path = _evaluation_file(folder, seed, method)
    # The name of a method in results.json may be anything; it must not lead to a file in another folder.
    if path.parent != folder / "evaluations" or not path.is_file():
        return None
    tensors, notes = files.read_tensors(path)
    try:
        evaluation = Evaluation(**tensors)
        consistent = _is_consistent(evaluation)
    except (TypeError, RuntimeError) as error:
        raise InputError(f"{path} does not hold an evaluation: {error}") from None
    if not consistent:
        raise InputError(f"{path}: the tensors of the evaluation do not fit together")
    return evaluation, _read_names(path, notes, "classes", len(evaluation.confusion))


def _is_consistent(evaluation: Evaluation) -> bool:
    known, count = len(evaluation.confusion), len(evaluation.images)
    expected = {
        "confusion": (torch.int64, (known, known)),
        "images": (torch.uint8, (count, *evaluation.images.shape[1:])),
        "truth": (torch.int64, (count,)),
        "predicted": (torch.int64, (count,)),
        "confidence": (torch.float32, (count,)),
    }
    return (
        {name: (value.dtype, tuple(value.shape)) for name, value in evaluation.tensors().items()} == expected
        and evaluation.images.ndim == 4
        and evaluation.images.shape[1] in (1, 3)
        and int(evaluation.confusion.min()) >= 0
        and int(evaluation.confusion.sum()) > 0
        and all(bool(((labels >= 0) & (labels < known)).all()) for labels in (evaluation.truth, evaluation.predicted))
        and bool(evaluation.confidence.isfinite().all())
    )


def _evaluation_file(folder: Path, seed: int, method: str) -> Path:
    return folder / "evaluations" / f"{seed}-{method}.safetensors"


def _read_names(where: Path, notes: dict[str, str], key: str, count: int) -> tuple[str, ...]:
    try:
        names = json.loads(notes[key])
    except (KeyError, ValueError, RecursionError):
        names = None
    if not isinstance(names, list) or len(names) != count:
        raise InputError(f"{where}: the names of {count} images or classes of {key!r} are missing")
    return tuple(str(name) for name in names)
