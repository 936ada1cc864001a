"""Reports of runs and scholars with a backbone: photos, and no pictures of dreams, which are features."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from photographs import photo_folder, photograph, quick

from scholars.experiments.recipe import read_recipe
from scholars.experiments.run import run
from scholars.learning.algorithm import learn
from scholars.report import cost_table, draw_figures, write_report
from scholars.report.comparison_page import write_comparison_page
from scholars.report.results import parse_results
from scholars.report.scholar_page import write_scholar_page
from scholars.scholar import Scholar
from scholars.tasks.open import open_task

from .documents import results
from .test_page import Page

RECIPE = """
backbone: {name: efficientnet-lite0, size: 64, views: 0}
solver: {kind: head, steps: 5, hidden: 16}
ood: {dreams: 0}
audit: {dreams: 60}
methods: [replay, naive]
"""


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run over two tasks of two classes each, 10 training photos a class."""
    home = tmp_path_factory.mktemp("photos")
    folders = [
        photo_folder(home / name, things, 10) for name, things in (("a", ("disc", "box")), ("b", ("leaf", "ring")))
    ]
    tasks = "".join(f"\n  - {{source: {folder}, name: task {folder.name}}}" for folder in folders)
    (home / "r.yaml").write_text(f"{RECIPE}tasks: {tasks}\n")
    run(read_recipe(home / "r.yaml"), home / "out")
    return home / "out"


def test_its_pictures_are_photographs(done: Path) -> None:
    draw_figures(done)
    assert {path.name for path in done.glob("*.png")} == {"accuracy.png", "losses.png", "photographs.png"}


def test_a_run_is_reported_without_pictures_of_dreams(done: Path) -> None:
    page = Page(write_report(done))
    assert "r · efficientnet-lite0 backbone · mixture generator · seed 0" in page.all("p")
    assert "Photos of each class" in page.all("h2")
    assert "The scholar's dreams are features, which have no picture: these are real photos." in page.all("p")
    headings = page.all("th")
    assert "real" in headings
    assert not [heading for heading in headings if heading.startswith("dreams of")]
    assert {"features generated", "disc", "ring"} <= set(headings)
    notes = " ".join(page.all("p"))
    assert "solver, which learned from dreams only" in notes
    assert "nearer to the features of a training image" in notes
    assert "small new solver" not in notes
    assert "Training curves" in page.all("h2")
    pictures = [value for tag, name, value in page.attributes if (tag, name) == ("img", "alt")]
    assert sum(alt.startswith("real: ") for alt in pictures) == 4


def test_a_scholar_is_described_with_its_backbone_and_memories(done: Path, tmp_path: Path) -> None:
    folder = done / "scholars" / "2"
    page = Page(write_scholar_page(folder, tmp_path / "s.html"))
    assert "Dreams" in page.all("h2")
    assert "The scholar's dreams are features, which have no picture." in page.all("p")
    engine = Scholar.load(folder).lineage[0].engine
    cells = page.all("td")
    assert (
        "name: efficientnet-lite0, licence: Apache-2.0, looks at: 64 x 64 pixels, length of a feature vector: 1,280, "
        f"engine: {engine}"
    ) in cells
    (memories,) = [text for text in cells if "one for each class of each task" in text]
    assert memories.startswith("4, one for each class of each task, of 1 Gaussian; 0.1 MB in all, ")
    assert memories.endswith("The features of all 40 photos, in all their views, would take 0.1 MB in fp16")
    stages = [text for text in cells if text in ("features", "generator", "solver")]
    assert stages == ["features", "generator", "solver"] * 2
    assert "features dreamt" in page.all("th")


def test_with_its_own_tasks_it_says_what_the_photos_themselves_would_take(done: Path, tmp_path: Path) -> None:
    tasks = [replace(open_task(done.parent / name, decode=False), name=f"task {name}") for name in "ab"]
    page = Page(write_scholar_page(done / "scholars" / "2", tmp_path / "s.html", tasks))
    (memories,) = [text for text in page.all("td") if "one for each class of each task" in text]
    assert memories.endswith(f"in fp16, and the photos themselves {sum(t.train.nbytes for t in tasks) / 1e6:.1f} MB")
    assert "Photos of each class" in page.all("h2")
    assert "Confusion matrix" in page.all("h2")
    partly = Page(write_scholar_page(done / "scholars" / "2", tmp_path / "s.html", tasks[:1]))
    assert not [text for text in partly.all("td") if "the photos themselves" in text]


def test_a_task_of_many_classes_is_listed_in_part_and_a_solver_in_closed_form_has_no_metrics(tmp_path: Path) -> None:
    for number in range(13):
        for first, part in enumerate(("train", "test")):
            place = tmp_path / "many" / part / f"kind {number:02}"
            place.mkdir(parents=True)
            for seed in range(2):
                photograph("disc", 100 * number + 10 * first + seed).save(place / f"{seed}.png")
    learn(open_task(tmp_path / "many", decode=False), settings=quick("lda", ood__dreams=0)).save(tmp_path / "s")
    page = Page(write_scholar_page(tmp_path / "s", tmp_path / "s.html"))
    assert any(text.startswith("kind 00, ") and text.endswith("kind 09, and 3 more") for text in page.all("td"))
    assert not [text for text in page.all("td") if text.startswith("loss")]


def test_runs_of_pixels_and_of_features_stand_side_by_side(done: Path, tmp_path: Path) -> None:
    (tmp_path / "pixels").mkdir()
    (tmp_path / "pixels" / "results.json").write_text(json.dumps(results()))
    page = Page(write_comparison_page([tmp_path / "pixels", done], tmp_path / "c.html"))
    assert "images or features generated" in page.all("th")
    document = json.loads((done / "results.json").read_text())
    assert [column.header for column in cost_table(document).columns][-1] == "features\ngenerated"
    assert parse_results(results()).backbone is None
