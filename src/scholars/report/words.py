"""Numbers and findings in words. A value that is missing is an en dash."""

from __future__ import annotations

from scholars.report.results import Results, Spread

DASH = "\N{EN DASH}"
ARROW = "\N{RIGHTWARDS ARROW}"
_NAMES = {"replay": "replay", "exact": "exact replay"}
PERCENT = "\N{NO-BREAK SPACE}%"


def percent(share: float | None, digits: int = 1) -> str:
    """``0.987`` -> ``98.7``, without the sign: headers and captions say that figures are percent."""
    return DASH if share is None else number(100 * share, digits)


def number(value: float | None, digits: int = 0) -> str:
    """``1234.5`` -> ``1,234``, with a real minus sign and no negative zero."""
    if value is None:
        return DASH
    return f"{round(value, digits) + 0.0:,.{digits}f}".replace("-", "\N{MINUS SIGN}")


def megabytes(value: float | None) -> str:
    """Bytes in units of a million: ``5_312_345`` -> ``5.3``; none at all is ``0``."""
    return number(None if value is None else value / 1e6, 1 if value else 0)


def spread(value: Spread) -> str:
    """``96.8 ± 0.3``, half the width of the 95 % interval; the mean alone where there is one seed."""
    if value.interval is None:
        return percent(value.mean)
    return f"{percent(value.mean)} ± {percent(value.interval)}"


def headline(results: Results) -> str:
    """The run in a sentence or two, figures included."""
    if not results.methods:
        return "No method has finished yet."
    hero = results.methods[0]
    average = percent(results.of(hero).average_accuracy.mean)
    many = len(results.tasks) > 1
    name = _NAMES.get(hero, f"{hero} training")
    words = f"{_stream(results.tasks)}, {name} is right on {average}{PERCENT} of the {results.scored_on}"
    words += ", averaged over the tasks" if many else ""
    words += f", {results.told}" if results.told else ""
    naive = results.of("naive").average_accuracy.mean
    if many and hero != "naive" and naive is not None:
        words += f"; training on the new task alone keeps {percent(naive)}{PERCENT}"
    gap = results.of(hero).gap_closed
    if gap is not None:
        closed = f"{percent(gap, 0)}{PERCENT} of the gap between new data alone and joint training"
        words += f". {name.capitalize()} closes {closed}"
    return words + "."


def _stream(tasks: list[str]) -> str:
    if len(tasks) > 5:
        return f"After learning {len(tasks)} tasks one after another"
    return f"After learning {', then '.join(tasks)}"
