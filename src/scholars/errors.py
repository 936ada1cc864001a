"""Errors that are messages for people: what was wrong, where, what to do."""

import difflib
import importlib
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import Any

_MOST_LISTED = 20


class ScholarsError(Exception):
    """Anything this package refuses or cannot do; its message is meant to be read."""


class InputError(ScholarsError):
    """Bad usage or bad input: a file, a name, a value. The command line exits with 2."""


class Interrupted(ScholarsError):
    """Raised when the work is asked to stop; what was trained is kept. The command line exits with 130."""


class ScholarsWarning(UserWarning):
    """A problem that was handled, but that the user should know of. The command line prints it and goes on."""


def printable(name: str) -> bool:
    """Return whether a name has no control character: a terminal would obey it, or it could forge another line."""
    return not any(unicodedata.category(character) == "Cc" for character in name)


def visible(words: str) -> str:
    """Return the text with control characters escaped, except line ends: a terminal would obey them."""
    return "".join(c if c == "\n" or printable(c) else ascii(c)[1:-1] for c in words)


def one_line(error: BaseException) -> str:
    """Return the message of an error in one line; the name of its type if it has no message."""
    return " ".join(str(error).split()) or type(error).__name__


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a sentence that names the nearest match, if there is one, and all that is known."""
    options = list(known)
    close = difflib.get_close_matches(name, options, n=1, cutoff=0.5)
    hint = f"Did you mean {close[0]!r}? " if close else ""
    return f"{hint}Known: {', '.join(options)}."


def import_extra(module: str, extra: str, what: str) -> Any:
    """Return an optional dependency. Raises InputError, saying ``what`` needs it, where its extra is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError:
        raise extra_missing(what, extra) from None


def extra_missing(what: str, extra: str) -> InputError:
    """Return the error that ``what`` needs an extra of this package which is not installed."""
    return InputError(f"{what} needs the extra {extra!r}: pip install '.[{extra}]', in the clone of Scholars")


def counted(count: int, noun: str) -> str:
    """Return ``1 image`` or ``2,000 images``."""
    return f"{count:,} {noun}{'s' * (count != 1)}"


def shortlist(items: Sequence[str], separator: str) -> str:
    """Return the first items of many as text, and how many more there are."""
    rest = [f"and {len(items) - _MOST_LISTED} more"] if len(items) > _MOST_LISTED else []
    return separator.join([*items[:_MOST_LISTED], *rest])


def pass_on_warnings(say: Callable[[str], None]) -> Callable[..., None]:
    """Return a `warnings.showwarning` that calls ``say`` with each ScholarsWarning and drops warnings of libraries.

    Each is said once: a source may be opened again, when more is known of the scholar that it is for.
    """
    said: set[str] = set()

    def warn(message: Warning | str, category: type[Warning], *_: object) -> None:
        if issubclass(category, ScholarsWarning) and str(message) not in said:
            said.add(str(message))
            say(str(message))

    return warn
