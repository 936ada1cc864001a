"""Numbers, names and findings as text. A number that is missing is an en dash."""

from collections.abc import Sequence
from typing import TypeVar

from scholars.report.results import Results, Spread

T = TypeVar("T")

DASH = "\N{EN DASH}"
ARROW = "\N{RIGHTWARDS ARROW}"
PERCENT = "\N{NO-BREAK SPACE}%"
_METHOD_NAMES = {"replay": "replay", "exact": "exact replay"}


def percent(share: float | None, digits: int = 1) -> str:
    """Format ``0.987`` as ``98.7``, without the sign: headers and captions say that figures are percent."""
    return DASH if share is None else number(100 * share, digits)


def number(value: float | None, digits: int = 0) -> str:
    """Format ``1234.5`` as ``1,234``, with a real minus sign and no negative zero."""
    if value is None:
        return DASH
    return f"{round(value, digits) + 0.0:,.{digits}f}".replace("-", "\N{MINUS SIGN}")


def megabytes(value: float | None) -> str:
    """Format bytes in units of a million: ``5_312_345`` as ``5.3``, none at all as ``0``."""
    return number(None if value is None else value / 1e6, 1 if value else 0)


def format_interval(value: Spread) -> str:
    """Format a mean as ``96.8 ± 0.3``, half the width of the 95 % interval; the mean alone where there is one seed."""
    if value.interval is None:
        return percent(value.mean)
    return f"{percent(value.mean)} ± {percent(value.interval)}"


def truncate(name: str, length: int) -> str:
    """Return a long name's beginning and end, ``length`` characters or so: names often differ in their last part."""
    return name if len(name) <= length else f"{name[: length // 2]}…{name[-(length // 2) :]}"


def evenly_spaced(items: Sequence[T], count: int) -> list[T]:
    """Return ``count`` of the items at most: the first, the last, and those evenly between."""
    if len(items) <= count:
        return list(items)
    return [items[round(i * (len(items) - 1) / (count - 1))] for i in range(count)]


def describe_run(results: Results) -> str:
    """Return a run's findings in a sentence or two, figures included."""
    if not results.methods:
        return "No method has finished yet."
    first = results.methods[0]
    average = percent(results.summary_of(first).average_accuracy.mean)
    many = len(results.tasks) > 1
    name = _METHOD_NAMES.get(first, f"{first} training")
    text = f"{_describe_stream(results.tasks)}, {name} is right on {average}{PERCENT} of the {results.scored_on}"
    text += ", averaged over the tasks" if many else ""
    text += f", {results.scenario_note}" if results.scenario_note else ""
    naive = results.summary_of("naive").average_accuracy.mean
    if many and first != "naive" and naive is not None:
        text += f"; training on the new task alone keeps {percent(naive)}{PERCENT}"
    gap = results.summary_of(first).gap_closed
    if gap is not None:
        closed = f"{percent(gap, 0)}{PERCENT} of the gap between new data alone and joint training"
        text += f". {name.capitalize()} closes {closed}"
    return text + "."


def _describe_stream(tasks: Sequence[str]) -> str:
    if len(tasks) > 5:
        return f"After learning {len(tasks)} tasks one after another"
    return f"After learning {', then '.join(tasks)}"
