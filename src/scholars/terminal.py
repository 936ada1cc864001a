"""What the command line says and how it takes words: consoles, warnings, the last message of a failure."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

from scholars.errors import ScholarsWarning, visible

# Wide where nobody looks: what reads a pipe wants a row a line.
_PIPED = 1000

# What was asked for; on stderr how it goes, and what has to be said in any case.
out = Console(width=None if (sys.stdout and sys.stdout.isatty()) or "COLUMNS" in os.environ else _PIPED)
messages = Console(stderr=True)
urgent = Console(stderr=True)

# Where torchrun and lightning-fabric say which of several processes this is. SLURM says so of independent ones, too.
_PLACES = ("RANK", "LOCAL_RANK")
_QUIET = ("--quiet", "-q")


def quiet(words: list[str]) -> list[str]:
    """``run r --quiet`` -> ``--quiet run r``: it means the same wherever it stands; after ``--`` it is a name."""
    options = words[: words.index("--")] if "--" in words else words
    rest = [word for word in options if word not in _QUIET]
    return ["--quiet"] * (len(rest) < len(options)) + rest + words[len(options) :]


def spread(words: list[str]) -> list[str]:
    """``--seed 0 1 2`` -> ``--seed 0 --seed 1 --seed 2``, where several are taken, and likewise ``--set A=1 B=2``."""
    belongs: dict[str, Callable[[str], bool]] = {
        "--set": lambda word: re.match(r"[a-z][\w.-]*=", word) is not None,
    }
    if next((word for word in words if word in ("run", "sweep", "learn", "dream")), "") in ("run", "sweep"):
        belongs["--seed"] = str.isdigit
    result: list[str] = []
    option, taken = "", 0
    for word in words:
        if word in belongs:
            option, taken = word, 0
        elif option and taken and belongs[option](word):
            result.append(option)
        elif option and not taken:
            taken = 1
        else:
            option = ""
        result.append(word)
    return result


def listed(text: str) -> list[str]:
    """``a,b, c`` -> ``[a, b, c]``."""
    return [word.strip() for word in text.split(",") if word.strip()]


@contextmanager
def counting(console: Console, what: str) -> Iterator[Callable[[int, int], None]]:
    """Something to be told (done, all) of them: a bar on ``console``, or a plain line each time without a terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task(what, total=None)

        def told(done: int, total: int) -> None:
            progress.update(bar, completed=done, total=total)
            if not console.is_terminal:
                console.print(f"{done:,} of {total:,} {what}", highlight=False)

        yield told


def passing_on(say: Callable[[str], None]) -> Callable[..., None]:
    """For `warnings.showwarning`: what is for people is said; what libraries tell programmers stays out of the way."""

    def warn(message: Warning | str, category: type[Warning], *_: object) -> None:
        if issubclass(category, ScholarsWarning):
            say(str(message))

    return warn


def warn(words: str) -> None:
    """Print a warning."""
    urgent.print(f"warning: {visible(words)}", style="yellow", highlight=False, markup=False, soft_wrap=True)


def fail(message: str, code: int) -> None:
    """Say what was wrong, and leave; of several processes that were started together one speaks for all."""
    if any(os.environ.get(name, "0") != "0" for name in _PLACES):
        raise SystemExit(code)
    urgent.print(f"scholars: {visible(message)}", style="red", highlight=False, markup=False, soft_wrap=True)
    raise SystemExit(code)
