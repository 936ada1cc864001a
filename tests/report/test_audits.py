"""The audit class by class, from figures that are easy to check by hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from scholars.report.audits import build_class_table
from scholars.report.formatting import DASH
from scholars.report.scholar_page import write_scholar_page
from scholars.scholar import Scholar
from scholars.storage.audits import Audit, ClassAudit, TaskAudit
from scholars.storage.records import LineageRecord

from .test_page import Page

CAT = ClassAudit(name="cat", share=0.6, confidence=0.9, agreement=0.75, accuracy=0.8)
DOG = ClassAudit(name="dog", share=0.396, confidence=0.8, agreement=0.5, accuracy=None)
FOX = ClassAudit(name="fox", share=0.004, confidence=0.4, agreement=None, accuracy=0.1)


def with_audit(one: Scholar, *classes: ClassAudit, name: str = "pets", warnings: Sequence[str] = ()) -> LineageRecord:
    """A task of a lineage after which so many of 500 dreams were seen as each class."""
    task = TaskAudit(name=name, accuracy=0.5, recall=0.5, shares={}, copies=0, nearest_dream=0.1, nearest_real=0.1)
    found = Audit(
        dreams=500, classes=classes, tasks=(task,), frechet_distance=None, precision=None, warnings=tuple(warnings)
    )
    return one.lineage[0].model_copy(update={"name": name, "audit": found})


def test_a_row_a_class(one: Scholar) -> None:
    found = build_class_table([with_audit(one, CAT), with_audit(one, CAT, DOG, FOX, name="foxes"), one.lineage[0]])
    assert found is not None
    assert found.task == "foxes"  # what came later was not audited
    assert found.columns == ("dreams", "share, %", "agreement, %", "confidence, %", "from dreams alone, %")
    assert found.rows == (
        ("cat", ("300", "60.0", "75.0", "90.0", "80.0"), False),
        ("dog", ("198", "39.6", "50.0", "80.0", DASH), False),
        ("fox", ("2", "0.4", DASH, "40.0", "10.0"), True),
    )
    assert "dog: 39.6\N{NO-BREAK SPACE}%, 80.0\N{NO-BREAK SPACE}%, \N{EN DASH};" in found.chart.alt
    assert build_class_table(one.lineage) is None


def test_an_unconditional_generator_has_no_column_of_agreement(one: Scholar) -> None:
    found = build_class_table([with_audit(one, CAT.model_copy(update={"agreement": None}))])
    assert found is not None
    assert "agreement, %" not in found.columns
    assert len(found.rows[0][1]) == len(found.columns)


def test_the_chart_has_every_generation_and_only_what_is_known(one: Scholar) -> None:
    later = with_audit(one, CAT, DOG, FOX, name="foxes").model_copy(update={"parents": (0,)})
    found = build_class_table([with_audit(one, CAT), later])
    assert found is not None
    share, confidence, accuracy = found.chart.spec["concat"]
    rows = [(row["class"], row["generation"], row["share"], row["dying"]) for row in share["data"]["values"]]
    assert rows == [("cat", 1, 60, False), ("cat", 2, 60, False), ("dog", 2, 39.6, False), ("fox", 2, 0.4, True)]
    assert share["layer"][-1]["encoding"]["y"]["datum"] == pytest.approx(100 / 3)
    assert [row["confidence"] for row in confidence["data"]["values"]] == [90, 90, 80, 40]
    assert [(row["class"], row["accuracy"]) for row in accuracy["data"]["values"]] == [
        ("cat", 80),
        ("cat", 80),
        ("fox", 10),
    ]
    older = build_class_table([with_audit(one, DOG)])  # of which nothing is known from dreams alone
    assert older is not None
    assert len(older.chart.spec["concat"]) == 2


def test_of_many_classes_the_chart_shows_those_that_are_dreamt_of_least(one: Scholar) -> None:
    classes = [CAT.model_copy(update={"name": f"class {place}", "share": place / 4950}) for place in range(100)]
    found = build_class_table([with_audit(one, *classes[::-1])])
    assert found is not None
    assert len(found.rows) == 100
    assert "the 40 classes with the fewest dreams" in found.chart.alt
    shown = [row["class"] for row in found.chart.spec["concat"][0]["data"]["values"]]
    assert shown == [f"class {place}" for place in range(39, -1, -1)]


def test_it_is_on_the_page_beside_the_warnings(one: Scholar, tmp_path: Path) -> None:
    hostile = FOX.model_copy(update={"name": "</script><b>fox"})
    record = with_audit(one, CAT, DOG, hostile, warnings=["foxes die out"])
    replace(one, lineage=(record,)).save(tmp_path / "s")
    page = Page(write_scholar_page(tmp_path / "s", tmp_path / "s.html"))
    assert "Class by class, after learning pets" in page.all("h3")
    assert "foxes die out" in page.all("p")
    assert page.all("span") == ["dying out"]
    assert page.all("td")[page.all("td").index("300") :][:5] == ["300", "60.0", "75.0", "90.0", "80.0"]
    (spec,) = [json.loads(text) for text in page.all("script") if text.startswith('{"$schema"')]
    assert spec["concat"][0]["data"]["values"][-1]["class"] == hostile.name
    assert any("60.0" in value for tag, name, value in page.attributes if (tag, name) == ("figure", "aria-label"))
