"""Read and check ``results.json``, and take means over its seeds."""

import math
import statistics
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from scholars.errors import InputError
from scholars.experiments.methods import METHODS
from scholars.experiments.run import SCHEMA
from scholars.settings.base import first_problem
from scholars.storage import files

FILE = "results.json"
RunMetric = Literal[
    "average_accuracy",
    "average_mean_class_accuracy",
    "forgetting",
    "backward_transfer",
    "forward_transfer",
    "learning_accuracy",
    "seconds",
    "peak_memory_mb",
    "kept_bytes",
    "images_generated",
]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)  # schema 1 may gain keys


class Run(_Section):
    """One method with one seed.

    accuracy: row i, after task i: the accuracy in [0, 1] on each task 0..i; joint has one row, on all tasks
    mean_class_accuracy: the same of means over classes
    """

    seed: int
    method: str
    accuracy: list[list[float | None]]
    average_accuracy: float | None = None
    mean_class_accuracy: list[list[float | None]] = []
    average_mean_class_accuracy: float | None = None
    forgetting: float | None = None
    backward_transfer: float | None = None
    forward_transfer: float | None = None
    learning_accuracy: float | None = None
    seconds: float | None = None
    peak_memory_mb: float | None = None
    kept_bytes: float | None = None
    images_generated: float | None = None


class Spread(_Section):
    """A mean over ``n`` seeds, its standard deviation, and half the width of its 95 % interval."""

    mean: float | None = None
    std: float | None = None
    n: int = 0
    interval: float | None = None


class Summary(_Section):
    """One method over all its seeds."""

    average_accuracy: Spread = Spread()
    gap_closed: float | None = None


class Results(_Section):
    """The results of a run: each method with each seed, and a summary of each method."""

    recipe: str
    tasks: list[str]
    seeds: list[int]
    generator: str
    runs: list[Run]
    summary: dict[str, Summary] = {}
    environment: dict[str, Any] = {}
    config: dict[str, Any] = {}

    @model_validator(mode="after")
    def _check_sizes(self) -> Self:
        for run in self.runs:
            if len(run.accuracy) > len(self.tasks) or any(len(row) > len(self.tasks) for row in run.accuracy):
                raise ValueError(f"{run.method}, seed {run.seed}: more accuracies than tasks")
        return self

    @property
    def backbone(self) -> str | None:
        """The name of the backbone; None for a run of pixels."""
        found = self.config.get("backbone")
        return str(found.get("name")).partition("=")[0] if isinstance(found, dict) else None

    @property
    def drawn(self) -> str:
        """The name of what generators drew: images, or features."""
        return "features" if self.backbone else "images"

    @property
    def methods(self) -> list[str]:
        """The methods that were run: those of `METHODS` in its order, then others."""
        present = dict.fromkeys(run.method for run in self.runs)
        return [name for name in METHODS if name in present] + [name for name in present if name not in METHODS]

    @property
    def is_uneven(self) -> bool:
        """True if a mean over classes is another figure than an accuracy: classes differ in their test images."""
        return any(
            share is not None and mean is not None and not math.isclose(share, mean, abs_tol=1e-9)
            for run in self.runs
            for shares, means in zip(run.accuracy, run.mean_class_accuracy, strict=False)
            for share, mean in zip(shares, means, strict=False)
        )

    @property
    def scored_on(self) -> str:
        """The images that every accuracy is of: a recipe may hold out training images in the place of the test part."""
        return "validation images" if self.config.get("validation") else "real test images"

    @property
    def scenario_note(self) -> str:
        """The advantage of the scenario over telling all classes apart: a test image's task is given, or classes are
        merged; empty if it has none.
        """
        match self.config.get("scenario"):
            case "task":
                return "with each image's task given"
            case "domain":
                return "with classes numbered within each task"
        return ""

    def summary_of(self, method: str) -> Summary:
        """Return the summary of ``method``; an empty one if there is none."""
        return self.summary.get(method, Summary())

    def seed_mean(self, method: str, metric: RunMetric) -> float | None:
        """Return the mean over seeds of a number that runs report; None where no run has it."""
        return mean_of_known(getattr(run, metric) for run in self.runs if run.method == method)

    def num_rows(self, method: str) -> int:
        """Return how many rows the accuracy matrices of ``method`` have."""
        return max((len(run.accuracy) for run in self.runs if run.method == method), default=0)

    def accuracies(self, method: str, row: int, task: int) -> list[float]:
        """Return the accuracy after task ``row`` on ``task`` for each seed of ``method`` that has it.

        ``row`` may count from the end.
        """
        found = []
        for run in self.runs:
            if run.method != method or not -len(run.accuracy) <= row < len(run.accuracy):
                continue
            if task < len(run.accuracy[row]) and (value := run.accuracy[row][task]) is not None:
                found.append(value)
        return found

    def mean_accuracy(self, method: str, row: int, task: int) -> float | None:
        """Return the mean of `accuracies` over the seeds; None where no run has one."""
        return mean_of_known(self.accuracies(method, row, task))


def mean_of_known(values: Iterable[float | None]) -> float | None:
    """Return the mean of the values that are not None; None if all are."""
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None


def parse_results(document: Mapping[str, Any], where: str = FILE) -> Results:
    """Check a results document. Raises InputError, naming ``where`` and the first problem."""
    schema = document.get("schema")
    if schema != SCHEMA:
        newer = isinstance(schema, int) and schema > SCHEMA
        advice = ": update scholars" if newer else ""
        raise InputError(f"{where} has schema {schema!r}; this version of scholars reads schema {SCHEMA}{advice}")
    try:
        return Results.model_validate(document)
    except ValidationError as error:
        raise InputError(f"{where}: {first_problem(error)}") from None


def read_results(folder: Path) -> Results:
    """Read the results of the run in ``folder``. Raises InputError."""
    path = folder / FILE
    if not path.is_file():
        reason = "it is not the folder of a run"
        if (folder / "run.json").is_file():
            reason = "no method has finished yet; go on with the run by its command and --resume"
        raise InputError(f"{folder} has no {FILE}: {reason}")
    return parse_results(files.read_json(path), str(path))
