"""Make tasks of noise, where costs are measured and the images do not matter."""

from __future__ import annotations

import numpy as np

from scholars.settings import ImageSettings
from scholars.tasks.images import Images
from scholars.tasks.task import Task


def noise_task(name: str, classes: int, image: ImageSettings, train: int, test: int) -> Task:
    """Return a task of ``train`` and ``test`` images of noise, of classes that no task of another name has."""
    rng = np.random.default_rng(0)

    def noise(count: int) -> Images:
        pixels = rng.integers(0, 256, (count, image.channels, image.size, image.size), dtype=np.uint8)
        return Images(pixels, np.arange(count) % classes)

    return Task(name, tuple(f"{name}, class {number}" for number in range(classes)), noise(train), noise(test))
