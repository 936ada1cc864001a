"""Write training metrics for TensorBoard."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from scholars.errors import extra_missing
from scholars.learning.callbacks import Position
from scholars.training.meter import Tick

OnTick = Callable[[Position, Tick], None]


@contextmanager
def tensorboard_writer(folder: Path) -> Iterator[OnTick]:
    """Yield a callback that writes every tick into ``folder``: a run for each seed and method, a curve for each metric.

    A curve is called TASK/STAGE/METRIC; its x-axis is the steps of the stage. Raises InputError without TensorBoard.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise extra_missing("--tensorboard", "tensorboard") from None
    writers: dict[str, SummaryWriter] = {}

    def on_tick(position: Position, tick: Tick) -> None:
        run = f"{position.seed}-{position.method}"
        if run not in writers:
            writers[run] = SummaryWriter(folder / run)
        for name, value in {**tick.metrics, "images_per_second": tick.images_per_second}.items():
            writers[run].add_scalar(f"{position.task}/{tick.stage}/{name}", value, tick.step)

    try:
        yield on_tick
    finally:
        for writer in writers.values():
            writer.close()
