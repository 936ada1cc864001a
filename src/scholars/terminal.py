"""What the command line says and how it takes words: consoles, warnings, the last message of a failure."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console

from scholars.errors import ScholarsWarning

out = Console()
messages = Console(stderr=True)


def spread(words: list[str]) -> list[str]:
    """``--seed 0 1 2`` -> ``--seed 0 --seed 1 --seed 2``, and likewise ``--set A=1 B=2``."""
    belongs: dict[str, Callable[[str], bool]] = {
        "--seed": lambda word: word.isdigit(),
        "--set": lambda word: "=" in word and not word.startswith("-"),
    }
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


def passing_on(say: Callable[[str], None]) -> Callable[..., None]:
    """For `warnings.showwarning`: what is for people is said; what libraries tell programmers stays out of the way."""

    def warn(message: Warning | str, category: type[Warning], *_: object) -> None:
        if issubclass(category, ScholarsWarning):
            say(str(message))

    return warn


def warn(words: str) -> None:
    """Print a warning."""
    messages.print(f"warning: {words}", style="yellow", highlight=False, markup=False, soft_wrap=True)


def fail(message: str, code: int) -> None:
    """Say what was wrong, and leave."""
    messages.print(f"scholars: {message}", style="red", highlight=False, markup=False, soft_wrap=True)
    raise SystemExit(code)
