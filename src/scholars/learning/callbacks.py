"""Functions that are called with progress, accuracies and notes while scholars learn, and one that can stop it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from scholars.training.meter import Tick


@dataclass(frozen=True)
class Position:
    """A place in an experiment: its seed, method (``replay``, ``naive``, ...) and task."""

    seed: int
    method: str
    task: str


@dataclass(frozen=True)
class Callbacks:
    """Functions that are called while scholars learn.

    on_tick: training progress, about a hundred times a stage
    on_row: the accuracies after a task, one per task so far; also of tasks that an interrupted run had learned before
    on_note: what the user should know: one sentence each
    on_plan: what `teach` is about to learn, a line each; None: nobody asks, and the time it takes is not estimated
    stopping: True asks to stop; the same call resumes
    """

    on_tick: Callable[[Position, Tick], None] = field(default=lambda position, tick: None)
    on_row: Callable[[Position, Sequence[float]], None] = field(default=lambda position, row: None)
    on_note: Callable[[Position, str], None] = field(default=lambda position, note: None)
    stopping: Callable[[], bool] = field(default=lambda: False)
    on_plan: Callable[[Position, str], None] | None = None


def keep_last(metrics: dict[str, dict[str, float]], on_tick: Callable[[Tick], None]) -> Callable[[Tick], None]:
    """Return an ``on_tick`` that also keeps each stage's latest report in ``metrics``."""

    def keep(tick: Tick) -> None:
        metrics[tick.stage] = dict(tick.metrics)
        on_tick(tick)

    return keep
