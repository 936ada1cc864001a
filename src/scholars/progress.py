"""What a person sees while a run goes on: task, stage, speed, time left. One plain line a stage without a terminal."""

from __future__ import annotations

import signal
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from scholars import lifetime
from scholars.boards import board
from scholars.errors import InputError
from scholars.experiment import Place, Watch
from scholars.fitting import Tick
from scholars.settings import ImageSettings
from scholars.tasks import Task, open_task
from scholars.terminal import urgent


@contextmanager
def watching(console: Console, events: Path | None = None) -> Iterator[Watch]:
    """A `Watch` that shows progress on ``console``, and stops the run, after its current step, on SIGINT or SIGTERM.

    events: a folder into which everything is written for TensorBoard, too
    """
    with _stop_on_signal(console) as stop, board(events) if events else nullcontext() as written:
        progress = _bar(console)
        display = _Display(console, progress)

        def on_tick(place: Place, tick: Tick) -> None:
            display.on_tick(place, tick)
            if written:
                written(place, tick)

        with progress:
            yield Watch(on_tick, display.on_row, display.on_note, stop.is_set)


@contextmanager
def learning(console: Console, task: str, seed: int, events: Path | None = None) -> Iterator[lifetime.Watch]:
    """The same for one scholar that learns one task."""
    place = Place(seed, "replay", task)
    with watching(console, events) as watch:
        yield lifetime.Watch(
            lambda tick: watch.on_tick(place, tick),
            lambda note: watch.on_note(place, note),
            watch.stopping,
        )


def open_tests(
    console: Console, sources: Sequence[str], shape: ImageSettings, data_dir: Path | None, classes: Sequence[str] | None
) -> list[Task]:
    """`open_watched` for each of the sources; those of one name are called as they were given: 2025/new, 2026/new."""
    if twice := [source for source, count in Counter(sources).items() if count > 1]:
        raise InputError(f"{twice[0]} is given twice: name each source once")
    tasks = [open_watched(console, source, shape, data_dir, classes) for source in sources]
    names = Counter(task.name for task in tasks)
    return [
        task if names[task.name] == 1 else replace(task, name=source)
        for task, source in zip(tasks, sources, strict=True)
    ]


def open_watched(
    console: Console, source: str, shape: ImageSettings, data_dir: Path | None, classes: Sequence[str] | None
) -> Task:
    """`open_task` for a scholar's images, with a bar while pictures are decoded."""
    with _bar(console) as progress:
        bar = progress.add_task(f"[bold]{escape(source)}[/]  reading", total=None, speed="")
        return open_task(
            source,
            data_dir=data_dir,
            classes=classes,
            size=shape.size,
            channels=shape.channels,
            on_progress=lambda done, total: progress.update(bar, completed=done, total=total),
        )


def _audible(console: Console) -> Console:
    """For what the owner of a scholar should know: not a second console beside a bar that is shown."""
    return urgent if console.quiet else console


def _bar(console: Console) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


class _Display:
    def __init__(self, console: Console, progress: Progress) -> None:
        self._console, self._progress = console, progress
        self._bar = progress.add_task("starting", total=None, speed="")
        self._shown: tuple[Place, str] | None = None

    def on_tick(self, place: Place, tick: Tick) -> None:
        if self._shown != (place, tick.stage):
            self._shown = (place, tick.stage)
            self._progress.reset(self._bar, total=tick.steps)
            if not self._console.is_terminal:
                self._console.print(f"{place.task}: {place.method}, {tick.stage}, {tick.steps} steps", markup=False)
        self._progress.update(
            self._bar,
            completed=tick.step,
            description=f"[bold]{escape(place.task)}[/]  {place.method}  {tick.stage}",
            speed=f"{tick.images_per_second:,.0f} images/s" if tick.images_per_second else "",
        )

    def on_row(self, place: Place, row: Sequence[float]) -> None:
        figures = "  ".join(f"{100 * value:.1f} %" for value in row)
        self._console.print(
            f"seed {place.seed}, {place.method}, after {place.task}: {figures}", highlight=False, markup=False
        )

    def on_note(self, place: Place, note: str) -> None:
        _audible(self._console).print(note, highlight=False, markup=False, soft_wrap=True)


@contextmanager
def _stop_on_signal(console: Console) -> Iterator[threading.Event]:
    stop = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        console.print("Stopping after this step; once more to stop at once.")

    signals = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, on_signal) for number in signals}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
