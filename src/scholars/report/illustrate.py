"""The pictures of a run, from what it left in its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from scholars import store
from scholars.errors import InputError
from scholars.keepsakes import read_samples
from scholars.report import plots
from scholars.scholar import Scholar

# Of each generation, as many as fill four rows.
_DREAMS = 80


class _Logged(BaseModel):
    """A line of the metrics log: a `Tick`, and where in the run it was."""

    seed: int
    method: str
    task: str
    stage: str
    step: int
    steps: int = 0
    metrics: dict[str, float]
    images_per_second: float = 0.0


def illustrate(folder: Path) -> None:
    """Write ``accuracy.png``, ``losses.png`` and, where there are scholars, ``dreams.png`` into a run's folder."""
    results = store.read_json(folder / "results.json")
    plots.save(plots.accuracy(results), folder / "accuracy.png")
    ticks = read_ticks(folder)
    if ticks:
        plots.save(plots.losses(ticks), folder / "losses.png")
    real = read_samples(folder)
    grids = [(f"real {name}", real[name].images.numpy()) for name in results["tasks"]]
    for path in generations(folder):
        dreams = Scholar.load(path).dream(_DREAMS)[0]
        grids.append((f"dreams of generation {path.name}", dreams.numpy()))
    plots.save(plots.dreams(grids), folder / "dreams.png")


def generations(folder: Path) -> list[Path]:
    """The folders of a run's scholars, the first generation first."""
    found = (path for path in (folder / "scholars").glob("*") if path.name.isdigit())
    return sorted(found, key=lambda path: int(path.name))


def read_ticks(folder: Path) -> list[dict[str, Any]]:
    """A run's metrics log. A resumed run may have logged a position twice: the later line counts.

    A last line that was cut off, without a line end, is passed over. Raises InputError for any other that is none of a
    log.
    """
    path = folder / "metrics.jsonl"
    if not path.is_file():
        return []
    latest: dict[tuple[int, str, str, str, int], dict[str, Any]] = {}
    # What is no text is no JSON either: its line is named.
    *lines, rest = path.read_text(encoding="utf-8", errors="replace").split("\n")
    for number, line in enumerate([*lines, rest] if rest else lines, start=1):
        try:
            tick = _Logged.model_validate_json(line)
        except ValidationError:
            if number > len(lines):
                break
            raise InputError(f"{path}, line {number}: not a line of a metrics log") from None
        latest[tick.seed, tick.method, tick.task, tick.stage, tick.step] = tick.model_dump()
    return list(latest.values())
