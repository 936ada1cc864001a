"""Draw the pictures of a run, from what it left in its folder, as PNGs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from torch import Tensor

from scholars.errors import InputError
from scholars.experiments.samples import read_samples
from scholars.report.charts import SCHEMA, Spec, chart_accuracy, write_png
from scholars.report.curves import chart_losses
from scholars.report.formatting import truncate
from scholars.report.results import read_results
from scholars.scholar import Scholar
from scholars.storage.image_files import data_uri, encode_png, tile_images

_NUM_DREAMS = 80  # of each generation: four rows
_DREAM_COLUMNS = 20
_DREAM_WIDTH = 1600  # pixels, about


class _LogLine(BaseModel):
    """A line of the metrics log: a `Tick`, and where in the run it was."""

    seed: int
    method: str
    task: str
    stage: str
    step: int
    steps: int = 0
    metrics: dict[str, float]
    images_per_second: float = 0.0


def draw_figures(folder: Path) -> None:
    """Write ``accuracy.png`` into a run's folder, ``losses.png`` if losses were logged, and ``dreams.png``.

    With a backbone ``photographs.png`` instead of that: its dreams have no picture.
    """
    results = read_results(folder)
    write_png(chart_accuracy(results), folder / "accuracy.png")
    if losses := chart_losses(read_ticks(folder)):
        write_png(losses, folder / "losses.png")
    real = read_samples(folder)
    grids = {f"real {name}": real[name].images for name in results.tasks}
    if not results.backbone:
        for path in scholar_folders(folder):
            grids[f"dreams of generation {path.name}"] = Scholar.load(path).dream(_NUM_DREAMS)[0]
    write_png(show_images(grids), folder / f"{'photographs' if results.backbone else 'dreams'}.png", scale=1)


def show_images(grids: Mapping[str, Tensor]) -> Spec:
    """Draw images ``[N, C, H, W]`` uint8 below their titles, each pixel as a square of whole pixels."""
    return {
        "$schema": SCHEMA,
        "vconcat": [_show_grid(truncate(title, 60), images) for title, images in grids.items() if len(images)],
        "config": {"title": {"anchor": "start", "fontSize": 22}},
    }


def _show_grid(title: str, images: Tensor) -> Spec:
    gap = max(1, images.shape[-1] // 16)
    columns = max(1, min(_DREAM_COLUMNS, _DREAM_WIDTH // (images.shape[-1] + gap)))
    grid = tile_images(images, columns, gap)
    zoom = max(1, round(_DREAM_WIDTH / grid.shape[-1]))
    grid = grid.repeat_interleave(zoom, 1).repeat_interleave(zoom, 2)
    size = {"width": grid.shape[2], "height": grid.shape[1]}
    return {
        "title": title,
        **size,
        "data": {"values": [{"url": data_uri(encode_png(grid))}]},
        "mark": {"type": "image", "align": "left", "baseline": "top", **size},
        "encoding": {"url": {"field": "url"}, "x": {"value": 0}, "y": {"value": 0}},
    }


def scholar_folders(run: Path) -> list[Path]:
    """Return the folders of a run's scholars, the first generation first."""
    found = (path for path in (run / "scholars").glob("*") if path.name.isdigit())
    return sorted(found, key=lambda path: int(path.name))


def read_ticks(folder: Path) -> list[dict[str, Any]]:
    """Read a run's metrics log. A resumed run may have logged a position twice: the later line counts.

    A last line that was cut off, without a line end, is passed over. Raises InputError for any other line that is not
    one of a metrics log.
    """
    path = folder / "metrics.jsonl"
    if not path.is_file():
        return []
    latest: dict[tuple[int, str, str, str, int], dict[str, Any]] = {}
    # Bytes that are no text are no JSON either: the line is refused below.
    *lines, rest = path.read_text(encoding="utf-8", errors="replace").split("\n")
    for number, line in enumerate([*lines, rest] if rest else lines, start=1):
        try:
            tick = _LogLine.model_validate_json(line)
        except ValidationError:
            if number > len(lines):
                break
            raise InputError(f"{path}, line {number}: not a line of a metrics log") from None
        latest[tick.seed, tick.method, tick.task, tick.stage, tick.step] = tick.model_dump()
    return list(latest.values())
