"""The audit of the dreams, class by class: a table of the last generation, and a chart of all of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scholars.experiments.methods import find_method
from scholars.report.charts import DASHES, MUTED, SCHEMA, Spec, truncated_labels
from scholars.report.formatting import DASH, PERCENT, evenly_spaced, number, percent
from scholars.report.html import Chart
from scholars.storage.audits import Audit, ClassAudit
from scholars.storage.records import LineageRecord, generations

# Bars that a chart has room for on a phone, and generations that can be told apart in it.
_MAX_CLASSES = 40
_MAX_GENERATIONS = 6
_MEASURES = {
    "share": "dreams seen as the class, %",
    "confidence": "the solver's confidence, %",
    "accuracy": "accuracy from dreams alone, %",
}


@dataclass(frozen=True)
class ClassTable:
    """The audit of each class after the last task that was audited, for the template.

    task: the task after which the dreams were audited
    rows: (class, its figures under ``columns``, whether it is dying out)
    """

    task: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...], bool], ...]
    chart: Chart


def build_class_table(lineage: Sequence[LineageRecord]) -> ClassTable | None:
    """Build the table of the last audit and the chart of all; None if no task was audited."""
    numbered = zip(generations(lineage), lineage, strict=True)
    audited = [(generation, record) for generation, record in numbered if record.audit]
    if not audited:
        return None
    _, last = audited[-1]
    assert last.audit is not None  # by the choice above
    conditional = any(entry.agreement is not None for entry in last.audit.classes)
    rows = tuple(_row(entry, last.audit, conditional) for entry in last.audit.classes)
    agreement = ("agreement, %",) if conditional else ()
    columns = ("dreams", "share, %", *agreement, "confidence, %", "from dreams alone, %")
    return ClassTable(last.name, columns, rows, _chart_audits(audited, last.audit))


def _row(entry: ClassAudit, audit: Audit, conditional: bool) -> tuple[str, tuple[str, ...], bool]:
    figures = [number(entry.share * audit.dreams), percent(entry.share)]
    if conditional:
        figures.append(percent(entry.agreement))
    figures += [percent(entry.confidence), percent(entry.accuracy)]
    return entry.name, tuple(figures), entry.is_dying(len(audit.classes))


def _chart_audits(audited: Sequence[tuple[int, LineageRecord]], last: Audit) -> Chart:
    """Draw the classes in their order; of too many, those with the fewest dreams."""
    names = {entry.name for entry in sorted(last.classes, key=lambda entry: entry.share)[:_MAX_CLASSES]}
    shown = [entry for entry in last.classes if entry.name in names]
    rows = [
        {
            "class": entry.name,
            "generation": generation,
            "after": record.name,
            "dying": entry.is_dying(len(record.audit.classes)),
            **{name: 100 * value for name in _MEASURES if (value := getattr(entry, name)) is not None},
        }
        for generation, record in evenly_spaced(audited, _MAX_GENERATIONS)
        if record.audit
        for entry in record.audit.classes
        if entry.name in names
    ]
    figures = "; ".join(_describe(entry) for entry in shown)
    which = f"the {len(shown)} classes with the fewest dreams" if len(shown) < len(last.classes) else "each class"
    alt = f"Bars for {which}: its share of the dreams, the solver's confidence, accuracy from dreams alone. {figures}."
    spec = _chart_classes(rows, [entry.name for entry in shown], 100 / len(last.classes))
    return Chart("Class by class", alt, spec)


def _describe(entry: ClassAudit) -> str:
    figures = (percent(value) for value in (entry.share, entry.confidence, entry.accuracy))
    return f"{entry.name}: " + ", ".join(value if value == DASH else value + PERCENT for value in figures)


def _chart_classes(rows: Sequence[Mapping[str, Any]], names: Sequence[str], even: float) -> Spec:
    """Draw a panel for each measure that is known: bars of the last generation, ticks of the earlier ones.

    rows: class, generation, after (the task), dying, and the measures that are known, in percent
    even: the share of each class if all were dreamt of equally often, in percent
    """
    last = max(row["generation"] for row in rows)
    # Names that are longer than a bar is wide stand upright.
    upright = len(names) > 4 and max(map(len, names)) > 2
    axis = {"labelAngle": -90 if upright else 0, "labelExpr": truncated_labels(names, 12), "labelOverlap": True}
    domain = {"domain": list(names)}
    x = {"field": "class", "type": "nominal", "sort": None, "title": None, "axis": axis, "scale": domain}
    dying = {"test": "datum.dying", "value": find_method("er").colour}
    colour = {"condition": dying, "value": find_method("replay").colour}
    tick = {"type": "tick", "thickness": 2, "color": MUTED, "opacity": 1}
    dashed = {"type": "rule", "strokeDash": DASHES, "color": MUTED}
    panels = []
    for key, title in _MEASURES.items():
        others = _MEASURES.keys() - {key}
        known = [{name: value for name, value in row.items() if name not in others} for row in rows if key in row]
        scale = {} if key == "share" else {"scale": {"domain": [0, 100]}}
        tooltip = [{"field": "class"}, {"field": "after", "title": "after learning"}]
        tooltip.append({"field": key, "title": title, "format": ".1f"})
        shared = {"x": x, "y": {"field": key, "type": "quantitative", "title": None, **scale}, "tooltip": tooltip}
        bars = {"transform": [{"filter": f"datum.generation === {last}"}], "mark": "bar"}
        ticks = {"transform": [{"filter": f"datum.generation !== {last}"}], "mark": tick}
        layers: list[Spec] = [{**bars, "encoding": {**shared, "color": colour}}, {**ticks, "encoding": shared}]
        if key == "share":
            layers.append({"mark": dashed, "encoding": {"y": {"datum": even}}})
        if known:
            heading = {"text": title, "anchor": "start"}
            panels.append({"title": heading, "height": 140, "data": {"values": known}, "layer": layers})
    return {"$schema": SCHEMA, "concat": panels, "columns": 3}
