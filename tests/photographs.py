"""Small photographs whose class is seen at once, and caches of features of a test's own."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from scholars.settings import Settings
from scholars.settings.overrides import build
from scholars.tasks.images import Images
from scholars.tasks.open import open_task
from scholars.tasks.task import Task

# Settings of features that are learned in a second.
QUICK: dict[str, object] = {
    "backbone.size": 64,
    "backbone.views": 1,
    "solver.steps": 60,
    "solver.hidden": 64,
    "ood.dreams": 60,
}
# The same for a command.
QUICK_WORDS = [word for key, value in QUICK.items() for word in ("--set", f"{key}={value}")]
# Shape and colour of each class.
THINGS = {
    "disc": ("ellipse", (220, 40, 40)),
    "box": ("rectangle", (40, 60, 220)),
    "leaf": ("triangle", (40, 180, 60)),
    "ring": ("ring", (230, 200, 40)),
}


def quick(solver: str = "head", /, **changes: object) -> Settings:
    """Return `QUICK` settings of a kind of solver, with other values: ``solver__steps=3`` for ``solver.steps``."""
    basis = {key: value for key, value in QUICK.items() if solver == "head" or not key.startswith("solver.")}
    dotted = {key.replace("__", "."): value for key, value in changes.items()}
    return build(Settings, {}, {**basis, "solver.kind": solver, **dotted}, where="tests")


def photograph(thing: str, seed: int, side: int = 72) -> Image.Image:
    """Draw a thing somewhere on a noisy background, always the same for a seed."""
    rng = np.random.default_rng([seed, *thing.encode()])
    noise = rng.integers(90, 160, (side // 4, side // 3, 3), dtype=np.uint8)
    picture = Image.fromarray(noise).resize((side + 16, side), Image.Resampling.BILINEAR)
    shape, colour = THINGS[thing]
    pen, size = ImageDraw.Draw(picture), int(rng.integers(side // 2, side * 3 // 4))
    x, y = int(rng.integers(8, side + 8 - size)), int(rng.integers(0, side - size))
    box = (x, y, x + size, y + size)
    match shape:
        case "ellipse":
            pen.ellipse(box, fill=colour)
        case "rectangle":
            pen.rectangle(box, fill=colour)
        case "triangle":
            pen.polygon([(x, y + size), (x + size, y + size), (x + size // 2, y)], fill=colour)
        case "ring":
            pen.ellipse(box, outline=colour, width=size // 5)
    return picture


def photo_folder(folder: Path, things: tuple[str, ...], each: int = 12, first: int = 0) -> Path:
    """Write ``each`` training photos of each thing, and four for the test; ``first``: their first seed."""
    for thing in things:
        for part, numbers in (("train", range(first, first + each)), ("test", range(first + each, first + each + 4))):
            place = folder / part / thing
            place.mkdir(parents=True, exist_ok=True)
            for number in numbers:
                photograph(thing, number).save(place / f"{number}.jpg", quality=90)
    return folder


def photo_task(folder: Path, things: tuple[str, ...], each: int = 12, first: int = 0) -> Task:
    """Open the photos of `photo_folder`, not decoded."""
    return open_task(photo_folder(folder, things, each, first), decode=False)


def arrays(things: tuple[str, ...], each: dict[str, int] | int, first: int = 0) -> Task:
    """Return a task of arrays: so many training photos of each thing, and two for the test."""
    counts = [each[thing] if isinstance(each, dict) else each for thing in things]

    def part(start: int, numbers: list[int]) -> Images:
        pictures = [
            np.asarray(photograph(thing, start + i).crop((8, 0, 80, 72))).transpose(2, 0, 1)
            for thing, count in zip(things, numbers, strict=True)
            for i in range(count)
        ]
        return Images(np.stack(pictures), np.repeat(np.arange(len(things)), numbers))

    return Task("arrays", things, part(first, counts), part(first + 1000, [2] * len(things)))


def own_features(patch: pytest.MonkeyPatch, folder: Path) -> Path:
    """Make ``folder`` the cache, but for graphs, which take seconds to make; return it."""
    graphs = Path(os.environ["SCHOLARS_CACHE"]) / "graphs"
    graphs.mkdir(parents=True, exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "graphs").symlink_to(graphs.resolve())
    patch.setenv("SCHOLARS_CACHE", str(folder))
    return folder
