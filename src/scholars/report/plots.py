"""The pictures of a run: functions from plain data to a matplotlib figure, without pyplot's global state.

Names of tasks come from people: text that holds one is never read as a formula (``parse_math=False``).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scholars import store
from scholars.report.curves import Curve, read_curves
from scholars.report.labels import label_ends
from scholars.report.methods import legend, look
from scholars.report.results import Results, parse

DPI = 160
_INK = "#222222"
_SOFT = "#767676"
_FAINT = "#DDDDDD"
_SHADE = "#F3F3F3"
_PANEL = (3.4, 3.0)  # inches
_DREAM_COLUMNS = 20
_DREAM_WIDTH = 1600  # pixels, about


def save(figure: Figure, path: Path) -> None:
    """Write ``figure`` as a PNG, atomically."""
    with store.replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=DPI)


def accuracy(results: Mapping[str, Any]) -> Figure:
    """How the accuracy on each task changes while later tasks are learned: a panel a task, a line a method.

    Lines are means over seeds, bands reach from the worst seed to the best; joint training is a dashed level.
    """
    found = parse(results)
    count = len(found.tasks)
    names = [_short(name) for name in found.tasks]
    slanted = count > 1 and sum(len(name) + 2 for name in names) > 32
    figure, panels = _panels(count)
    for task, axes in enumerate(panels):
        _title(axes, _short(found.tasks[task], 30))
        axes.set_ylim(0, 100)
        axes.set_xlim(-0.4, count - 1 + (0.2 if count > 1 else 0.4))
        ticks = axes.set_xticks(range(count), names, parse_math=False)
        if slanted:
            for tick in ticks:
                tick.label1.set(rotation=45, ha="right", rotation_mode="anchor")
        _shade_unlearned(axes, task, count)
        ends = {method: _draw_course(axes, found, method, task) for method in found.methods}
        label_ends(axes, {method: end for method, end in ends.items() if end is not None})
    figure.supylabel("accuracy, %", fontsize=10, color=_INK)
    figure.supxlabel("after learning", fontsize=10, color=_INK)
    _legend(figure, panels)
    return figure


def dreams(grids: Sequence[tuple[str, npt.NDArray[np.uint8]]]) -> Figure:
    """Images under their titles, one block for each (title, images ``[N, C, H, W]`` uint8, C 1 or 3)."""
    blocks = [(title, _mosaic(images)) for title, images in grids if len(images)]
    # A whole number of pixels for each pixel of an image, so that all come out equally large.
    scales = [max(1, round(_DREAM_WIDTH / block.shape[1])) / DPI for _, block in blocks]
    widths = [scale * block.shape[1] for scale, (_, block) in zip(scales, blocks, strict=True)]
    heights = [scale * block.shape[0] for scale, (_, block) in zip(scales, blocks, strict=True)]
    margin, heading = 0.1, 0.35
    full_width, top = max(widths, default=1.0) + 2 * margin, sum(heights) + heading * len(blocks) + margin
    figure = Figure(figsize=(full_width, top), facecolor="white")
    full_height = top
    for (title, block), width, height in zip(blocks, widths, heights, strict=True):
        top -= heading + height
        place = (margin / full_width, top / full_height, width / full_width, height / full_height)
        axes = figure.add_axes(place)
        axes.imshow(block, interpolation="nearest", aspect="auto")
        axes.set_axis_off()
        _title(axes, title)
    return figure


def losses(ticks: Iterable[Mapping[str, Any]]) -> Figure:
    """Training curves of the first seed from the lines of the metrics log: a panel for each loss of each stage.

    Tasks follow one another along the x axis; a line is one method on one task. Joint training, which learns them all
    at once, begins at the left.
    """
    curves = read_curves(ticks)
    figure, panels = _panels(len(curves))
    for (panel, lines), axes in zip(curves.items(), panels, strict=True):
        _title(axes, f"{panel.stage}: {panel.metric.replace('_', ' ')}")
        stream = {line: curve for line, curve in lines.items() if line.method != "joint"}
        start = 0
        for task in dict.fromkeys(line.task for line in stream):
            here = {line.method: curve for line, curve in stream.items() if line.task == task}
            _mark_start(axes, task, start)
            for method, curve in here.items():
                _draw_curve(axes, method, curve, start)
            start += max(max(curve) for curve in here.values())
        for line, curve in lines.items():
            if line not in stream:
                _draw_curve(axes, line.method, curve, 0)
        values = [value for curve in lines.values() for value in curve.values()]
        if min(values) > 0 and max(values) > 10 * min(values):
            axes.set_yscale("log")
    figure.supxlabel("training step, task after task", fontsize=10, color=_INK)
    _legend(figure, panels)
    return figure


def _mark_start(axes: Axes, task: str, start: int) -> None:
    """Say where on the x axis a task begins."""
    axes.axvline(start, color=_FAINT, linewidth=1, zorder=1)
    axes.annotate(
        _short(task),
        (start, 1),
        (3, -3),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        va="top",
        color=_SOFT,
        fontsize=8,
        parse_math=False,
    )


def _draw_curve(axes: Axes, method: str, curve: Curve, start: int) -> None:
    steps = sorted(curve)
    axes.plot(
        [start + step for step in steps],
        [curve[step] for step in steps],
        color=look(method).colour,
        linewidth=1.2,
        zorder=4 if method == "replay" else 3,
        label=legend(method),
    )


def _panels(count: int) -> tuple[Figure, list[Axes]]:
    """A figure with ``count`` plain panels in rows of a few."""
    columns = max(1, count if count <= 3 else min(4, math.ceil(math.sqrt(count))))
    rows = max(1, math.ceil(count / columns))
    size = (max(columns * _PANEL[0], 7.0), rows * _PANEL[1] + 0.9)
    figure = Figure(figsize=size, layout="constrained", facecolor="white")
    panels = [figure.add_subplot(rows, columns, place + 1) for place in range(count)]
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color("#AAAAAA")
        axes.grid(axis="y", color=_FAINT, linewidth=0.7)
        axes.set_axisbelow(True)
        axes.tick_params(labelsize=9, color="#AAAAAA", labelcolor=_INK)
    return figure, panels


def _title(axes: Axes, text: str) -> None:
    axes.set_title(text, parse_math=False, loc="left", fontsize=11, fontweight="bold", color=_INK, pad=7)


def _shade_unlearned(axes: Axes, task: int, count: int) -> None:
    """Say why the left of a later task's panel is empty."""
    if task == 0:
        return
    left, right = axes.get_xlim()[0], task - 0.5
    axes.axvspan(left, right, color=_SHADE, linewidth=0, zorder=0)
    if task / count > 0.25:
        axes.text((left + right) / 2, 50, "not yet\nlearned", ha="center", va="center", color=_SOFT, fontsize=8.5)


def _draw_course(axes: Axes, results: Results, method: str, task: int) -> float | None:
    """Draw one method into one task's panel; return where it ends, in percent."""
    style = look(method)
    if method == "joint":
        level = [100 * value for value in results.accuracies(method, -1, task)]
        if not level:
            return None
        axes.axhline(
            float(np.mean(level)),
            color=style.colour,
            linestyle=(0, (4, 3)),
            linewidth=1.3,
            zorder=2,
            label=legend(method),
        )
        if len(level) > 1:
            axes.axhspan(min(level), max(level), color=style.colour, alpha=0.12, linewidth=0)
        return float(np.mean(level))
    courses = {row: results.accuracies(method, row, task) for row in range(task, results.rows(method))}
    seeds = {row: [100 * value for value in values] for row, values in courses.items() if values}
    if not seeds:
        return None
    means = [float(np.mean(values)) for values in seeds.values()]
    hero = method == "replay"
    axes.plot(
        list(seeds),
        means,
        color=style.colour,
        marker=style.marker,
        linewidth=3.2 if hero else 1.7,
        markersize=8 if hero else 5.5,
        zorder=5 if hero else 4,
        clip_on=False,
        label=legend(method),
    )
    if any(len(values) > 1 for values in seeds.values()):
        low, high = [min(values) for values in seeds.values()], [max(values) for values in seeds.values()]
        axes.fill_between(list(seeds), low, high, color=style.colour, alpha=0.18, linewidth=0, zorder=3)
    return means[-1]


def _legend(figure: Figure, panels: Sequence[Axes]) -> None:
    """Say above the panels what each method's line is."""
    lines = {str(line.get_label()): line for axes in panels for line in axes.lines}
    handles = [line for label, line in lines.items() if not label.startswith("_")]
    figure.legend(handles=handles, loc="outside upper left", ncols=2, frameon=False, fontsize=9, labelcolor=_INK)


def _mosaic(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """``[N, C, H, W]`` -> ``[height, width, 3]``: the images side by side on white."""
    count, _, height, width = images.shape
    gap = max(1, height // 16)
    columns = max(1, min(count, _DREAM_COLUMNS, _DREAM_WIDTH // (width + gap)))
    rows = math.ceil(count / columns)
    canvas = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, np.uint8)
    for place, image in enumerate(images):
        top, left = (height + gap) * (place // columns), (width + gap) * (place % columns)
        canvas[top : top + height, left : left + width] = image.transpose(1, 2, 0)
    return canvas


def _short(name: str, length: int = 16) -> str:
    return name if len(name) <= length else name[: length - 1] + "…"
