"""The audit of the dreams, class by class: a table of the last generation, and a chart of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scholars.records import Audit, ClassAudit, TaskRecord
from scholars.report import charts
from scholars.report.html import Chart
from scholars.report.memory import spaced
from scholars.report.words import DASH, PERCENT, number, percent

# Bars that a chart has room for on a phone, and generations that one can tell apart in it.
_MOST_CLASSES = 40
_MOST_GENERATIONS = 6
_MEASURES = {
    "share": "dreams seen as the class, %",
    "confidence": "the solver's confidence, %",
    "accuracy": "known from dreams alone, %",
}


@dataclass(frozen=True)
class ByClass:
    """For the template.

    after: the task after which the dreams were looked at
    rows: (class, its figures under ``columns``, whether it is dying out)
    """

    after: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...], bool], ...]
    chart: Chart


def by_class(lineage: Sequence[TaskRecord]) -> ByClass | None:
    """The classes as they were dreamt of after the last task that was audited; None if none was."""
    audited = [(place, record) for place, record in enumerate(lineage, start=1) if record.audit]
    if not audited:
        return None
    _, last = audited[-1]
    assert last.audit is not None  # by the choice above
    asked = any(entry.agreement is not None for entry in last.audit.classes)
    rows = tuple(_row(entry, last.audit, asked) for entry in last.audit.classes)
    columns = ("dreams", "share, %", *(("as asked, %",) if asked else ()), "confidence, %", "from dreams alone, %")
    return ByClass(last.name, columns, rows, _chart(audited, last.audit))


def _row(entry: ClassAudit, audit: Audit, asked: bool) -> tuple[str, tuple[str, ...], bool]:
    figures = [number(entry.share * audit.dreams), percent(entry.share)]
    if asked:
        figures.append(percent(entry.agreement))
    figures += [percent(entry.confidence), percent(entry.accuracy)]
    return entry.name, tuple(figures), entry.is_dying(len(audit.classes))


def _chart(audited: Sequence[tuple[int, TaskRecord]], last: Audit) -> Chart:
    """The classes in their order; of too many, those with the fewest dreams."""
    names = {entry.name for entry in sorted(last.classes, key=lambda entry: entry.share)[:_MOST_CLASSES]}
    shown = [entry for entry in last.classes if entry.name in names]
    rows = [
        {
            "class": entry.name,
            "generation": generation,
            "after": record.name,
            "dying": entry.is_dying(len(record.audit.classes)),
            **{name: 100 * value for name in _MEASURES if (value := getattr(entry, name)) is not None},
        }
        for generation, record in spaced(audited, _MOST_GENERATIONS)
        if record.audit
        for entry in record.audit.classes
        if entry.name in names
    ]
    figures = "; ".join(_spoken(entry) for entry in shown)
    which = f"the {len(shown)} classes with the fewest dreams" if len(shown) < len(last.classes) else "each class"
    alt = f"Bars for {which}: its share of the dreams, the solver's confidence, and known from dreams alone. {figures}."
    return Chart(
        "Class by class", alt, charts.classes(rows, [entry.name for entry in shown], _MEASURES, 100 / len(last.classes))
    )


def _spoken(entry: ClassAudit) -> str:
    figures = (percent(value) for value in (entry.share, entry.confidence, entry.accuracy))
    return f"{entry.name}: " + ", ".join(value if value == DASH else value + PERCENT for value in figures)
