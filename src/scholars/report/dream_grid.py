"""A table of images for a page: a row a class, with real images and the dreams of every generation side by side.

Of scholars with a backbone real images alone: their dreams are features, which have no picture.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from scholars.experiments.samples import Samples
from scholars.report.formatting import evenly_spaced
from scholars.scholar import Scholar
from scholars.storage.image_files import data_uri, encode_png
from scholars.tasks.resize import resize_images

# Images side by side in a cell, and the classes, generations and tasks that a page has room for.
_MAX_IMAGES = 6
_MAX_CLASSES = 20
_MAX_GENERATIONS = 6
_MAX_TASKS = 6
# Characters of all cells together, so that a page has 6 MB at most: scripts take 0.9 of them, charts and their pictures
# 1.3, mistakes 0.4. An image takes 4/3 of a character for each value, if it is noise, and is shown at about 34 pixels a
# side.
_MAX_CHARACTERS = 3_200_000
_MAX_SIDE, _MIN_SIDE = 64, 20
# Dreams drawn for each class, among which those of a class are looked for.
_DREAMS_PER_CLASS = 40


@dataclass(frozen=True)
class ImageCell:
    """A few images side by side; ``uri`` is empty where there are none."""

    uri: str
    alt: str


@dataclass(frozen=True)
class DreamGrid:
    """A row of cells for each class, under ``columns``, and how many classes and tasks found no room.

    of_features: whether the dreams are features, which have no picture
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[ImageCell, ...]], ...]
    classes_left_out: int
    tasks_left_out: int
    of_features: bool


def build_dream_grid(scholars: Sequence[Scholar], real: Mapping[str, Samples]) -> DreamGrid:
    """Put the dreams of ``scholars``, one generation after the other, beside ``real`` images of each task.

    A dream stands in the row of the class that its own scholar sees in it.
    """
    if not scholars:
        return DreamGrid((), (), 0, 0, of_features=False)
    of_features = scholars[-1].settings.backbone is not None
    dreaming = evenly_spaced([one for one in scholars if one.generator and not of_features], _MAX_GENERATIONS)
    classes = scholars[-1].classes
    shown = evenly_spaced(classes, _MAX_CLASSES)
    real_columns, tasks_left_out = _real_columns(real)
    columns = [*real_columns, *(f"dreams of generation {scholar.generation}" for scholar in dreaming)]
    sources = [(samples.images, np.array(samples.classes)) for samples in real_columns.values()]
    for scholar in dreaming:
        images, targets = scholar.dream(_DREAMS_PER_CLASS * len(scholar.classes))
        sources.append((images, np.array(scholar.classes)[targets.argmax(1).numpy()]))
    shape = scholars[-1].settings.image
    side, count = _image_budget(len(shown) * len(sources), shape.channels, shape.size)
    rows = []
    for name in shown:
        cells = []
        for column, (images, names) in zip(columns, sources, strict=True):
            found = images[torch.from_numpy(np.flatnonzero(names == name)[:count])]
            cells.append(ImageCell(encode_row(found, side) if len(found) else "", f"{column}: {len(found)} of {name}"))
        rows.append((name, tuple(cells)))
    return DreamGrid(tuple(columns), tuple(rows), len(classes) - len(shown), tasks_left_out, of_features)


def encode_row(images: Tensor, max_side: int = _MAX_SIDE) -> str:
    """Return images ``[N, C, H, W]`` uint8 side by side as a data URI, each ``max_side`` pixels a side at most."""
    if images.shape[-1] > max_side:
        images = torch.from_numpy(resize_images(images.numpy(), images.shape[1], max_side))
    return data_uri(encode_png(torch.cat(list(images), dim=2)))


def _real_columns(real: Mapping[str, Samples]) -> tuple[dict[str, Samples], int]:
    """Return real images by column, and how many tasks found no room: one column if no two tasks share a class."""
    names = [name for samples in real.values() for name in dict.fromkeys(samples.classes)]
    shapes = {samples.images.shape[1:] for samples in real.values()}
    if len(real) > 1 and len(set(names)) == len(names) and len(shapes) == 1:
        images = torch.cat([samples.images for samples in real.values()])
        return {"real": Samples(images, tuple(name for samples in real.values() for name in samples.classes))}, 0
    tasks = evenly_spaced(list(real), _MAX_TASKS)
    return {f"real, {task}": real[task] for task in tasks}, len(real) - len(tasks)


def _image_budget(cells: int, channels: int, size: int) -> tuple[int, int]:
    """Return the side and the number of the images in each of so many cells: smaller images first, then fewer."""
    pixels = _MAX_CHARACTERS / max(1, cells) / (channels * 4 / 3)
    side = min(size, _MAX_SIDE, max(_MIN_SIDE, int((pixels / _MAX_IMAGES) ** 0.5)))
    return side, max(1, min(_MAX_IMAGES, int(pixels / side**2)))
