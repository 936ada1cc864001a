"""Find what became slower: a fresh measurement beside the kept one, ratio by ratio."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

# By how much a ratio may be lower: two measurements of one program differ by less.
TOLERANCE = 0.15


def comparable_ratios(document: Mapping[str, Any]) -> dict[str, float]:
    """Return all that is compared of a document of speed.py, by name; more is better."""
    return dict(_ratios(document))


def _ratios(document: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for name, row in document["stages"].items():
        yield f"{name}: {row['unit']} over {row['reference']}", row["ratio"]["median"]
        if "outside" in row:
            yield f"{name}: share of forward, backward and optimizer", 1 - row["outside"]["median"]
    for name, row in document.get("processes", {}).items():
        yield f"{name}: two processes over one", row["ratio"]


def find_slowdowns(kept: Mapping[str, float], fresh: Mapping[str, float]) -> dict[str, str]:
    """Return name -> before and after, for each ratio that is more than `TOLERANCE` lower, or is gone."""
    found = {}
    for name, before in kept.items():
        after = fresh.get(name)
        if after is None:
            found[name] = "is no longer measured"
        elif after < before * (1 - TOLERANCE):
            found[name] = f"{after:.4g} now, {before:.4g} in the table ({100 * (after / before - 1):+.0f} %)"
    return found
