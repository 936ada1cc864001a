"""What is scored of a source: nothing that learning saw, unless it is asked for, and never a part of it unsaid."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
from conftest import TINY
from tasks.image_folders import fill, put

from scholars.errors import InputError
from scholars.evaluation.scored import Scored, choose_scored
from scholars.settings import Settings
from scholars.settings.overrides import build
from scholars.storage.records import TaskRecord
from scholars.tasks.open import open_task
from scholars.tasks.task import Task


def learned(task: Task, *, refit: bool = False) -> TaskRecord:
    """The record of a scholar that learned the task."""
    return TaskRecord(
        name=task.name,
        classes=task.classes,
        parents=(),
        train_count=len(task.train),
        test_count=len(task.test),
        accuracy=None,
        seed=0,
        learned_at="2026-01-01T00:00:00+00:00",
        seconds={},
        metrics={},
        settings=build(Settings, TINY, None, where="tests"),
        source=task.source,
        held_out=task.class_contents() if task.split == "held out" else {},
        refit=refit,
    )


def scored(
    folder: Path, *lineage: TaskRecord, which: Literal["auto", "all", "held out"] = "auto"
) -> tuple[Scored, set[bytes]]:
    """What is scored of a folder, and the digests of these images."""
    found = choose_scored(open_task(folder, split=False), lineage, which)
    return found, digests(found.task)


def digests(task: Task) -> set[bytes]:
    return {digest.tobytes() for digest in task.test.digests}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return fill(tmp_path / "photos", "ab", 20)


def test_a_folder_that_was_never_learned_is_the_test(photos: Path, tmp_path: Path) -> None:
    put(photos / "c" / "only.png", 200)
    other = learned(open_task(fill(tmp_path / "other", "ab", 5)))
    found, seen = scored(photos, other)
    assert (found.part, len(seen)) == ("all", 41)
    assert found.note == "all 41 images are scored: this scholar did not learn from here"


def test_of_the_folder_that_it_learned_what_was_held_out_is_scored(photos: Path, tmp_path: Path) -> None:
    task = open_task(photos)
    found, seen = scored(photos, learned(task))
    assert found.part == "held-out"
    assert seen == digests(task)
    assert found.note == f"{len(seen)} of 40 images are scored, those that learning held out"
    # It is known by its content wherever it is.
    moved = photos.rename(tmp_path / "moved")
    assert scored(moved, learned(task))[1] == seen


def test_of_a_folder_that_has_changed_what_cannot_have_been_trained_on_is_scored(photos: Path) -> None:
    task = open_task(photos)
    trained = {digest.tobytes() for digest in task.train.digests}
    for level in range(100, 140):
        put(photos / "a" / f"{level}.png", level)
    found, seen = scored(photos, learned(task))
    assert found.part == "held-out"
    assert not seen & trained
    # Of class b nothing has changed; of class a there are new ones.
    assert digests(task) <= seen
    assert 0 < len(seen - digests(task)) < 40
    assert "that learning cannot have trained on: others were added or removed since" in found.note


def test_another_folder_with_some_of_its_classes_is_scored_whole(photos: Path, tmp_path: Path) -> None:
    held = fill(tmp_path / "held", "ab", 3)
    put(held / "a" / "new.png", 250)
    assert scored(held, learned(open_task(photos)))[0].part == "all"


def test_all_or_what_would_be_held_out_is_scored_where_that_is_asked_for(photos: Path) -> None:
    task = open_task(photos)
    found, seen = scored(photos, learned(task), which="all")
    assert (found.part, len(seen)) == ("learned", 40)
    assert found.note == "all 40 images are scored, with those that this scholar was trained on"
    found, seen = scored(photos, which="held out")
    assert seen == digests(task)
    assert found.note.endswith("those that learning from here would hold out")


def test_a_refitted_scholar_has_learned_what_is_scored(photos: Path) -> None:
    found, seen = scored(photos, learned(open_task(photos), refit=True))
    assert found.part == "learned"
    assert len(seen) < 40
    assert found.note.endswith("but this scholar has learned them, too")


def test_a_test_part_is_scored_as_it_is(tmp_path: Path) -> None:
    for part in ("train", "test"):
        put(tmp_path / part / "a" / "0.png", len(part))
    found, seen = scored(tmp_path)
    assert (found.part, len(seen), found.note) == ("test", 1, "the test part is scored, 1 images")
    with pytest.raises(InputError, match="has a test part of its own"):
        scored(tmp_path, which="all")


def test_where_nothing_was_held_out_it_is_said(tmp_path: Path) -> None:
    put(tmp_path / "a" / "0.png", 1)
    put(tmp_path / "b" / "0.png", 2)
    with pytest.raises(InputError, match="learning held out none of its 2 images; --all scores all of them"):
        scored(tmp_path, learned(open_task(tmp_path)))
    fill(tmp_path, "b")
    found, _ = scored(tmp_path, learned(open_task(tmp_path)))
    assert found.note.endswith("those that learning held out; none of a")


def test_a_source_is_known_by_its_name(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever the data directory is, and whatever it holds by now."""
    task = open_task("photos", data_dir=photos.parent)
    put(photos / "a" / "new.png", 250)
    put(photos / "b" / "new.png", 251)
    moved = photos.parent.rename(photos.parent.with_name("elsewhere"))
    whole = open_task("photos", data_dir=moved, split=False)
    found = choose_scored(whole, [learned(task)])
    assert found.part == "held-out"
    assert choose_scored(replace(whole, source="other"), [learned(task)]).part == "all"
