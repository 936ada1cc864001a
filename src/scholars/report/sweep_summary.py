"""The results of a sweep for people: a table on the terminal, as CSV and as Markdown, and a picture."""

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from scholars.report.charts import SCHEMA, Spec, write_png
from scholars.report.formatting import format_interval, number, percent, truncate
from scholars.report.results import Spread
from scholars.storage import files

# Trials in the picture; the table has all.
_MAX_DRAWN = 40
_BEST, _REST = "#0072B2", "#767676"

Trial = Mapping[str, Any]


def write_tables(document: Mapping[str, Any], out: Path) -> None:
    """Write ``sweep.csv``, ``sweep.md`` and, where trials have finished, ``sweep.png`` into a sweep's folder."""
    files.write_text(out / "sweep.csv", _csv(document))
    files.write_text(out / "sweep.md", _markdown(document))
    if any(trial["average_accuracy"] for trial in document["trials"]):
        write_png(chart_trials(document), out / "sweep.png")


def build_table(document: Mapping[str, Any]) -> Table:
    """Build the table of the trials, the best first."""
    table = Table(
        title=_title(document), title_justify="left", caption_justify="left", box=box.SIMPLE_HEAD, show_edge=False
    )
    table.caption = Text(_caption(document))
    names, rows = _cells(document)
    for place, name in enumerate(names):
        table.add_column(Text(name), justify="left" if place else "right", overflow="fold")
    for row, trial in zip(rows, rank(document), strict=True):
        best = document["best"] and trial["number"] == document["best"]["trial"]
        table.add_row(*(Text(cell, style="bold" if best else "") for cell in row))
    return table


def describe_best(document: Mapping[str, Any]) -> str:
    """Return what the best trial is, how sure that is, and the command that runs it; or that no trial has finished."""
    if not document["best"]:
        return "No trial has finished."
    best, *others = [trial for trial in rank(document) if trial["average_accuracy"]]
    near = [str(trial["number"]) for trial in others if _reaches(trial, best)]
    if len(document["seeds"]) == 1:
        doubt = "With one seed, a better trial may be chance: give --seed 0 1 2 or more."
    elif near:
        doubt = f"May be no better than the trials whose 95 % intervals overlap: {', '.join(near[:10])}" + (
            f" and {len(near) - 10} more." if len(near) > 10 else "."
        )
    else:
        doubt = "No other interval overlaps with its own."
    return (
        f"Best: trial {best['number']}, {_settings(best)}. {doubt}\n"
        f"On all training data, tested on the real test part:\n  {document['best']['command']}"
    )


def rank(document: Mapping[str, Any]) -> list[Trial]:
    """Return the trials, finished ones first, by their mean."""
    means = {trial["number"]: (trial["average_accuracy"] or {"mean": -1.0})["mean"] for trial in document["trials"]}
    return sorted(document["trials"], key=lambda trial: (-means[trial["number"]], trial["number"]))


def chart_trials(document: Mapping[str, Any]) -> Spec:
    """Draw a row for each finished trial, the best first: its mean and its 95 % interval."""
    trials = [trial for trial in rank(document) if trial["average_accuracy"]][:_MAX_DRAWN]
    rows = []
    for place, trial in enumerate(trials):
        score = trial["average_accuracy"]
        mean, half = 100 * score["mean"], 100 * (score["interval"] or 0)
        rows.append({"place": place, "mean": mean, "low": mean - half, "high": mean + half, "best": place == 0})
    # By place, not by name: two trials of a random search may have equal settings.
    names = [truncate(_settings(trial), 80) for trial in trials]
    axis = {"labelExpr": f"{json.dumps(names)}[datum.value]", "labelLimit": 0, "grid": False}
    x = {"type": "quantitative", "scale": {"zero": False}}
    x["title"] = f"average accuracy of {document['scored']} on the validation part, %"
    colour = {"condition": {"test": "datum.best", "value": _BEST}, "value": _REST}
    interval = {"type": "errorbar", "ticks": {"height": 8, "opacity": 1}, "thickness": 2}
    point = {"type": "point", "filled": True, "size": 90, "opacity": 1}
    ends = {"x": {**x, "field": "low"}, "x2": {"field": "high"}}
    left = len(document["trials"]) - len(trials)
    title = document["recipe"] + (f"; {left} of {len(document['trials'])} trials are not shown" if left else "")
    return {
        "$schema": SCHEMA,
        "title": {"text": title, "anchor": "start"},
        "data": {"values": rows},
        "width": 480,
        "height": {"step": 28},
        "encoding": {"y": {"field": "place", "type": "ordinal", "title": None, "axis": axis}, "color": colour},
        "layer": [
            {"mark": interval, "encoding": ends},
            {"mark": point, "encoding": {"x": {**x, "field": "mean"}}},
        ],
    }


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
            format_interval(Spread.model_validate(trial["average_accuracy"] or {})),
            percent(trial["forgetting"]),
            number(trial["seconds"]),
            _state(trial),
        ]
        for trial in rank(document)
    ]
    return ["trial", *keys, "accuracy", "forgetting", "seconds", "state"], rows


def _state(trial: Trial) -> str:
    done = len(trial["accuracy_history"])
    return f"stopped after {done} task{'s'[: done != 1]}" if trial["state"] == "stopped" else trial["state"]


def _settings(trial: Trial) -> str:
    return " ".join(f"{key}={value}" for key, value in trial["changes"].items())


def _csv(document: Mapping[str, Any]) -> str:
    keys = list(document["varied"])
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = ["mean", "std", "n", "interval"]
    writer.writerow(["trial", *keys, "state", *columns, "forgetting", "seconds", "error"])
    for trial in rank(document):
        score = trial["average_accuracy"] or {}
        settings, figures = [trial["changes"][key] for key in keys], [score.get(name) for name in columns]
        rest = [trial[name] for name in ("forgetting", "seconds", "error")]
        writer.writerow([trial["number"], *settings, trial["state"], *figures, *rest])
    return text.getvalue()


def _markdown(document: Mapping[str, Any]) -> str:
    names, rows = _cells(document)

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"

    parts = [f"# {document['recipe']}", "", f"{_title(document)}. {_caption(document)}", ""]
    parts += [line(names), "|" + "---|" * len(names), *(line(row) for row in rows), "", describe_best(document), ""]
    return "\n".join(parts)
