"""What ``results.json`` holds, checked on the way in, and its means over the seeds."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from scholars import store
from scholars.config import METHODS
from scholars.errors import InputError

SCHEMA = 1
FILE = "results.json"
Scalar = Literal[
    "average_accuracy",
    "forgetting",
    "backward_transfer",
    "forward_transfer",
    "learning_accuracy",
    "seconds",
    "peak_memory_mb",
    "kept_bytes",
    "images_generated",
]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)  # schema 1 may gain keys


class Run(_Part):
    """One method with one seed.

    accuracy: row i, after task i: the accuracy in [0, 1] on each task 0..i; joint has one row, on all tasks
    """

    seed: int
    method: str
    accuracy: list[list[float | None]]
    average_accuracy: float | None = None
    forgetting: float | None = None
    backward_transfer: float | None = None
    forward_transfer: float | None = None
    learning_accuracy: float | None = None
    seconds: float | None = None
    peak_memory_mb: float | None = None
    kept_bytes: float | None = None
    images_generated: float | None = None


class Spread(_Part):
    """A mean over ``n`` seeds, its standard deviation, and half the width of its 95 % interval."""

    mean: float | None = None
    std: float | None = None
    n: int = 0
    interval: float | None = None


class Summary(_Part):
    """One method over all its seeds."""

    average_accuracy: Spread = Spread()
    gap_closed: float | None = None


class Results(_Part):
    """A run's results."""

    recipe: str
    tasks: list[str]
    seeds: list[int]
    generator: str
    runs: list[Run]
    summary: dict[str, Summary] = {}
    environment: dict[str, Any] = {}
    config: dict[str, Any] = {}

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        for run in self.runs:
            if len(run.accuracy) > len(self.tasks) or any(len(row) > len(self.tasks) for row in run.accuracy):
                raise ValueError(f"{run.method}, seed {run.seed}: more accuracies than tasks")
        return self

    @property
    def methods(self) -> list[str]:
        """The methods that were run, in the order in which the recipe's documentation names them."""
        present = dict.fromkeys(run.method for run in self.runs)
        return [name for name in METHODS if name in present] + [name for name in present if name not in METHODS]

    @property
    def scored_on(self) -> str:
        """Which images every accuracy is of: a recipe may hold out training images in the place of the test part."""
        return "validation images" if self.config.get("validation") else "real test images"

    @property
    def told(self) -> str:
        """What is known of a test image beside its pixels, and which classes are one, where that is not as usual."""
        match self.config.get("scenario"):
            case "task":
                return "each image's task being told"
            case "domain":
                return "classes being their places in a task"
        return ""

    def of(self, method: str) -> Summary:
        """The summary of ``method``; empty if there is none."""
        return self.summary.get(method, Summary())

    def mean(self, method: str, name: Scalar) -> float | None:
        """The mean over seeds of a number that every run reports; None where no run has it."""
        return mean(getattr(run, name) for run in self.runs if run.method == method)

    def rows(self, method: str) -> int:
        """How many rows the accuracy matrices of ``method`` have."""
        return max((len(run.accuracy) for run in self.runs if run.method == method), default=0)

    def accuracies(self, method: str, row: int, task: int) -> list[float]:
        """One accuracy for each seed of ``method`` that has it; ``row`` may count from the end."""
        found = []
        for run in self.runs:
            if run.method != method or not -len(run.accuracy) <= row < len(run.accuracy):
                continue
            if task < len(run.accuracy[row]) and (value := run.accuracy[row][task]) is not None:
                found.append(value)
        return found


def mean(values: Iterable[float | None]) -> float | None:
    """The mean of the values that are there; None if none is."""
    there = [value for value in values if value is not None]
    return statistics.fmean(there) if there else None


def parse(document: Mapping[str, Any], where: str = FILE) -> Results:
    """Check a results document. Raises InputError, naming ``where`` and the first thing that is wrong."""
    schema = document.get("schema")
    if schema != SCHEMA:
        newer = isinstance(schema, int) and schema > SCHEMA
        advice = ": update scholars" if newer else ""
        raise InputError(f"{where} has schema {schema!r}; this version of scholars reads schema {SCHEMA}{advice}")
    try:
        return Results.model_validate(document)
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(str(part) for part in problem["loc"])
        raise InputError(f"{where}: {place}: {problem['msg']}") from None


def read(folder: Path) -> Results:
    """Read the results of the run in ``folder``. Raises InputError."""
    path = folder / FILE
    if not path.is_file():
        begun = (folder / "run.json").is_file()
        advice = "no method has finished yet; go on with the run by its command and --resume"
        raise InputError(f"{folder} has no {FILE}: {advice if begun else 'it is not the folder of a run'}")
    return parse(store.read_json(path), str(path))
