"""Suggest what to do next, from what is in this folder: the text of the bare command ``scholars``.

Imports nothing heavy, and opens no file: a damaged one is reported by the command that opens it.
"""

import shlex
from collections.abc import Iterable
from pathlib import Path

from scholars.errors import printable

_MAX_SHOWN = 5

_FIRST_STEPS = (
    (
        "Try it, on data that needs no network (about a minute on two cores):",
        (("scholars run quickstart", "then open runs/quickstart/report.html"),),
    ),
    (
        "With images of your own, in a folder for each class:",
        (
            ("scholars learn my-scholar photos/", "later: the same with other photos"),
            ("scholars predict my-scholar new.jpg", ""),
            ("scholars report my-scholar", "an HTML page about it"),
        ),
    ),
    (
        "More:",
        (
            ("scholars doctor", "check the installation"),
            ("scholars recipes", "the experiments that come with it"),
            ("scholars COMMAND --help", "every option"),
            ("scholars --install-completion", "complete commands with the Tab key"),
        ),
    ),
)


def welcome_text(here: Path) -> str:
    """Return a screenful: what to do with the runs and scholars in the folder ``here``, and how to begin."""
    found = [*_find_runs(here), *_find_scholars(here)]
    count = f" ({_MAX_SHOWN} of {len(found)})" if len(found) > _MAX_SHOWN else ""
    parts = [(f"In this folder{count}:", found[:_MAX_SHOWN])] if found else []
    lines = ["Scholars: teach an image classifier one task after another. It keeps no old data, and forgets little."]
    for title, rows in [*parts, *_FIRST_STEPS]:
        width = max(len(command) for command, _ in rows)
        lines += ["", title]
        lines += [f"  {command:<{width}}  {words}".rstrip() for command, words in rows]
    return "\n".join(lines)


def _find_runs(here: Path) -> Iterable[tuple[str, str]]:
    for folder in sorted(path.parent for path in _find(here / "runs", "*/run.json")):
        name = _quote(folder, here)
        if (folder / "work").is_dir() or not (folder / "results.json").is_file():
            yield f"scholars run ... --out {name} --resume", "unfinished: repeat its command with --resume"
        elif (folder / "report.html").is_file():
            yield f"scholars report {name}", f"open {name}/report.html, or write it again"
        else:
            yield f"scholars report {name}", "finished: an HTML page about it"


def _find_scholars(here: Path) -> Iterable[tuple[str, str]]:
    for folder in sorted(path.parent for path in _find(here, "*/scholar.json")):
        yield f"scholars inspect {_quote(folder, here)}", "a scholar: predict, learn, dream, report ..."


def _find(folder: Path, pattern: str) -> Iterable[Path]:
    """Return the matching paths, but not those with control characters, which cannot be typed as they are shown."""
    return (path for path in folder.glob(pattern) if printable(str(path)))


def _quote(folder: Path, here: Path) -> str:
    """Return a folder's path as it is typed in a shell."""
    return shlex.quote(str(folder.relative_to(here)))
