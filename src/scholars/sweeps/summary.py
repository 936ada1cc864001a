"""What a sweep leaves for people: a table on the terminal, as CSV and as Markdown, and a picture."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from rich import box
from rich.table import Table
from rich.text import Text

from scholars import store
from scholars.report import plots
from scholars.report.words import DASH, number, percent

# Trials in the picture; the table has all.
_MOST_DRAWN = 40
_INK, _BEST, _REST = "#222222", "#0072B2", "#767676"

Trial = Mapping[str, Any]


def write_tables(document: Mapping[str, Any], out: Path) -> None:
    """Write ``sweep.csv``, ``sweep.md`` and, where trials have finished, ``sweep.png`` into a sweep's folder."""
    store.write_text(out / "sweep.csv", _csv(document))
    store.write_text(out / "sweep.md", _markdown(document))
    if any(trial["average_accuracy"] for trial in document["trials"]):
        plots.save(picture(document), out / "sweep.png")


def table(document: Mapping[str, Any]) -> Table:
    """The trials, the best first."""
    found = Table(
        title=_title(document), title_justify="left", caption_justify="left", box=box.SIMPLE_HEAD, show_edge=False
    )
    found.caption = Text(_caption(document))
    names, rows = _cells(document)
    for place, name in enumerate(names):
        found.add_column(Text(name), justify="left" if place else "right", overflow="fold")
    for row, trial in zip(rows, ranked(document), strict=True):
        best = document["best"] and trial["number"] == document["best"]["trial"]
        found.add_row(*(Text(cell, style="bold" if best else "") for cell in row))
    return found


def verdict(document: Mapping[str, Any]) -> str:
    """What the best is, how sure that is, and what runs it; that there is none, where no trial has finished."""
    if not document["best"]:
        return "No trial has finished."
    best, *others = [trial for trial in ranked(document) if trial["average_accuracy"]]
    near = [str(trial["number"]) for trial in others if _reaches(trial, best)]
    if len(document["seeds"]) == 1:
        doubt = "One seed cannot tell merit from luck: give --seed 0 1 2 or more."
    elif near:
        doubt = f"Not told from it by these seeds, for the 95 % intervals overlap: {', '.join(near[:10])}" + (
            f" and {len(near) - 10} more." if len(near) > 10 else "."
        )
    else:
        doubt = "No other interval reaches its own."
    return (
        f"Best: trial {best['number']}, {_settings(best)}. {doubt}\n"
        f"On all training data, tested on the real test part:\n  {document['best']['command']}"
    )


def ranked(document: Mapping[str, Any]) -> list[Trial]:
    """The trials, finished ones first, by their mean."""

    def place(trial: Trial) -> tuple[bool, float, int]:
        score = trial["average_accuracy"]
        return (score is None, -(score["mean"] if score else 0), trial["number"])

    return sorted(document["trials"], key=place)


def picture(document: Mapping[str, Any]) -> Figure:
    """A line for each finished trial: its mean, its 95 % interval."""
    trials = [trial for trial in ranked(document) if trial["average_accuracy"]][:_MOST_DRAWN]
    figure = Figure(figsize=(8, 1.3 + 0.32 * len(trials)), layout="constrained", facecolor="white")
    axes = figure.add_subplot()
    for place, trial in enumerate(trials):
        score = trial["average_accuracy"]
        mean, half = 100 * score["mean"], 100 * (score["interval"] or 0)
        colour = _REST if place else _BEST
        axes.errorbar(mean, place, xerr=half, fmt="o", color=colour, capsize=3, markersize=6, linewidth=1.5)
    axes.set_yticks(range(len(trials)), [_settings(trial) for trial in trials], parse_math=False, fontsize=8.5)
    axes.invert_yaxis()
    axes.margins(y=0.5 / max(1, len(trials)))
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.grid(axis="x", color="#DDDDDD", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.set_xlabel(f"average accuracy of {document['scored']} on the validation part, %", fontsize=9, color=_INK)
    left = len(document["trials"]) - len(trials)
    title = document["recipe"] + (f"; {left} more trials are not shown" if left else "")
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold", color=_INK, parse_math=False)
    return figure


def _reaches(trial: Trial, best: Trial) -> bool:
    own, top = trial["average_accuracy"], best["average_accuracy"]
    return bool(own["mean"] + (own["interval"] or 0) >= top["mean"] - (top["interval"] or 0))


def _title(document: Mapping[str, Any]) -> str:
    return f"Average accuracy of {document['scored']} in %, on a validation part of the training data"


def _caption(document: Mapping[str, Any]) -> str:
    seeds = document["seeds"]
    share = percent(document["validation"], 0 if math.isclose(document["validation"] * 100 % 1, 0) else 1)
    return (
        f"{share} % of each class's training images, held out; no test image was looked at. "
        f"Means over {len(seeds)} seed{'s'[: len(seeds) != 1]}" + (", ± 95 % intervals." if len(seeds) > 1 else ".")
    )


def _cells(document: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    keys = list(document["varied"])
    rows = [
        [
            str(trial["number"]),
            *(str(trial["changes"][key]) for key in keys),
            _accuracy(trial),
            percent(trial["forgetting"]),
            number(trial["seconds"]),
            _state(trial),
        ]
        for trial in ranked(document)
    ]
    return ["trial", *keys, "accuracy", "forgetting", "seconds", "state"], rows


def _accuracy(trial: Trial) -> str:
    score = trial["average_accuracy"]
    if score is None:
        return DASH
    half = score["interval"]
    return percent(score["mean"]) + (f" ± {percent(half)}" if half is not None else "")


def _state(trial: Trial) -> str:
    done = len(trial["course"])
    return f"stopped after {done} task{'s'[: done != 1]}" if trial["state"] == "stopped" else trial["state"]


def _settings(trial: Trial) -> str:
    return " ".join(f"{key}={value}" for key, value in trial["changes"].items())


def _csv(document: Mapping[str, Any]) -> str:
    keys = list(document["varied"])
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = ["mean", "std", "n", "interval"]
    writer.writerow(["trial", *keys, "state", *columns, "forgetting", "seconds", "error"])
    for trial in ranked(document):
        score = trial["average_accuracy"] or {}
        own = [trial[name] for name in ("forgetting", "seconds", "error")]
        writer.writerow(
            [
                trial["number"],
                *(trial["changes"][key] for key in keys),
                trial["state"],
                *(score.get(name) for name in columns),
                *own,
            ]
        )
    return text.getvalue()


def _markdown(document: Mapping[str, Any]) -> str:
    names, rows = _cells(document)

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"

    parts = [f"# {document['recipe']}", "", f"{_title(document)}. {_caption(document)}", ""]
    parts += [line(names), "|" + "---|" * len(names), *(line(row) for row in rows), "", verdict(document), ""]
    return "\n".join(parts)
