"""Draw the lineage of a scholar that came from several: records by generation, with lines from their parents."""

from collections.abc import Sequence
from dataclasses import dataclass

from scholars.storage.records import LineageRecord, generations

# Pixels between two generations, and between two lanes; of the margin; characters of a name.
_STEP, _LANE, _MARGIN, _NAME = 160, 60, 20, 20
# Height of a name below a record.
_LABEL = 16


@dataclass(frozen=True)
class Node:
    """A record: its place in pixels, its name, cut and whole, and whether a task was learned."""

    x: int
    y: int
    name: str
    title: str
    learned: bool


@dataclass(frozen=True)
class LineageGraph:
    """A drawing: its size in pixels, the records, and lines between them, each with the numbers of a path in SVG."""

    width: int
    height: int
    nodes: tuple[Node, ...]
    lines: tuple[str, ...]


def draw_lineage(lineage: Sequence[LineageRecord]) -> LineageGraph | None:
    """Return the drawing of a lineage; None of one that is a list, each record after the one before."""
    if all(record.parents == ((index - 1,) if index else ()) for index, record in enumerate(lineage)):
        return None
    depths, lanes = generations(lineage), _lanes(lineage)
    nodes = tuple(
        Node(
            x=_MARGIN + _STEP * (depth - 1),
            y=_MARGIN + _LANE * lane,
            name=record.name if len(record.name) <= _NAME else record.name[: _NAME - 1] + "\u2026",
            title=f"{record.name}: {', '.join(record.classes)}" if record.classes else record.name,
            learned=record.kind == "learn",
        )
        for record, depth, lane in zip(lineage, depths, lanes, strict=True)
    )
    lines = tuple(
        f"M {nodes[parent].x} {nodes[parent].y} C {(nodes[parent].x + node.x) // 2} {nodes[parent].y}, "
        f"{(nodes[parent].x + node.x) // 2} {node.y}, {node.x} {node.y}"
        for node, record in zip(nodes, lineage, strict=True)
        for parent in record.parents
    )
    return LineageGraph(
        width=2 * _MARGIN + _STEP * max(depths),
        height=2 * _MARGIN + _LANE * max(lanes) + _LABEL,
        nodes=nodes,
        lines=lines,
    )


def _lanes(lineage: Sequence[LineageRecord]) -> list[int]:
    """Return the lane of each record: that of its first parent if no other goes on in it, else a new one."""
    lanes: list[int] = []
    taken: set[int] = set()
    for record in lineage:
        first = record.parents[0] if record.parents else None
        if first is not None and first not in taken:
            taken.add(first)
            lanes.append(lanes[first])
        else:
            lanes.append(max(lanes, default=-1) + 1)
    return lanes
