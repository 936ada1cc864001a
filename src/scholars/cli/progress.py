"""Show progress: task, stage, speed, time left on a terminal; elsewhere a plain line for each stage."""

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from scholars.cli.console import print_line, urgent
from scholars.cli.tensorboard import tensorboard_writer
from scholars.learning.callbacks import Callbacks, Position
from scholars.training.meter import Tick


@contextmanager
def show_progress(console: Console, events: Path | None = None) -> Iterator[Callbacks]:
    """Yield callbacks that show progress on ``console``, and stop the work on SIGINT or SIGTERM after its current step.

    events: a folder in which to write the metrics for TensorBoard, too
    """
    with (
        _stop_on_signal(console) as stop,
        tensorboard_writer(events) if events else nullcontext() as write_events,
        progress_bar(console) as progress,
    ):
        display = _Display(console, progress)

        def on_tick(position: Position, tick: Tick) -> None:
            display.on_tick(position, tick)
            if write_events:
                write_events(position, tick)

        yield Callbacks(on_tick, display.on_row, display.on_note, stop.is_set, display.on_plan)


def progress_bar(console: Console) -> Progress:
    """Return a progress bar, which shows nothing where there is no terminal."""
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

    def on_plan(self, position: Position, line: str) -> None:
        print_line(line, self._console)

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
