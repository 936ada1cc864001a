"""Image folders to test with, and what a task holds of them."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

from scholars.tasks.task import Task


def put(path: Path, image: Image.Image | int = 0, size: int = 8) -> Path:
    """Save an image, or one of this level of grey, making the folders it needs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.new("L", (size, size), image) if isinstance(image, int) else image
    picture.save(path)
    return path


def png(level: int, size: int = 8) -> bytes:
    """The content of an image of this level of grey."""
    content = io.BytesIO()
    Image.new("L", (size, size), level).save(content, "PNG")
    return content.getvalue()


def fill(folder: Path, classes: str = "ab", each: int = 3) -> Path:
    """Grey images, all of different levels."""
    for place, name in enumerate(classes):
        for number in range(each):
            put(folder / name / f"{number}.png", place * each + number)
    return folder


def levels(task: Task, part: str) -> list[tuple[int, str]]:
    """The level of each image of a part and the name of its class."""
    data = getattr(task, part)
    pairs = zip(data.images[:, 0, 0, 0], data.labels, strict=True)
    return sorted((int(level), task.classes[label]) for level, label in pairs)
