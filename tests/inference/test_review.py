"""Which images a person is asked about first, and the table in which the answers come back."""

from __future__ import annotations

import csv
import itertools
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from scholars.errors import InputError
from scholars.inference import review as module
from scholars.inference.predict import Prediction, find_images, predict_files
from scholars.inference.review import Review, margin, review
from scholars.scholar import Scholar
from scholars.tasks.open import open_task
from scholars.tasks.task import Task


@pytest.fixture
def folder(tmp_path: Path, low: Task) -> Path:
    """A folder of 30 digits, in folders below it, too, that says nothing of their classes."""
    folder = tmp_path / "new"
    (folder / "more").mkdir(parents=True)
    for index, image in enumerate(low.test.images[:30]):
        Image.fromarray(image[0]).save(folder / ("more" if index % 2 else "") / f"{index}.png")
    return folder


@pytest.fixture
def wary(one: Scholar, low: Task) -> Scholar:
    """A scholar to which half of these digits are unfamiliar."""
    assert one.ood
    features, logits = one.features_and_logits(torch.from_numpy(low.resized(1, 16).test.images[:30]))
    return replace(one, ood=replace(one.ood, threshold=one.ood.score(features, logits).median()))


def a_review(*predictions: Prediction) -> Review:
    return Review(predictions, len(predictions), None, (), ())


def fill_in(path: Path, labels: dict[str, str]) -> None:
    """Write labels into the table, as a spreadsheet does."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=";")
        writer.writeheader()
        writer.writerows({**row, "label": labels.get(row["file"], "")} for row in rows)


def test_the_margin_is_between_the_two_best_guesses() -> None:
    for values, expected in (((0.5, 0.3, 0.2), 0.2), ((0.5, 0.5), 0.0), ((1.0,), 1.0)):
        guesses = tuple((str(place), value) for place, value in enumerate(values))
        assert margin(Prediction(None, guesses, None)) == pytest.approx(expected)


def test_unfamiliar_images_come_first_then_small_margins(folder: Path, wary: Scholar) -> None:
    every = list(predict_files(wary, list(find_images([str(folder)])), top=2))
    found = review(wary, folder, top=18)
    assert (found.images, found.unfamiliar, len(found.predictions)) == (30, 15, 18)
    expected = sorted(every, key=lambda one: (not one.unfamiliar, one.guesses[0][1] - one.guesses[1][1]))
    assert [one.file for one in found.predictions] == [one.file for one in expected[:18]]
    assert [one.unfamiliar for one in found.predictions] == [True] * 15 + [False] * 3
    assert all(len(one.guesses) == 2 for one in found.predictions)
    assert review(wary, str(folder / "more" / "1*.png"), top=1).images == 6


def test_a_scholar_without_a_detector_goes_by_the_margin_alone(folder: Path, one: Scholar) -> None:
    found = review(replace(one, ood=None), folder)
    margins = [margin(each) for each in found.predictions]
    assert (found.unfamiliar, len(margins)) == (None, 20)
    assert margins == sorted(margins)


def test_what_is_left_out_is_counted(folder: Path, one: Scholar) -> None:
    (folder / "bad.png").write_text("no image")
    (folder / "notes.txt").write_text("no image")
    found = review(one, folder, top=100)
    assert (found.images, len(found.predictions)) == (30, 30)
    assert [Path(each.file).name for each in found.unreadable] == ["bad.png"]
    assert [each.ending for each in found.skipped] == [".txt"]
    document = found.to_json()
    assert document["unreadable"][0]["reason"].startswith("is no image")
    assert document["predictions"][0]["margin"] == margin(found.predictions[0])


def test_what_cannot_be_reviewed_is_refused(folder: Path, one: Scholar, tmp_path: Path) -> None:
    for source, said in ((tmp_path / "gone", "no such file"), (folder.parent / "bad", "none of 2 images can be read")):
        (tmp_path / "bad").mkdir(exist_ok=True)
        for name in "ab":
            (tmp_path / "bad" / f"{name}.png").write_text("no image")
        with pytest.raises(InputError, match=said):
            review(one, source)
    with pytest.raises(InputError, match="cannot review 0 images"):
        review(one, folder, top=0)


def test_files_are_read_as_they_come(folder: Path, one: Scholar) -> None:
    """Of files without an end the first predictions come: what comes later is in no memory."""
    file = next(find_images([str(folder)]))
    assert next(predict_files(one, itertools.repeat(file), top=2)).file == file


def test_progress_is_reported(folder: Path, one: Scholar, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_REPORT_EVERY", 10)
    seen: list[tuple[int, int]] = []
    review(one, folder, on_progress=lambda done, total: seen.append((done, total)))
    assert seen == [(10, 30), (20, 30), (30, 30)]


def test_answers_are_read_as_a_task(folder: Path, wary: Scholar) -> None:
    found = review(wary, folder, top=12)
    table = folder / "answers.csv"
    found.write_csv(table)
    names = [one.file.relative_to(folder).as_posix() for one in found.predictions if one.file]
    with pytest.raises(InputError, match="no line has a label"):
        open_task(table)
    fill_in(table, {name: "seven" if place % 2 else "0" for place, name in enumerate(names[:8])})
    task = open_task(table)
    assert (task.name, task.classes) == ("answers", ("0", "seven"))
    assert len(task.train) + len(task.test) == 8
    assert [each.reason for each in task.skipped] == ["no label"] * 4


def test_the_table_helps_a_person(tmp_path: Path) -> None:
    (tmp_path / "Zoë").mkdir()
    files = [tmp_path / "=1+1.png", tmp_path / "Zoë" / "a, b.png"]
    for file in files:
        Image.new("L", (8, 8), 9).save(file)
    table = tmp_path / "labels.csv"
    a_review(
        Prediction(files[0], (("cat", 0.5), ("dog", 0.25)), True), Prediction(files[1], (("cat", 1.0),), None)
    ).write_csv(table)
    assert table.read_bytes().startswith(b"\xef\xbb\xbf")  # Excel reads no UTF-8 without it
    assert table.read_text(encoding="utf-8-sig").splitlines() == [
        "file,label,guess,probability,second_guess,second_probability,unfamiliar",
        "./=1+1.png,,cat,0.5000,dog,0.2500,yes",
        '"Zoë/a, b.png",,cat,1.0000,,,',
    ]


def test_labels_that_were_written_are_not_overwritten(folder: Path, one: Scholar) -> None:
    found = review(one, folder, top=3)
    table = folder / "answers.csv"
    table.write_text("mine")
    with pytest.raises(InputError, match="may hold labels that somebody wrote"):
        found.write_csv(table)
    assert table.read_text() == "mine"
    with pytest.raises(InputError, match=r"give the name of a \.csv file"):
        found.write_csv(folder / "answers.txt")
    with pytest.raises(InputError, match="is outside of the folder of"):
        found.write_csv(folder / "more" / "answers.csv")
    assert sorted(path.name for path in (folder / "more").iterdir()) == sorted(f"{n}.png" for n in range(1, 30, 2))
