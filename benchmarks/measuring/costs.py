"""What learning a task costs, as a sum of terms of its size, fitted to what was measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import nnls

from scholars.generators.painting import smallest

# Steps of a cell's trainings, dreams of its banks, test images of its tasks.
STEPS, BANK, TESTED = 24, 500, 500
MIB = 2**20


@dataclass(frozen=True)
class Cell:
    """A size at which learning is measured: ``tasks`` one after the other, each of ``classes`` new classes.

    images: of a task; size: pixels a side; width: of both networks; batch: of the generator, a fourth of the solver's
    """

    tasks: int = 2
    classes: int = 4
    images: int = 2000
    size: int = 32
    width: int = 16
    batch: int = 16

    @property
    def known(self) -> int:
        """Classes known in the end; also the (task, class) conditions, as every task has its own."""
        return self.tasks * self.classes

    @property
    def doublings(self) -> int:
        """Levels of the generator's networks, each of which computes about as much as the one before."""
        return smallest(self.size)[1]


# How the terms are called on the page.
Term = tuple[str, Callable[[Cell], float]]
ONE: Term = ("1", lambda c: 1)
PIXELS: Term = ("B S² W", lambda c: c.batch * c.size**2 * c.width)
PRODUCTS: Term = ("B S² W²", lambda c: c.batch * c.size**2 * c.width**2)
LEVELS: Term = ("B S² W² L", lambda c: c.batch * c.size**2 * c.width**2 * c.doublings)
KNOWN: Term = ("K", lambda c: c.known)
BATCHED: Term = ("B K", lambda c: c.batch * c.known)
EACH_PIXELS: Term = ("S² W", lambda c: c.size**2 * c.width)
EACH_PRODUCTS: Term = ("S² W²", lambda c: c.size**2 * c.width**2)
EACH_LEVELS: Term = ("S² W² L", lambda c: c.size**2 * c.width**2 * c.doublings)
AREA: Term = ("S²", lambda c: c.size**2)
TABLE: Term = ("T K", lambda c: c.tasks * c.known)
DATA: Term = ("3 N S²", lambda c: 3 * c.images * c.size**2)
TASKS: Term = ("T", lambda c: c.tasks)
LAST_LAYER: Term = ("W K", lambda c: c.width * c.known)
SQUARE: Term = ("W²", lambda c: c.width**2)
# Of the painter's first layer and the critic's last ones, which see the smallest maps.
DEEPEST: Term = ("W² 4^L", lambda c: c.width**2 * 4**c.doublings)
ENDS: Term = ("W 2^L s²", lambda c: c.width * 2**c.doublings * smallest(c.size)[0] ** 2)


@dataclass(frozen=True)
class Cost:
    """Something that learning costs, and the terms of which it is thought to be the sum.

    read: from a measured row; None where that has none
    timed: whether it depends on how fast the machine was
    """

    title: str
    unit: str
    scale: float
    terms: Sequence[Term]
    read: Callable[[Mapping[str, Any]], float | None]
    timed: bool = True


COSTS = {
    "solver": Cost("a step of the solver", "ms", 1e3, (ONE, PIXELS, PRODUCTS, BATCHED), lambda row: row["solver"]),
    "generator": Cost("a step of the generator", "ms", 1e3, (ONE, PIXELS, LEVELS, KNOWN), lambda row: row["generator"]),
    "dream": Cost("a dream for the bank", "ms", 1e3, (ONE, EACH_PIXELS, EACH_LEVELS, TABLE), lambda row: row["dream"]),
    "evaluate": Cost("a test image", "ms", 1e3, (ONE, EACH_PIXELS, EACH_PRODUCTS, KNOWN), lambda row: row["evaluate"]),
    "draw": Cost("drawing a training image", "ms", 1e3, (ONE, AREA), lambda row: row["draw"]),
    "memory": Cost("memory while it learns", "MiB", 1, (ONE, DATA, PIXELS, KNOWN), lambda row: row["memory"], False),
    "description": Cost(
        "scholar.json", "KB", 1e-3, (ONE, TASKS, KNOWN), lambda row: row["bytes"]["scholar.json"], False
    ),
    "solver file": Cost(
        "solver.safetensors",
        "KB",
        1e-3,
        (ONE, SQUARE, LAST_LAYER),
        lambda row: row["bytes"]["solver.safetensors"],
        False,
    ),
    "generator file": Cost(
        "generator.safetensors",
        "KB",
        1e-3,
        (ONE, DEEPEST, ENDS, KNOWN),
        lambda row: row["bytes"]["generator.safetensors"],
        False,
    ),
}


@dataclass(frozen=True)
class Fit:
    """A cost as the sum of its terms, each times its coefficient, in seconds, MiB or bytes."""

    cost: Cost
    coefficients: Sequence[float]

    def __call__(self, cell: Cell) -> float:
        """What it predicts for ``cell``."""
        return sum(value * term(cell) for value, (_, term) in zip(self.coefficients, self.cost.terms, strict=True))

    @property
    def formula(self) -> str:
        """The sum, in the cost's unit."""
        parts = [
            f"{self.cost.scale * value:.3g}" + (f" {name}" if name != "1" else "")
            for value, (name, _) in zip(self.coefficients, self.cost.terms, strict=True)
            if value > 0
        ]
        return " + ".join(parts) or "0"


def fitted(cost: Cost, points: Sequence[tuple[Cell, float]]) -> Fit:
    """The least relative squares with no negative coefficient: no part of a cost is a gain."""
    measured = np.array([value for _, value in points])
    terms = np.array([[term(cell) for _, term in cost.terms] for cell, _ in points])
    # Terms differ by ten orders of magnitude: the solver is given each over its own largest value.
    largest = terms.max(axis=0)
    found, _ = nnls(terms / largest / measured[:, None], np.ones(len(points)))
    return Fit(cost, tuple((found / largest).tolist()))
