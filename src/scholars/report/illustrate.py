"""The pictures of a run, from what it left in its folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from scholars import store
from scholars.errors import InputError
from scholars.keepsakes import read_samples
from scholars.report import plots
from scholars.scholar import Scholar

# Of each generation, as many as fill four rows.
_DREAMS = 80


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
    """A run's metrics log. A resumed run may have logged a position twice: the later line counts."""
    path = folder / "metrics.jsonl"
    if not path.is_file():
        return []
    latest: dict[tuple[Any, ...], dict[str, Any]] = {}
    # What is no text is no JSON either: its line is named.
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        try:
            tick = json.loads(line)
            latest[tuple(tick[key] for key in ("seed", "method", "task", "stage", "step"))] = tick
        except (ValueError, KeyError, TypeError, RecursionError):
            raise InputError(f"{path}, line {number}: not a line of a metrics log") from None
    return list(latest.values())
