"""Labels at the ends of lines, near to them and clear of one another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from scipy.optimize import isotonic_regression

from scholars.report.methods import look

LABEL_HEIGHT = 6.5  # a label's height in a panel of the accuracy picture, in percent of accuracy


def label_ends(axes: Axes, ends: Mapping[str, float]) -> None:
    """Write each method and its final figure, in percent, to the right of the panel."""
    methods = sorted(ends, key=lambda method: ends[method])
    for method, height in zip(methods, apart([ends[method] for method in methods]), strict=True):
        colour = look(method).colour
        axes.annotate(
            f"{method} {ends[method]:.1f}",
            xy=(1.0, ends[method]),
            xycoords=("axes fraction", "data"),
            xytext=(1.07, height),
            textcoords=("axes fraction", "data"),
            arrowprops={"arrowstyle": "-", "color": colour, "lw": 0.8, "relpos": (0, 0.5), "shrinkA": 0},
            va="center",
            color=colour,
            fontsize=9,
            fontweight="bold" if method == "replay" else "normal",
        )


def apart(heights: Sequence[float]) -> npt.NDArray[np.float64]:
    """The places nearest to the ascending ``heights`` that are a label's height apart and inside the panel.

    With the gaps taken out, what is left is to be non-decreasing and as near as can be: isotonic regression.
    """
    if not heights:
        return np.empty(0)
    gaps = LABEL_HEIGHT * np.arange(len(heights))
    fitted = isotonic_regression(np.asarray(heights, dtype=np.float64) - gaps).x
    return np.asarray(np.clip(fitted, 2.0, max(2.0, 100.0 - gaps[-1])) + gaps)
