"""What `scholars` says when it is told nothing: what to do next, with what there is in this folder.

Imports nothing heavy, and believes only that files exist: a damaged one is for the command that opens it to explain.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path

from scholars.errors import printable

# Lines of what was found; the rest is counted.
_MOST = 5

_BEGIN = (
    (
        "See it work, on data that needs no network (about 3 minutes):",
        (("scholars run quickstart", "then open runs/quickstart/report.html"),),
    ),
    (
        "With images of your own, in a folder for each class:",
        (
            ("scholars learn my-scholar photos/", "later: the same with other photos"),
            ("scholars predict my-scholar new.jpg", ""),
            ("scholars report my-scholar", "a page to look at"),
        ),
    ),
    (
        "To find your way:",
        (
            ("scholars doctor", "is everything here?"),
            ("scholars recipes", "the experiments that come with it"),
            ("scholars COMMAND --help", "every option"),
            ("scholars --install-completion", "the Tab key knows the rest"),
        ),
    ),
)


def welcome(here: Path) -> str:
    """A screenful: what to do with the runs and scholars in the folder ``here``, and how to begin."""
    found = [*_runs(here), *_scholars(here)]
    parts = [(_counted("In this folder:", len(found)), found[:_MOST])] if found else []
    lines = ["Scholars: teach an image classifier one task after another. It keeps no old data, and forgets little."]
    for title, rows in [*parts, *_BEGIN]:
        width = max(len(command) for command, _ in rows)
        lines += ["", title]
        lines += [f"  {command:<{width}}  {words}".rstrip() for command, words in rows]
    return "\n".join(lines)


def _counted(title: str, count: int) -> str:
    return title if count <= _MOST else f"{title.removesuffix(':')} ({_MOST} of {count}):"


def _runs(here: Path) -> Iterable[tuple[str, str]]:
    for folder in sorted(path.parent for path in _named(here / "runs", "*/run.json")):
        name = _typed(folder, here)
        if (folder / "work").is_dir() or not (folder / "results.json").is_file():
            yield f"scholars run ... --out {name} --resume", "unfinished: its command again, and --resume"
        elif (folder / "report.html").is_file():
            yield f"scholars report {name}", f"open {name}/report.html, or make it anew"
        else:
            yield f"scholars report {name}", "finished: a page to look at"


def _scholars(here: Path) -> Iterable[tuple[str, str]]:
    for folder in sorted(path.parent for path in _named(here, "*/scholar.json")):
        yield f"scholars inspect {_typed(folder, here)}", "a scholar: predict, learn, dream, report ..."


def _named(folder: Path, pattern: str) -> Iterable[Path]:
    """Without those whose names a terminal would obey: they cannot be typed as they are shown."""
    return (path for path in folder.glob(pattern) if printable(str(path)))


def _typed(folder: Path, here: Path) -> str:
    """A folder as it can be typed."""
    return shlex.quote(str(folder.relative_to(here)))
