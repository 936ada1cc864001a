"""The pictures of a run, from what it left in its folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from scholars import store
from scholars.errors import InputError
from scholars.report import plots
from scholars.scholar import Scholar


def illustrate(folder: Path) -> None:
    """Write ``accuracy.png``, ``losses.png`` and, where there are scholars, ``dreams.png`` into a run's folder."""
    results = store.read_json(folder / "results.json")
    plots.save(plots.accuracy(results), folder / "accuracy.png")
    ticks = _ticks(folder / "metrics.jsonl")
    if ticks:
        plots.save(plots.losses(ticks), folder / "losses.png")
    scholars = sorted((path for path in (folder / "scholars").glob("*") if path.name.isdigit()), key=_generation)
    samples, _ = store.read_tensors(folder / "samples.safetensors")
    grids = [(f"real {name}", samples[name].numpy()) for name in results["tasks"]]
    for path in scholars:
        count = len(next(iter(samples.values())))
        dreams = Scholar.load(path).dream(count)[0]
        grids.append((f"dreams of generation {path.name}", dreams.numpy()))
    plots.save(plots.dreams(grids), folder / "dreams.png")


def _generation(path: Path) -> int:
    return int(path.name)


def _ticks(path: Path) -> list[dict[str, Any]]:
    """The metrics log. A resumed run may have logged a position twice: the later line counts."""
    if not path.is_file():
        return []
    latest: dict[tuple[Any, ...], dict[str, Any]] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            tick = json.loads(line)
            latest[tuple(tick[key] for key in ("seed", "method", "task", "stage", "step"))] = tick
        except (ValueError, KeyError, TypeError):
            raise InputError(f"{path}, line {number}: not a line of a metrics log") from None
    return list(latest.values())
