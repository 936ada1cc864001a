"""What training reports, for TensorBoard."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from scholars.errors import extra_missing
from scholars.experiment import Place
from scholars.fitting import Tick

OnTick = Callable[[Place, Tick], None]


@contextmanager
def board(folder: Path) -> Iterator[OnTick]:
    """Something that writes every tick into ``folder``: a run for each seed and method, a curve for each metric.

    Curves are called TASK/STAGE/METRIC and drawn over the steps of the stage. Raises InputError without TensorBoard.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise extra_missing("--tensorboard", "tensorboard") from None
    writers: dict[str, SummaryWriter] = {}

    def on_tick(place: Place, tick: Tick) -> None:
        run = f"{place.seed}-{place.method}"
        if run not in writers:
            writers[run] = SummaryWriter(folder / run)
        for name, value in {**tick.metrics, "images_per_second": tick.images_per_second}.items():
            writers[run].add_scalar(f"{place.task}/{tick.stage}/{name}", value, tick.step)

    try:
        yield on_tick
    finally:
        for writer in writers.values():
            writer.close()
