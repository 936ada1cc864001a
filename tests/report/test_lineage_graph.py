"""The drawing of a lineage."""

from __future__ import annotations

from collections.abc import Sequence

from scholars.report.lineage_graph import draw_lineage
from scholars.scholar import Scholar
from scholars.storage.records import LineageRecord


def records(one: Scholar, *parents: Sequence[int]) -> list[LineageRecord]:
    """A lineage with these parents; a record with several is a merge."""
    return [
        one.lineage[0].model_copy(
            update={"name": f"r{index}", "parents": tuple(own), "kind": "merge" if len(own) > 1 else "learn"}
        )
        for index, own in enumerate(parents)
    ]


def test_a_list_is_not_drawn(one: Scholar) -> None:
    assert draw_lineage(records(one, [])) is None
    assert draw_lineage(records(one, [], [0], [1])) is None


def test_branches_have_lanes_and_generations_columns(one: Scholar) -> None:
    """Two tasks in turn, one apart, all merged, and a task after that."""
    graph = draw_lineage(records(one, [], [0], [], [1, 2], [3]))
    assert graph is not None
    columns = sorted({node.x for node in graph.nodes})
    assert [columns.index(node.x) for node in graph.nodes] == [0, 1, 0, 2, 3]
    lanes = sorted({node.y for node in graph.nodes})
    assert [lanes.index(node.y) for node in graph.nodes] == [0, 0, 1, 0, 0]
    assert [node.learned for node in graph.nodes] == [True, True, True, False, True]
    assert len(graph.lines) == 4
    assert all(0 < node.x < graph.width and 0 < node.y < graph.height for node in graph.nodes)


def test_two_that_go_on_from_one_are_in_two_lanes(one: Scholar) -> None:
    graph = draw_lineage(records(one, [], [0], [0], [1, 2]))
    assert graph is not None
    assert len({(node.x, node.y) for node in graph.nodes}) == 4, "no record hides another"


def test_a_long_name_is_cut_and_whole_in_the_title(one: Scholar) -> None:
    found = records(one, [], [], [0, 1])
    found[0] = found[0].model_copy(update={"name": "n" * 60})
    graph = draw_lineage(found)
    assert graph is not None
    assert len(graph.nodes[0].name) < 30
    assert "n" * 60 in graph.nodes[0].title
