"""What a run keeps of its tasks, so that its report can be made again without them: a few images, and what was judged.

``samples.safetensors`` holds real test images of each task, ``judged/SEED-METHOD.safetensors`` what a method's last
scholar made of all test parts.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from scholars import store
from scholars.errors import InputError
from scholars.evaluate import Judged
from scholars.tasks.task import Task

# Images of a class that are kept, and of many classes fewer: at most so many of a task.
EACH, MOST = 8, 400


@dataclass(frozen=True)
class Samples:
    """Real test images of one task, class by class: ``[N, C, H, W]`` uint8, and the class that each shows."""

    images: Tensor
    classes: tuple[str, ...]


def keep_samples(folder: Path, tasks: Sequence[Task]) -> None:
    """Write a few test images of every class of every task."""
    shown = {task.name: samples_of(task) for task in tasks}
    store.write_tensors(
        folder / "samples.safetensors",
        {name: samples.images for name, samples in shown.items()},
        {name: json.dumps(samples.classes) for name, samples in shown.items()},
    )


def samples_of(task: Task) -> Samples:
    """The first test images of each class, class by class."""
    each = max(1, min(EACH, MOST // len(task.classes)))
    labels = task.test.labels
    places = [int(i) for label in range(len(task.classes)) for i in np.flatnonzero(labels == label)[:each]]
    return Samples(task.test.tensor[places], tuple(task.classes[label] for label in labels[places]))


def read_samples(folder: Path) -> dict[str, Samples]:
    """By task. Raises InputError where the file is missing or damaged."""
    tensors, notes = store.read_tensors(folder / "samples.safetensors")
    for name, images in tensors.items():
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] not in (1, 3) or 0 in images.shape:
            raise InputError(f"{folder / 'samples.safetensors'}: {name!r} is no set of images")
    return {name: Samples(images, _names(folder, notes, name, len(images))) for name, images in tensors.items()}


def keep_judged(folder: Path, seed: int, method: str, judged: Judged, classes: Sequence[str]) -> None:
    """Write what the last scholar of a method made of the test parts; ``classes`` are its outputs."""
    store.write_tensors(_judged(folder, seed, method), judged.tensors(), {"classes": json.dumps(list(classes))})


def read_judged(folder: Path, seed: int, method: str) -> tuple[Judged, tuple[str, ...]] | None:
    """What was kept of a method, and its classes; None of one that has not ended. Raises InputError for damage."""
    path = _judged(folder, seed, method)
    # Results may name a method as they like, but no file of another folder.
    if path.parent != folder / "judged" or not path.is_file():
        return None
    tensors, notes = store.read_tensors(path)
    try:
        judged = Judged(**tensors)
        fits = _consistent(judged)
    except (TypeError, RuntimeError) as error:
        raise InputError(f"{path} does not hold what was judged: {error}") from None
    if not fits:
        raise InputError(f"{path}: what was judged does not fit together")
    return judged, _names(path, notes, "classes", len(judged.confusion))


def _consistent(judged: Judged) -> bool:
    known, count = len(judged.confusion), len(judged.images)
    expected = {
        "confusion": (torch.int64, (known, known)),
        "images": (torch.uint8, (count, *judged.images.shape[1:])),
        "truth": (torch.int64, (count,)),
        "taken": (torch.int64, (count,)),
        "confidence": (torch.float32, (count,)),
    }
    return (
        {name: (value.dtype, tuple(value.shape)) for name, value in judged.tensors().items()} == expected
        and judged.images.ndim == 4
        and judged.images.shape[1] in (1, 3)
        and int(judged.confusion.min()) >= 0
        and int(judged.confusion.sum()) > 0
        and all(bool(((named >= 0) & (named < known)).all()) for named in (judged.truth, judged.taken))
        and bool(judged.confidence.isfinite().all())
    )


def _judged(folder: Path, seed: int, method: str) -> Path:
    return folder / "judged" / f"{seed}-{method}.safetensors"


def _names(where: Path, notes: dict[str, str], key: str, count: int) -> tuple[str, ...]:
    try:
        names = json.loads(notes[key])
    except (KeyError, ValueError, RecursionError):
        names = None
    if not isinstance(names, list) or len(names) != count:
        raise InputError(f"{where}: the names of {count} images or classes of {key!r} are missing")
    return tuple(str(name) for name in names)
