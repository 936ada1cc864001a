"""Whether anything became slower: a fresh measurement beside the checked-in table, ratio by ratio."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

# How much worse a ratio may be before it is called worse: two measurements of one program differ by less.
TOLERANCE = 0.15


def ratios(document: Mapping[str, Any]) -> dict[str, float]:
    """Everything in a document of speed.py that is compared, by name; more is better."""
    return dict(_ratios(document))


def _ratios(document: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for name, row in document["stages"].items():
        yield f"{name}: {row['unit']} over {row['yardstick']}", row["ratio"]["median"]
        if "outside" in row:
            yield f"{name}: share of forward, backward and optimizer", 1 - row["outside"]["median"]
    for name, row in document.get("team", {}).items():
        yield f"{name}: two processes over one", row["ratio"]


def worse(kept: Mapping[str, float], fresh: Mapping[str, float]) -> dict[str, str]:
    """Name -> what became of it, for each ratio that is more than `TOLERANCE` worse, or is gone."""
    found = {}
    for name, before in kept.items():
        after = fresh.get(name)
        if after is None:
            found[name] = "is no longer measured"
        elif after < before * (1 - TOLERANCE):
            found[name] = f"{after:.4g} now, {before:.4g} in the table ({100 * (after / before - 1):+.0f} %)"
    return found
