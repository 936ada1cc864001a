"""Pages about scholars, and what they share with those of runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from scholars.errors import InputError
from scholars.evaluate import Judged
from scholars.keepsakes import Samples
from scholars.report.comparison import write_comparison
from scholars.report.confusions import confusions
from scholars.report.memory import remembered
from scholars.report.portrait import write_portrait
from scholars.scholar import Scholar
from scholars.tasks import Task

from .documents import results, single
from .test_page import Page


def test_a_scholar_is_portrayed(two: Scholar, low: Task, tmp_path: Path) -> None:
    two.save(tmp_path / "s")
    page = Page(write_portrait(tmp_path / "s", tmp_path / "s.html"))
    assert page.all("h1") == ["A scholar that learned digits, then digits, and knows 10 classes."]
    assert "What it takes for what" not in page.all("h2")
    judged = Page(write_portrait(tmp_path / "s", tmp_path / "s.html", [low]))
    assert "right now on" in judged.all("h1")[0]
    assert "What it takes for what" in judged.all("h2")


def test_a_class_that_is_not_dreamt_of_leaves_an_empty_place(one: Scholar, monkeypatch: pytest.MonkeyPatch) -> None:
    def only_threes(self: Scholar, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.zeros(count, 1, 16, 16, dtype=torch.uint8), torch.eye(5)[[3] * count]

    monkeypatch.setattr(Scholar, "dream", only_threes)
    real = {"digits": Samples(torch.zeros(2, 1, 16, 16, dtype=torch.uint8), ("0", "4"))}
    memory = remembered([one], real)
    assert memory.columns == ("real, digits", "dreams of generation 1")
    assert [[bool(strip.uri) for strip in strips] for _, strips in memory.rows] == [
        [True, False],
        [False, False],
        [False, False],
        [False, True],
        [True, False],
    ]
    assert memory.rows[3][1][1].alt == "dreams of generation 1: 6 of 3"


def test_confusions_in_words_and_figures() -> None:
    """Of 4 cats, 3 were taken for dogs."""
    judged = Judged(
        torch.tensor([[1, 3], [0, 5]]),
        torch.zeros(1, 3, 8, 8, dtype=torch.uint8),
        torch.tensor([0]),
        torch.tensor([1]),
        torch.tensor([0.9]),
    )
    found = confusions(judged, ("cat", "dog"))
    assert found.largest == ("cat taken for dog: 3 images, 75.0 %",)
    assert found.rows is not None
    assert [[cell.text for cell in cells] for _, cells in found.rows] == [["25.0", "75.0"], ["", "100.0"]]
    assert (found.mistakes[0].truth, found.mistakes[0].taken, found.mistakes[0].confidence) == ("cat", "dog", "90")


def test_runs_side_by_side(tmp_path: Path) -> None:
    for name, document in (("a", results()), ("b", results(config={"name": "tiny", "solver": {"steps": 900}}))):
        (tmp_path / name).mkdir()
        (tmp_path / name / "results.json").write_text(json.dumps(document))
    page = Page(write_comparison([tmp_path / "a", tmp_path / "b"], tmp_path / "c.html"))
    cells = page.all("td")
    assert cells[-2:] == ["800", "900"]
    assert "solver.steps" in page.all("th")
    assert "name" not in page.all("th")  # equal in both
    with pytest.raises(InputError, match=r"has no results\.json"):
        write_comparison([tmp_path / "a", tmp_path], tmp_path / "d.html")
    assert not (tmp_path / "d.html").exists()


def test_equal_names_are_told_apart(tmp_path: Path) -> None:
    for name in ("x", "y"):
        (tmp_path / name / "run").mkdir(parents=True)
        (tmp_path / name / "run" / "results.json").write_text(json.dumps(single()))
    page = Page(write_comparison([tmp_path / "x" / "run", tmp_path / "y" / "run"], tmp_path / "c.html"))
    assert any(str(tmp_path / "y" / "run") in text for text in page.all("th"))
    assert "Their configurations are equal." in page.all("p")
