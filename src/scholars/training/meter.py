"""Progress reports of a training: means of the logged values, images a second."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from scholars.compute.device import Fabric
from scholars.compute.processes import all_reduce_metrics
from scholars.training.batches import Batch


@dataclass(frozen=True)
class Tick:
    """A progress report: means of the logged values since the last one."""

    stage: str
    step: int
    steps: int
    metrics: Mapping[str, float]
    images_per_second: float


class Meter:
    """Means of the logged values since the last report; its notes let a resumed training report the same."""

    def __init__(self) -> None:
        self._last: dict[str, float] = {}
        self._sums: dict[str, Tensor] = {}
        self._steps = 0
        self._restart()

    def notes(self) -> str:
        """Return the state as JSON."""
        sums = {name: float(value) for name, value in self._sums.items()}
        return json.dumps({"sums": sums, "steps": self._steps, "last": self._last})

    def restore(self, notes: str) -> None:
        """Restore the state from `notes`."""
        noted = json.loads(notes)
        self._sums = {name: torch.tensor(value) for name, value in noted["sums"].items()}
        self._steps, self._last = noted["steps"], noted["last"]

    def _restart(self) -> None:
        self._sums = {}
        self._steps = self._images = 0
        self._since = time.perf_counter()

    def counted(self, draw: Callable[[], Batch]) -> Callable[[], Batch]:
        """Return a ``draw`` whose images are counted."""

        def wrapped() -> Batch:
            batch = draw()
            self._images += len(batch.inputs)
            return batch

        return wrapped

    def add(self, values: Mapping[str, Tensor]) -> None:
        """Add the logged values of one step."""
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, torch.zeros_like(value)) + value
        self._steps += 1

    def tick(self, stage: str, step: int, steps: int, fabric: Fabric) -> Tick:
        """Return a report of the steps since the last one; the means are over all processes."""
        if self._steps:
            means = {name: float(total) / self._steps for name, total in self._sums.items()}
            self._last = all_reduce_metrics(fabric, means)
        seconds = time.perf_counter() - self._since
        images = self._images * fabric.world_size
        tick = Tick(stage, step, steps, self._last, images / seconds if seconds > 0 else 0.0)
        self._restart()
        return tick
