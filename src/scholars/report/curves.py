"""The losses in a metrics log, sorted into curves."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple


class Panel(NamedTuple):
    """What curves are compared within: one loss of one stage of training."""

    stage: str
    metric: str


class Line(NamedTuple):
    """One method on one task."""

    method: str
    task: str


Curve = dict[int, float]  # step -> value


def read_curves(ticks: Iterable[Mapping[str, Any]]) -> dict[Panel, dict[Line, Curve]]:
    """The first seed's losses. A step that was taken twice, before and after a resume, counts as the second time."""
    curves: dict[Panel, dict[Line, Curve]] = defaultdict(lambda: defaultdict(dict))
    first: int | None = None
    for tick in ticks:
        first = tick["seed"] if first is None else first
        if tick["seed"] != first:
            continue
        for metric, value in tick["metrics"].items():
            if _is_loss(metric) and math.isfinite(value):
                curves[Panel(tick["stage"], metric)][Line(tick["method"], tick["task"])][tick["step"]] = value
    return curves


def _is_loss(metric: str) -> bool:
    return metric.endswith("loss") or metric in ("wasserstein", "penalty")
