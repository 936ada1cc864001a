"""Show progress: task, stage, speed, time left on a terminal; elsewhere a plain line for each stage."""

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

from scholars.cli.console import print_line, urgent
from scholars.cli.tensorboard import tensorboard_writer
from scholars.errors import InputError
from scholars.learning.callbacks import Callbacks, Position
from scholars.settings import Fit, Settings
from scholars.tasks.open import open_task
from scholars.tasks.task import Task
from scholars.training.meter import Tick


@contextmanager
def show_progress(console: Console, events: Path | None = None) -> Iterator[Callbacks]:
    """Yield callbacks that show progress on ``console``, and stop the work on SIGINT or SIGTERM after its current step.

    events: a folder in which to write the metrics for TensorBoard, too
    """
    with (
        _stop_on_signal(console) as stop,
        tensorboard_writer(events) if events else nullcontext() as write_events,
        _progress_bar(console) as progress,
    ):
        display = _Display(console, progress)

        def on_tick(position: Position, tick: Tick) -> None:
            display.on_tick(position, tick)
            if write_events:
                write_events(position, tick)

        yield Callbacks(on_tick, display.on_row, display.on_note, stop.is_set)


def open_tests(
    console: Console,
    sources: Sequence[str],
    settings: Settings,
    data_dir: Path | None,
    classes: Sequence[str] | None,
    skip_unreadable: bool = False,
    known: Sequence[str] = (),
) -> list[Task]:
    """Open each source, with progress bars, and say which files are left out.

    Tasks of one name are named by their sources: 2025/new, 2026/new.
    """
    if repeated := [source for source, count in Counter(sources).items() if count > 1]:
        raise InputError(f"{repeated[0]} is given twice: give each source once")
    tasks = [
        open_task_with_progress(console, source, settings, data_dir, classes, skip_unreadable, known)
        for source in sources
    ]
    for task in tasks:
        for remark in task.remarks:
            print_line(f"{task.name}: {remark}", urgent)
    names = Counter(task.name for task in tasks)
    return [
        task if names[task.name] == 1 else replace(task, name=source)
        for task, source in zip(tasks, sources, strict=True)
    ]


def open_task_with_progress(
    console: Console,
    source: str,
    settings: Settings | None,
    data_dir: Path | None,
    classes: Sequence[str] | None,
    skip_unreadable: bool = False,
    known: Sequence[str] = (),
    fit: Fit = "crop",
) -> Task:
    """Open a source in a scholar's image shape, with a progress bar while images are decoded.

    settings: the scholar's; those in files are not decoded yet where it has a backbone, or where it is not known (None)
    fit: ``image.fit`` of a scholar whose settings are not known
    """
    shape = settings.image if settings and not settings.backbone else None
    with _progress_bar(console) as progress:
        bar = progress.add_task(f"[bold]{escape(source)}[/]  reading", total=None, speed="")
        return open_task(
            source,
            data_dir=data_dir,
            classes=classes,
            known=known,
            size=shape.size if shape else None,
            channels=shape.channels if shape else None,
            fit=settings.image.fit if settings else fit,
            decode=shape is not None,
            skip_unreadable=skip_unreadable,
            on_progress=lambda done, total: progress.update(bar, completed=done, total=total),
        )


def _progress_bar(console: Console) -> Progress:
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
    """Callbacks that update a progress bar."""

    def __init__(self, console: Console, progress: Progress) -> None:
        self._console, self._progress = console, progress
        self._bar = progress.add_task("starting", total=None, speed="")
        self._shown: tuple[Position, str] | None = None

    def on_tick(self, position: Position, tick: Tick) -> None:
        if self._shown != (position, tick.stage):
            self._shown = (position, tick.stage)
            self._progress.reset(self._bar, total=tick.steps)
            if not self._console.is_terminal:
                self._console.print(
                    f"{position.task}: {position.method}, {tick.stage}, {tick.steps} steps", markup=False
                )
        self._progress.update(
            self._bar,
            completed=tick.step,
            description=f"[bold]{escape(position.task)}[/]  {position.method}  {tick.stage}",
            speed=f"{tick.images_per_second:,.0f} images/s" if tick.images_per_second else "",
        )

    def on_row(self, position: Position, row: Sequence[float]) -> None:
        figures = "  ".join(f"{100 * value:.1f} %" for value in row)
        self._console.print(
            f"seed {position.seed}, {position.method}, after {position.task}: {figures}", highlight=False, markup=False
        )

    def on_note(self, position: Position, note: str) -> None:
        # Also with --quiet; but not on another console while this one shows a bar.
        print_line(note, urgent if self._console.quiet else self._console)


@contextmanager
def _stop_on_signal(console: Console) -> Iterator[threading.Event]:
    """Yield an event that the first SIGINT or SIGTERM sets; the second raises KeyboardInterrupt."""
    stop = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        console.print("Stopping after this step. Press Ctrl-C again to stop at once.")

    signals = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, on_signal) for number in signals}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
