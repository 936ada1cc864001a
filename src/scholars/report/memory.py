"""What is remembered of each class, to be looked at: real images, and the dreams of every generation beside them."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from scholars.keepsakes import Samples
from scholars.scholar import Scholar
from scholars.tasks.shapes import fit_images

T = TypeVar("T")

# Images side by side, and the classes, generations and tasks that a page has room for.
_SIDE_BY_SIDE = 6
_MOST_CLASSES = 20
_MOST_GENERATIONS = 6
_MOST_TASKS = 6
# Characters of all strips together, so that a page has 6 MB at most: scripts take 0.9 of them, charts and their
# pictures 1.3, mistakes 0.4. An image takes 4/3 of a character for each value, if it is noise, and is shown at about 34
# pixels a side.
_BUDGET = 3_200_000
_LARGEST, _SMALLEST = 64, 20
# Dreams among which those of each class are looked for.
_LOOKED_AT = 40


@dataclass(frozen=True)
class Strip:
    """A few images side by side; ``uri`` is empty where there are none."""

    uri: str
    alt: str


@dataclass(frozen=True)
class Memory:
    """A row of strips for each class, under ``columns``; so many classes and tasks found no room."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Strip, ...]], ...]
    left_out: int
    tasks_left_out: int


def remembered(scholars: Sequence[Scholar], real: Mapping[str, Samples]) -> Memory:
    """Each class in the eyes of each of ``scholars``, a generation after the other, beside real images by task."""
    chosen = spaced([scholar for scholar in scholars if scholar.generator], _MOST_GENERATIONS)
    if not scholars:
        return Memory((), (), 0, 0)
    classes = scholars[-1].classes
    shown = spaced(classes, _MOST_CLASSES)
    beside, tasks_left_out = _real(real)
    columns = [*beside, *(f"dreams of generation {one.generation}" for one in chosen)]
    sources = [(samples.images, np.array(samples.classes)) for samples in beside.values()]
    for one in chosen:
        images, targets = one.dream(_LOOKED_AT * len(one.classes))
        sources.append((images, np.array(one.classes)[targets.argmax(1).numpy()]))
    shape = scholars[-1].settings.image
    side, count = _room(len(shown) * len(sources), shape.channels, shape.size)
    rows = []
    for name in shown:
        strips = []
        for column, (images, names) in zip(columns, sources, strict=True):
            found = images[torch.from_numpy(np.flatnonzero(names == name)[:count])]
            strips.append(Strip(picture(found, side) if len(found) else "", f"{column}: {len(found)} of {name}"))
        rows.append((name, tuple(strips)))
    return Memory(tuple(columns), tuple(rows), len(classes) - len(shown), tasks_left_out)


def picture(images: Tensor, most: int = _LARGEST) -> str:
    """Images ``[N, C, H, W]`` uint8 side by side as a data URI, ``most`` pixels a side."""
    if images.shape[-1] > most:
        images = torch.from_numpy(fit_images(images.numpy(), images.shape[1], most))
    row: npt.NDArray[np.uint8] = images.permute(2, 0, 3, 1).flatten(1, 2).numpy()
    content = io.BytesIO()
    Image.fromarray(row[..., 0] if row.shape[2] == 1 else row).save(content, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(content.getvalue()).decode("ascii")


def _real(real: Mapping[str, Samples]) -> tuple[dict[str, Samples], int]:
    """Real images by column, and how many tasks found no room: one column if no two tasks share a class."""
    names = [name for samples in real.values() for name in dict.fromkeys(samples.classes)]
    shapes = {samples.images.shape[1:] for samples in real.values()}
    if len(real) > 1 and len(set(names)) == len(names) and len(shapes) == 1:
        images = torch.cat([samples.images for samples in real.values()])
        return {"real": Samples(images, tuple(name for samples in real.values() for name in samples.classes))}, 0
    tasks = spaced(list(real), _MOST_TASKS)
    return {f"real, {task}": real[task] for task in tasks}, len(real) - len(tasks)


def _room(strips: int, channels: int, size: int) -> tuple[int, int]:
    """The side and the number of the images in each of so many strips: smaller images first, then fewer."""
    each = _BUDGET / max(1, strips) / (channels * 4 / 3)  # pixels
    side = min(size, _LARGEST, max(_SMALLEST, int((each / _SIDE_BY_SIDE) ** 0.5)))
    return side, max(1, min(_SIDE_BY_SIDE, int(each / side**2)))


def spaced(items: Sequence[T], most: int) -> list[T]:
    """At most ``most`` of the items: the first, the last, and those evenly between."""
    if len(items) <= most:
        return list(items)
    return [items[round(i * (len(items) - 1) / (most - 1))] for i in range(most)]
