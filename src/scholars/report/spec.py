"""What the charts of a page share: how a method looks, and how names fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scholars.report.methods import look

Spec = dict[str, Any]
_LEGEND = {"orient": "top", "title": None, "symbolOpacity": 1}
# Matplotlib's markers, as Vega calls them, or the nearest that can be filled.
_SHAPES = {
    "o": "circle",
    "v": "triangle-down",
    "s": "square",
    "P": "cross",
    "X": "triangle-up",
    "D": "diamond",
}
# Legible on white and on black.
MUTED = "#8A949C"
SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"


def shortened(most: int) -> str:
    """A name as an axis has room for it: beginning and end, for names often differ in their last part only."""
    half = most // 2
    ends = f"slice(datum.label, 0, {half}) + '…' + slice(datum.label, -{half})"
    return f"length(datum.label) > {most} ? {ends} : datum.label"


def by_method(methods: Sequence[str]) -> Spec:
    """A colour for each method, the same in every chart."""
    scale = {"domain": list(methods), "range": [look(method).colour for method in methods]}
    return {"color": {"field": "method", "scale": scale, "legend": _LEGEND}}


def by_shape(methods: Sequence[str]) -> Spec:
    """So that colour alone carries nothing; the same legend as that of the colours, or there would be two."""
    scale = {"domain": list(methods), "range": [_SHAPES[look(method).marker] for method in methods]}
    return {"shape": {"field": "method", "scale": scale, "legend": _LEGEND}}
