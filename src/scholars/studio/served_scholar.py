"""The scholar that the studio serves, and the generations that are kept beside it."""

import threading
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from scholars.errors import InputError
from scholars.inference.describe import describe
from scholars.inference.predict import Prediction, predict_images
from scholars.learning.algebra import check_merge, check_teachers
from scholars.learning.generations import kept_generations
from scholars.learning.lifelong import restore_generation
from scholars.scholar import Scholar
from scholars.scholar.inputs import decode
from scholars.storage.image_files import data_uri, encode_png


class ServedScholar:
    """The scholar in ``folder``, loaded and ready. A change of generation replaces ``loaded`` in one step."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.loaded = _ready(Scholar.load(self.folder))
        # Drawing dreams and loading a network both use torch's global random generator: one at a time.
        self._random_lock = threading.Lock()

    def reload(self) -> None:
        """Serve what is in the folder now. Requests that are being answered keep the scholar they began with."""
        with self._random_lock:
            self.loaded = _ready(Scholar.load(self.folder))

    def restore(self, key: str) -> None:
        """Serve another kept generation; the present one is kept in turn. See `restore_generation`."""
        with self._random_lock:
            self.loaded = _ready(restore_generation(self.folder, key))

    def check_other(self, folder: Path) -> None:
        """Raise InputError for a folder without a scholar, and for a scholar that this one cannot be merged with."""
        with self._random_lock:
            scholars = (self.loaded, Scholar.load(folder))
        check_merge(scholars, None)
        check_teachers(scholars, self.loaded.settings)

    def describe(self) -> dict[str, Any]:
        """Return what `scholars inspect --json` prints, the scholar's name, and the kept generations."""
        return {
            "name": self.folder.name,
            **describe(self.loaded, self.folder),
            "kept": [{**asdict(kept), "ancestor": kept.ancestor} for kept in kept_generations(self.folder)],
        }

    def predict(self, files: Sequence[bytes]) -> list[tuple[Prediction, int] | InputError]:
        """Return for each image file its prediction and the generation that made it, or why it cannot be read."""
        scholar = self.loaded
        shape, keys = scholar.settings.image, [str(index) for index in range(len(files))]
        decoded = decode(lambda index: files[int(index)], keys, shape, scholar.backbone)
        pixels = [image for image in decoded if not isinstance(image, str)]
        predictions = iter(predict_images(scholar, torch.from_numpy(np.stack(pixels))) if pixels else ())
        return [
            InputError(f"the image {image}") if isinstance(image, str) else (next(predictions), scholar.generation)
            for image in decoded
        ]

    def dream(self, count: int, seed: int, of: str | None) -> list[dict[str, Any]]:
        """Return dreams as PNGs in data URIs, each with its most probable class.

        of: dreams of this class only; InputError where the scholar does not know it

        Raises InputError for a scholar whose dreams have no picture.
        """
        scholar = self.loaded
        if scholar.backbone:
            raise InputError("the dreams of this scholar are features of photos, which have no picture")
        with self._random_lock:
            images, targets = scholar.dream(count, seed=seed, of=of)
        best = targets.max(1)
        return [
            {
                "image": data_uri(encode_png(image)),
                "class": scholar.classes[label],
                "probability": round(probability, 4),
            }
            for image, probability, label in zip(images, best.values.tolist(), best.indices.tolist(), strict=True)
        ]


def _ready(scholar: Scholar) -> Scholar:
    """Return the scholar, with what runs its backbone made: the first prediction does not wait for that."""
    if scholar.backbone:
        size = scholar.backbone.record.size
        scholar.backbone.features(torch.zeros(1, 3, size, size, dtype=torch.uint8))
    return scholar
