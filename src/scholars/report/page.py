"""One self-contained page of HTML about a run."""

from __future__ import annotations

import base64
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

from scholars import store
from scholars.report.methods import look
from scholars.report.results import Results, mean, read
from scholars.report.words import DASH, headline, megabytes, number, percent, spread

FILE = "report.html"
_TEMPLATE = "run.html"
_COLUMNS = (
    *("average", "when learned", "forgetting", "backward transfer", "forward transfer", "gap closed"),
    *("seconds", "peak memory, MB", "kept between tasks, MB", "images generated"),
)


@dataclass(frozen=True)
class _Picture:
    """A picture inside the page: title, description for those who cannot see it, and the image as a data URI."""

    title: str
    alt: str
    uri: str


@dataclass(frozen=True)
class _Cell:
    """A cell of an accuracy matrix: its figure, and how strongly it is tinted, in [0, 1]."""

    text: str
    tint: float


def write_report(folder: Path, out: Path | None = None) -> Path:
    """Write the report of the run in ``folder`` and return its path, by default ``folder/report.html``.

    Reads ``results.json`` and the pictures that are beside it. Raises InputError where there are no results to read.
    """
    results = read(folder)
    environment = Environment(
        loader=PackageLoader("scholars.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["words"] = _words
    page = environment.get_template(_TEMPLATE).render(
        results=results,
        headline=headline(results),
        columns=_COLUMNS,
        methods=[_method(results, method) for method in results.methods],
        pictures=_pictures(folder, results),
        command=_command(results.environment.get("command")),
        config=yaml.safe_dump(results.config, sort_keys=False, allow_unicode=True),
    )
    path = folder / FILE if out is None else out
    store.write_text(path, page)
    return path


def _method(results: Results, method: str) -> dict[str, Any]:
    """What the page shows of one method; the figures are those of `_COLUMNS`."""
    summary = results.of(method)
    return {
        "name": method,
        "look": look(method),
        "figures": [
            spread(summary.average_accuracy),
            percent(results.mean(method, "learning_accuracy")),
            percent(results.mean(method, "forgetting")),
            percent(results.mean(method, "backward_transfer")),
            percent(results.mean(method, "forward_transfer")),
            percent(summary.gap_closed),
            number(results.mean(method, "seconds")),
            number(results.mean(method, "peak_memory_mb")),
            megabytes(results.mean(method, "kept_bytes")),
            number(results.mean(method, "images_generated")),
        ],
        "matrix": _matrix(results, method),
    }


def _matrix(results: Results, method: str) -> list[tuple[str, list[_Cell | None]]]:
    """Rows of (task just learned, a cell for each task): means over seeds; None where a task is not learned yet."""
    rows: list[tuple[str, list[_Cell | None]]] = []
    for row in range(results.rows(method)):
        known = len(results.tasks) if method == "joint" else row + 1
        cells: list[_Cell | None] = []
        for task in range(len(results.tasks)):
            value = mean(results.accuracies(method, row, task))
            cells.append(_Cell(percent(value), value or 0.0) if task < known else None)
        rows.append(("all at once" if method == "joint" else results.tasks[row], cells))
    return rows


def _pictures(folder: Path, results: Results) -> dict[str, _Picture]:
    described = {
        "accuracy": ("Accuracy on each task, after each task", _alt_accuracy(results)),
        "dreams": (
            "What the generators dream",
            "Rows of small images, titled: real images of the tasks, and dreams of the generators.",
        ),
        "losses": ("Training curves", "Line charts of the losses of each training stage over the training steps."),
    }
    return {
        name: _Picture(title, alt, "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode("ascii"))
        for name, (title, alt) in described.items()
        if (path := folder / f"{name}.png").is_file()
    }


def _alt_accuracy(results: Results) -> str:
    ends = []
    for task, name in enumerate(results.tasks):
        figures = [f"{method} {percent(mean(results.accuracies(method, -1, task)))}" for method in results.methods]
        ends.append(f"{name}: {', '.join(figures)}")
    return "Line charts, one for each task. Accuracy in percent at the end: " + "; ".join(ends) + "."


def _command(command: object) -> str | None:
    """The command line of the run: written as text or as a list of arguments."""
    if isinstance(command, list):
        return shlex.join(str(argument) for argument in command)
    return str(command) if command else None


def _words(value: object) -> str:
    """Anything from the environment's description, for reading."""
    match value:
        case None | "":
            return DASH
        case bool():
            return "yes" if value else "no"
        case dict():
            return ", ".join(f"{key}: {_words(item)}" for key, item in value.items())
        case list():
            return ", ".join(_words(item) for item in value)
        case _:
            return str(value)
