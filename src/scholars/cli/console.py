"""Consoles, warnings and errors of the command line, and rewriting of its arguments."""

import csv
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

from scholars.errors import InputError, Interrupted, visible

# Columns where the output is a pipe: a program that reads a table wants one line a row.
_PIPE_WIDTH = 1000

# Results on stdout; on stderr progress, which --quiet turns off, and warnings and errors, which it does not.
out = Console(width=None if (sys.stdout and sys.stdout.isatty()) or "COLUMNS" in os.environ else _PIPE_WIDTH)
messages = Console(stderr=True)
urgent = Console(stderr=True)

# Set by torchrun and lightning-fabric to the rank of this process. SLURM's own variable numbers independent ones, too.
_RANKS = ("RANK", "LOCAL_RANK")
_QUIET = ("--quiet", "-q")


def print_line(text: str, console: Console = out) -> None:
    """Print plain text as it is: one line is not broken, brackets and numbers mean nothing."""
    console.print(text, soft_wrap=True, highlight=False, markup=False)


def warn(message: str) -> None:
    """Print a warning."""
    urgent.print(f"warning: {visible(message)}", style="yellow", highlight=False, markup=False, soft_wrap=True)


def fail(message: str, code: int) -> None:
    """Print an error and exit with ``code``; of several processes that were started together, the first prints."""
    if all(os.environ.get(name, "0") == "0" for name in _RANKS):
        urgent.print(f"scholars: {visible(message)}", style="red", highlight=False, markup=False, soft_wrap=True)
    raise SystemExit(code)


@contextmanager
def explain_resume(how: str) -> Iterator[None]:
    """Add to the message of an interruption ``how`` the work is resumed."""
    try:
        yield
    except Interrupted as stop:
        raise Interrupted(f"{stop}. What was done is kept: {how}") from None


@contextmanager
def progress_counter(console: Console, things: str) -> Iterator[Callable[[int, int], None]]:
    """Yield a function of (done, total) that moves a bar on ``console``, or prints a plain line without a terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task(things, total=None)

        def on_progress(done: int, total: int) -> None:
            progress.update(bar, completed=done, total=total)
            if not console.is_terminal:
                console.print(f"{done:,} of {total:,} {things}", highlight=False)

        yield on_progress


def hoist_quiet(words: list[str]) -> list[str]:
    """Return the arguments with --quiet first, from wherever it stands: ``run r --quiet`` -> ``--quiet run r``.

    What follows ``--`` is no option.
    """
    options = words[: words.index("--")] if "--" in words else words
    rest = [word for word in options if word not in _QUIET]
    return ["--quiet"] * (len(rest) < len(options)) + rest + words[len(options) :]


def repeat_options(words: list[str]) -> list[str]:
    """Return the arguments with an option before each of its values: ``--seed 0 1`` -> ``--seed 0 --seed 1``.

    Likewise ``--set A=1 B=2``; ``--seed`` only where a command takes several.
    """
    is_value: dict[str, Callable[[str], bool]] = {
        "--set": lambda word: re.match(r"[a-z][\w.-]*=", word) is not None,
    }
    if next((word for word in words if word in ("run", "sweep", "learn", "dream")), "") in ("run", "sweep"):
        is_value["--seed"] = str.isdigit
    result: list[str] = []
    option, has_value = "", False
    for word in words:
        if word in is_value:
            option, has_value = word, False
        elif option and has_value and is_value[option](word):
            result.append(option)
        elif option and not has_value:
            has_value = True
        else:
            option = ""
        result.append(word)
    return result


def budget_changes(budget: str | None, minutes: float | None) -> dict[str, str | float | None]:
    """Return the settings that --budget and --minutes ask for. Raises InputError for both at once."""
    if budget is not None and minutes is not None:
        raise InputError("--budget and --minutes contradict each other: leave one of them out")
    if minutes is not None:
        return {"minutes": minutes, "budget": "normal"}
    if budget is None:
        return {}
    try:
        return {"budget": float(budget), "minutes": None}
    except ValueError:
        return {"budget": budget, "minutes": None}


def split_list(text: str) -> list[str]:
    """Return the parts of ``a,b, "c, d"``: ``[a, b, "c, d"]``, as a line of CSV has them."""
    return [word.strip() for row in csv.reader([text], skipinitialspace=True) for word in row if word.strip()]
