"""A formula for each cost of learning a task: a sum of terms of its size, fitted to what scaling.py measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.optimize import nnls

from scholars.generators.conv_networks import smallest_map
from scholars.settings import R3GANSettings, ReplaySettings, Settings, SolverSettings

# Steps of a cell's trainings, dreams of its banks, test images of its tasks.
STEPS, BANK, TEST_IMAGES = 24, 500, 500
# What the rows that are kept were measured with, and what is extrapolated from them.
DEFAULT_WIDTH, DEFAULT_STEPS, DEFAULT_GENERATOR_STEPS, DEFAULT_BANK = 32, 1200, 2500, 12_000
DEFAULTS = Settings(
    solver=SolverSettings(
        width=DEFAULT_WIDTH, batch=128, steps=DEFAULT_STEPS, shift=2, warp=0.0, invert=False, noise=0.0, smoothing=0.0
    ),
    generator=R3GANSettings(
        width=DEFAULT_WIDTH, batch=32, steps=DEFAULT_GENERATOR_STEPS, classify=0.0, rate=2e-3, critic_rate=2e-3
    ),
    replay=ReplaySettings(bank=DEFAULT_BANK),
)


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

    def symbols(self) -> dict[str, int]:
        """Return the letters of the formulas.

        K: classes known in the end, and conditions, as every task has its own; L: levels of the generator's networks,
        each of which computes about as much as the one before; s: pixels a side of the smallest maps
        """
        smallest, levels = smallest_map(self.size)
        sizes = {"T": self.tasks, "N": self.images, "S": self.size, "W": self.width, "B": self.batch}
        return {**sizes, "K": self.tasks * self.classes, "L": levels, "s": smallest}


def term_value(term: str, cell: Cell) -> int:
    """Return the value of a product such as ``3 N S²`` or ``W 2^L``."""
    symbols, value = cell.symbols(), 1
    for factor in term.split():
        base, exponent = (factor.replace("²", "^2") + "^1").split("^")[:2]
        value *= (symbols.get(base) or int(base)) ** (symbols.get(exponent) or int(exponent))
    return value


@dataclass(frozen=True)
class Cost:
    """Something that learning costs, and the terms of which it is thought to be the sum.

    read: value of a measured row; None where that has none
    timed: whether it depends on how fast the machine was
    """

    title: str
    unit: str
    scale: float
    terms: Sequence[str]
    read: Callable[[Mapping[str, Any]], float | None]
    timed: bool = True


def _seconds(key: str, title: str, *terms: str) -> Cost:
    return Cost(title, "ms", 1e3, terms, lambda row: row[key])


def _file(name: str, *terms: str) -> Cost:
    return Cost(name, "KB", 1e-3, terms, lambda row: row["bytes"][name], timed=False)


COSTS = {
    "solver": _seconds("solver", "a step of the solver", "1", "B S² W", "B S² W²", "B K"),
    "generator": _seconds("generator", "a step of the generator", "1", "B S² W", "B S² W² L", "K"),
    "dream": _seconds("dream", "a dream for the bank", "1", "S² W", "S² W² L", "T K"),
    "evaluate": _seconds("evaluate", "a test image", "1", "S² W", "S² W²", "K"),
    "draw": _seconds("draw", "drawing a training image", "1", "S²"),
    "memory": Cost(
        "memory while it learns", "MiB", 1, ("1", "3 N S²", "B S² W", "K"), lambda row: row["memory"], timed=False
    ),
    "description": _file("scholar.json", "1", "T", "K"),
    "solver file": _file("solver.safetensors", "1", "W²", "W K"),
    # The generator network's first layer and the critic's last ones see the smallest maps.
    "generator file": _file("generator.safetensors", "1", "W² 4^L", "W 2^L s²", "K"),
}


@dataclass(frozen=True)
class Point:
    """One cost at one size, in seconds, MiB or bytes.

    factor: which factor's size this is
    fitted: whether the formula is fitted to it
    last: whether it is the farthest out of its factor
    """

    factor: str
    cell: Cell
    value: float
    fitted: bool
    last: bool


@dataclass(frozen=True)
class Formula:
    """A cost as the sum of its terms, each times its coefficient, in seconds, MiB or bytes."""

    cost: Cost
    coefficients: Sequence[float]

    def __call__(self, cell: Cell) -> float:
        """Return the predicted cost of ``cell``."""
        return sum(each * term_value(term, cell) for each, term in zip(self.coefficients, self.cost.terms, strict=True))

    def depends_on(self, factor: str, cell: Cell) -> bool:
        """Return whether a term has another value where ``factor`` has its default."""
        usual = replace(cell, **{factor: getattr(Cell(), factor)})
        return any(term_value(term, usual) != term_value(term, cell) for term in self.cost.terms)

    def __str__(self) -> str:
        """Return the sum, in the cost's unit."""
        parts = [
            f"{self.cost.scale * each:.3g}" + (f" {term}" if term != "1" else "")
            for each, term in zip(self.coefficients, self.cost.terms, strict=True)
            if each > 0
        ]
        return " + ".join(parts) or "0"


def fit_formula(cost: Cost, points: Sequence[tuple[Cell, float]]) -> Formula:
    """Fit by least relative squares, with no negative coefficient: no part of a cost is a gain."""
    measured = np.array([value for _, value in points])
    terms = np.array([[float(term_value(term, cell)) for term in cost.terms] for cell, _ in points])
    # Terms differ by ten orders of magnitude: each is divided by its own largest value.
    largest = terms.max(axis=0)
    found, _ = nnls(terms / largest / measured[:, None], np.ones(len(points)))
    return Formula(cost, tuple((found / largest).tolist()))


def learning_seconds(each: Mapping[str, float]) -> float:
    """Return the seconds of learning a task with default steps and bank, without audit and evaluation.

    each: seconds of a step of ``solver`` and ``generator``, and of a ``dream``
    """
    return DEFAULT_STEPS * each["solver"] + DEFAULT_GENERATOR_STEPS * each["generator"] + DEFAULT_BANK * each["dream"]
