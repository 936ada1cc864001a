"""Write dreams of features to one file, with their labels."""

import json
from pathlib import Path

import numpy as np
import torch

from scholars.errors import InputError
from scholars.scholar import Scholar
from scholars.storage.files import atomic_write, write_tensors

SUFFIXES = (".safetensors", ".npz")


def write_feature_dreams(scholar: Scholar, count: int, path: Path, *, seed: int = 0, of: str | None = None) -> None:
    """Write ``count`` dreams of a scholar with a backbone, as `Scholar.dream` draws them.

    ``.safetensors``: ``features`` ``[N, D]`` float32, ``labels`` ``[N]`` int64, and the class names as JSON in the note
    ``classes``. ``.npz``: the same arrays, and ``class_names``.

    Raises InputError for another file name, and as `Scholar.iter_dreams` does.
    """
    check_dream_file(path)
    batches = list(scholar.iter_dreams(count, seed=seed, of=of))
    features = torch.cat([batch.inputs for batch in batches]).float()
    labels = torch.cat([batch.labels for batch in batches])
    if path.suffix.lower() == ".safetensors":
        notes = {"classes": json.dumps(list(scholar.classes), ensure_ascii=False)}
        write_tensors(path, {"features": features, "labels": labels}, notes)
        return
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        np.savez(file, features=features.numpy(), labels=labels.numpy(), class_names=np.array(scholar.classes))


def check_dream_file(path: Path) -> None:
    """Raise InputError for a file name that is not one of features."""
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(
            f"--out {path}: this scholar has a backbone, and its dreams are features, not pictures: give a file that "
            f"ends in {' or '.join(SUFFIXES)}"
        )
