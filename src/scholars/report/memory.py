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

T = TypeVar("T")

# Images side by side, and the classes and generations that a page has room for.
_SIDE_BY_SIDE = 6
_MOST_CLASSES = 20
_MOST_GENERATIONS = 6
# Dreams among which those of each class are looked for.
_LOOKED_AT = 40


@dataclass(frozen=True)
class Strip:
    """A few images side by side; ``uri`` is empty where there are none."""

    uri: str
    alt: str


@dataclass(frozen=True)
class Memory:
    """A row of strips for each class, under ``columns``; ``left_out`` classes found no room."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Strip, ...]], ...]
    left_out: int


def remembered(scholars: Sequence[Scholar], real: Mapping[str, Samples]) -> Memory:
    """Each class in the eyes of each of ``scholars``, a generation after the other, beside real images by task."""
    chosen = _spaced([scholar for scholar in scholars if scholar.generator], _MOST_GENERATIONS)
    if not scholars:
        return Memory((), (), 0)
    classes = scholars[-1].classes
    shown = _spaced(classes, _MOST_CLASSES)
    columns = [*(f"real, {task}" for task in real), *(f"dreams of generation {one.generation}" for one in chosen)]
    sources = [(samples.images, np.array(samples.classes)) for samples in real.values()]
    for one in chosen:
        images, targets = one.dream(_LOOKED_AT * len(one.classes))
        sources.append((images, np.array(one.classes)[targets.argmax(1).numpy()]))
    rows = []
    for name in shown:
        strips = []
        for column, (images, names) in zip(columns, sources, strict=True):
            found = images[torch.from_numpy(np.flatnonzero(names == name)[:_SIDE_BY_SIDE])]
            strips.append(Strip(picture(found) if len(found) else "", f"{column}: {len(found)} of {name}"))
        rows.append((name, tuple(strips)))
    return Memory(tuple(columns), tuple(rows), len(classes) - len(shown))


def picture(images: Tensor) -> str:
    """Images ``[N, C, H, W]`` uint8 side by side as a data URI."""
    row: npt.NDArray[np.uint8] = images.permute(2, 0, 3, 1).flatten(1, 2).numpy()
    content = io.BytesIO()
    Image.fromarray(row[..., 0] if row.shape[2] == 1 else row).save(content, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(content.getvalue()).decode("ascii")


def _spaced(items: Sequence[T], most: int) -> list[T]:
    """At most ``most`` of the items: the first, the last, and those evenly between."""
    if len(items) <= most:
        return list(items)
    return [items[round(i * (len(items) - 1) / (most - 1))] for i in range(most)]
