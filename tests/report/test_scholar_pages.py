"""Pages about scholars, and what they share with those of runs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from scholars.errors import InputError
from scholars.evaluation.accuracy import Evaluation, evaluate
from scholars.experiments.samples import Samples
from scholars.report.comparison_page import write_comparison_page
from scholars.report.confusions import summarise_confusions
from scholars.report.dream_grid import build_dream_grid
from scholars.report.formatting import percent, truncate
from scholars.report.scholar_page import write_scholar_page
from scholars.scholar import Scholar
from scholars.settings import ImageSettings
from scholars.tasks.task import Task

from .documents import results, single
from .test_page import Page


def test_a_scholar_is_portrayed(two: Scholar, low: Task, tmp_path: Path) -> None:
    two.save(tmp_path / "s")
    page = Page(write_scholar_page(tmp_path / "s", tmp_path / "s.html"))
    assert page.all("h1") == ["A scholar that learned digits, then digits, and knows 10 classes."]
    assert "Confusion matrix" not in page.all("h2")
    assert sum(text.startswith("loss ") for text in page.all("td")) == 4  # of both networks, after both tasks
    evaluation = Page(write_scholar_page(tmp_path / "s", tmp_path / "s.html", [low]))
    assert "right now on" in evaluation.all("h1")[0]
    assert "Confusion matrix" in evaluation.all("h2")
    columns = [name for name in evaluation.all("th") if name in ("now, %", "real, digits", "dreams of generation 2")]
    assert columns == ["now, %", "real, digits", "dreams of generation 2"]
    assert not {"now, %", "real, digits"} & set(page.all("th"))


def test_means_over_classes_stand_beside_accuracies_where_they_are_other_figures(
    two: Scholar, low: Task, tmp_path: Path
) -> None:
    """Of the digits 0 to 4 the test part has 35 to 37 images."""
    records = [
        record.model_copy(update={"test_counts": (4,) * 5, "mean_class_accuracy": record.accuracy})
        for record in two.lineage
    ]
    even = replace(two, lineage=tuple(records))
    even.save(tmp_path / "even")
    assert "mean over classes, %" not in Page(write_scholar_page(tmp_path / "even", tmp_path / "e.html")).all("th")
    known = records[0].model_copy(update={"test_counts": (40, 40, 40, 40, 4), "mean_class_accuracy": 0.125})
    replace(even, lineage=(known, records[1])).save(tmp_path / "s")
    page = Page(write_scholar_page(tmp_path / "s", tmp_path / "s.html", [replace(low, name="elsewhere")]))
    heads = page.all("th")
    assert {"mean over classes, %", "mean over classes now, %"} <= set(heads)
    assert "12.5" in page.all("td")
    found = evaluate(two, low)
    assert percent(found.mean_class_accuracy) in page.all("td")


def test_a_class_that_is_not_dreamt_of_leaves_an_empty_place(one: Scholar, monkeypatch: pytest.MonkeyPatch) -> None:
    def only_threes(self: Scholar, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.zeros(count, 1, 16, 16, dtype=torch.uint8), torch.eye(5)[[3] * count]

    monkeypatch.setattr(Scholar, "dream", only_threes)
    real = {"digits": Samples(torch.zeros(2, 1, 16, 16, dtype=torch.uint8), ("0", "4"))}
    grid = build_dream_grid([one], real)
    assert grid.columns == ("real, digits", "dreams of generation 1")
    assert [[bool(cell.uri) for cell in cells] for _, cells in grid.rows] == [
        [True, False],
        [False, False],
        [False, False],
        [False, True],
        [True, False],
    ]
    assert grid.rows[3][1][1].alt == "dreams of generation 1: 6 of 3"


def noise(count: int, size: int) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_classes_that_no_two_tasks_share_have_one_column_of_real_images(one: Scholar) -> None:
    apart = {"low": Samples(noise(1, 16), ("0",)), "high": Samples(noise(1, 16), ("1",))}
    assert build_dream_grid([one], apart).columns == ("real", "dreams of generation 1")
    shared = {**apart, "again": Samples(noise(1, 16), ("0",))}
    assert build_dream_grid([one], shared).columns[:3] == ("real, low", "real, high", "real, again")


@pytest.mark.parametrize(("tasks", "size"), [(1, 16), (12, 32), (12, 128)])
def test_however_much_there_is_the_page_stays_small(
    one: Scholar, tasks: int, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Noise in colour, the worst to compress: 30 classes, each of them in every task and in six generations."""
    names = tuple(f"class {place}" for place in range(30))
    image = ImageSettings(size=size, channels=3)
    known = replace(one, classes=names, settings=one.settings.model_copy(update={"image": image}))
    images, targets = noise(len(names) * 6, size), torch.eye(len(names)).repeat(6, 1)
    monkeypatch.setattr(Scholar, "dream", lambda self, count: (images, targets))
    grid = build_dream_grid([known] * 10, {f"task {place}": Samples(images, names * 6) for place in range(tasks)})
    uris = [cell.uri for _, row in grid.rows for cell in row]
    assert all(uris)
    assert sum(map(len, uris)) < 3_600_000  # with what else a page holds, less than 6 MB
    assert grid.classes_left_out == 10
    assert grid.tasks_left_out == max(0, tasks - 6)
    if tasks == 1:
        assert ": 6 of class 0" in grid.rows[0][1][0].alt


def test_confusions_in_words_and_figures() -> None:
    """Of 4 cats, 3 were taken for dogs."""
    evaluation = Evaluation(
        torch.tensor([[1, 3], [0, 5]]),
        torch.zeros(1, 3, 8, 8, dtype=torch.uint8),
        torch.tensor([0]),
        torch.tensor([1]),
        torch.tensor([0.9]),
    )
    found = summarise_confusions(evaluation, ("cat", "dog"))
    assert found.largest == ("cat taken for dog: 3 images, 75.0 %",)
    assert found.rows is not None
    assert [[cell.text for cell in cells] for _, cells in found.rows] == [["25.0", "75.0"], ["", "100.0"]]
    assert (found.mistakes[0].truth, found.mistakes[0].predicted, found.mistakes[0].confidence) == ("cat", "dog", "90")


def test_runs_side_by_side(tmp_path: Path) -> None:
    for name, document in (("a", results()), ("b", results(config={"name": "tiny", "solver": {"steps": 900}}))):
        (tmp_path / name).mkdir()
        (tmp_path / name / "results.json").write_text(json.dumps(document))
    page = Page(write_comparison_page([tmp_path / "a", tmp_path / "b"], tmp_path / "c.html"))
    cells = page.all("td")
    assert cells[-2:] == ["800", "900"]
    assert "solver.steps" in page.all("th")
    assert "name" not in page.all("th")  # equal in both
    assert page.all("h1") == [
        "Of 2 runs by replay, a ends best: right on 93.0 % of the real test images, averaged over its tasks."
    ]
    assert "91.0" in page.all("td")  # of replay on svhn
    (tmp_path / "a" / "results.json").write_text(json.dumps(results(config={"name": "tiny", "validation": 0.1})))
    held_out = Page(write_comparison_page([tmp_path / "a", tmp_path / "b"], tmp_path / "c.html"))
    assert "93.0 % of the validation images" in held_out.all("h1")[0]
    assert held_out.all("h1")[0].endswith("They are not of one kind of images, and so not of one difficulty.")
    (tmp_path / "a" / "results.json").write_text(json.dumps(results(tasks=["kmnist", "svhn"])))
    other = Page(write_comparison_page([tmp_path / "a", tmp_path / "b"], tmp_path / "c.html"))
    assert other.all("h1")[0].endswith("They are not of one stream, and so not of one difficulty.")
    with pytest.raises(InputError, match=r"has no results\.json"):
        write_comparison_page([tmp_path / "a", tmp_path], tmp_path / "d.html")
    assert not (tmp_path / "d.html").exists()


def test_several_seeds_have_an_interval(tmp_path: Path) -> None:
    document = results()
    document["summary"]["replay"]["average_accuracy"]["interval"] = 0.02
    del document["summary"]["joint"]["average_accuracy"]["interval"]  # as results of before may be
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "results.json").write_text(json.dumps(document))
    page = Page(write_comparison_page([tmp_path / "a", tmp_path / "b"], tmp_path / "c.html"))
    (spec,) = [json.loads(text) for text in page.all("script") if text.startswith('{"$schema"')]
    ends = {row["method"]: (row.get("low"), row.get("high")) for row in spec["data"]["values"]}
    assert ends["replay"] == (pytest.approx(91), pytest.approx(95))
    assert ends["joint"] == (None, None)


def test_long_names_keep_what_tells_them_apart() -> None:
    assert truncate("mnist", 10) == "mnist"
    names = [f"photos-of-the-year-{year}" for year in (2025, 2026)]
    assert [truncate(name, 10) for name in names] == ["photo…-2025", "photo…-2026"]


def test_equal_names_are_told_apart(tmp_path: Path) -> None:
    for name in ("x", "y"):
        (tmp_path / name / "run").mkdir(parents=True)
        (tmp_path / name / "run" / "results.json").write_text(json.dumps(single()))
    page = Page(write_comparison_page([tmp_path / "x" / "run", tmp_path / "y" / "run"], tmp_path / "c.html"))
    assert any(str(tmp_path / "y" / "run") in text for text in page.all("th"))
    assert "Their configurations are equal." in page.all("p")
