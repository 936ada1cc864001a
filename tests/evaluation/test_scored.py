"""What is scored of a source: nothing that learning saw, unless it is asked for, and never a part of it unsaid."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from conftest import TINY
from tasks.image_folders import fill, put
from tasks.test_holdout import photograph, save

from scholars.errors import InputError
from scholars.evaluation.scored import Scored, Which, choose_scored
from scholars.settings import Settings
from scholars.settings.overrides import build
from scholars.storage.records import LineageRecord
from scholars.tasks.images import Images
from scholars.tasks.open import open_task
from scholars.tasks.task import Task


def learned(task: Task) -> LineageRecord:
    """The record of a scholar that learned the task."""
    return LineageRecord(
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
    ).remembering(task.train.digests, task.train.labels)


def scored(folder: Path, *lineage: LineageRecord, which: Which = "auto") -> tuple[Scored, set[bytes]]:
    """What is scored of a folder, and the digests of these images."""
    found = choose_scored(open_task(folder, split=False), lineage, which)
    return found, digests(found.task.test)


def digests(part: Images) -> set[bytes]:
    return {digest.tobytes() for digest in part.digests}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return fill(tmp_path / "photos", "ab", 20)


def test_a_folder_that_was_never_learned_is_the_test(photos: Path, tmp_path: Path) -> None:
    put(photos / "c" / "only.png", 200)
    other = learned(open_task(fill(tmp_path / "other", "a", 1), split=False))
    (photos / "a" / "0.png").unlink()
    found, seen = scored(photos, other)
    assert (found.part, len(seen)) == ("all", 40)
    assert found.note == "all 40 images are scored: this scholar was not trained on any of them"


def test_of_the_folder_that_it_learned_what_was_held_out_is_scored(photos: Path, tmp_path: Path) -> None:
    """Wherever it is, renamed or packed."""
    task = open_task(photos)
    record = learned(task)
    found, seen = scored(photos, record)
    assert found.part == "held-out"
    assert seen == digests(task.test)
    assert found.note == f"{len(seen)} of 40 images are scored, which this scholar was not trained on"
    packed = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", photos))
    assert scored(packed, record)[1] == seen
    (photos / "a" / "3.png").rename(photos / "a" / "renamed.png")
    assert scored(photos.rename(tmp_path / "moved"), record)[1] == seen


def test_of_a_folder_that_has_changed_what_was_not_trained_on_is_scored(photos: Path) -> None:
    task = open_task(photos)
    for level in range(100, 120):
        put(photos / "a" / f"{level}.png", level)
    first = photos / "a" / "0.png"
    first.unlink()
    found, seen = scored(photos, learned(task))
    assert found.part == "held-out"
    now = open_task(photos, split=False)
    assert seen == digests(now.test) - digests(task.train)
    assert len(seen) >= 20 + len(task.test) - 1


def test_photos_that_tested_it_by_another_folder_are_scored_and_the_others_not(photos: Path, tmp_path: Path) -> None:
    """As learned with --test: nothing of the folder was held out."""
    held = tmp_path / "held"
    for number in range(3):
        put(held / "a" / f"{number}.png", 240 + number)
    task = open_task(photos, split=False).with_test_part(open_task(held, split=False))
    record = learned(task)
    assert scored(held, record)[0].part == "all"
    found, seen = scored(photos, record)
    assert found.part == "learned"
    assert 0 < len(seen) < 40
    assert found.note.endswith("which learning holds out; but this scholar has learned them, too")


def test_a_part_of_what_was_learned_is_known_again(tmp_path: Path) -> None:
    for part, level in (("train", 0), ("test", 100)):
        fill(tmp_path / part, "ab", 6)
        for file in (tmp_path / part).rglob("*.png"):
            put(file, level + int(file.stem) + 6 * (file.parent.name == "b"))
    record = learned(open_task(tmp_path))
    assert scored(tmp_path / "train", record)[0].part == "learned"
    assert scored(tmp_path / "test", record)[0].part == "all"


def test_near_duplicates_of_what_was_trained_on_are_not_scored(tmp_path: Path) -> None:
    for number in range(8):
        save(tmp_path / "photos" / "cat" / f"{number}.jpg", photograph(number))
    task = open_task(tmp_path / "photos", decode=False)
    assert task.train.files is not None
    known = sorted(task.train.files.keys)[0]
    save(tmp_path / "photos" / "cat" / "again.jpg", photograph(int(Path(known).stem)), quality=40)
    save(tmp_path / "photos" / "cat" / "new.jpg", photograph(50))
    found = choose_scored(open_task(tmp_path / "photos", decode=False, split=False), [learned(task)])
    assert found.task.test.files is not None
    names = {Path(key).name for key in found.task.test.files.keys}
    assert "new.jpg" in names
    assert "again.jpg" not in names
    assert len(names) == len(task.test) + 1


def test_all_or_what_would_be_held_out_is_scored_where_that_is_asked_for(photos: Path) -> None:
    task = open_task(photos)
    found, seen = scored(photos, learned(task), which="all")
    assert (found.part, len(seen)) == ("learned", 40)
    assert found.note == f"all 40 images are scored; this scholar was trained on {len(task.train)}"
    assert scored(photos, which="all")[0].part == "all"
    found, seen = scored(photos, which="held out")
    assert seen == digests(task.test)
    assert found.note.endswith("which learning from here would hold out")
    assert scored(photos, learned(task), which="held out")[1] == seen


def test_a_test_part_is_scored_as_it_is(tmp_path: Path) -> None:
    for part in ("train", "test"):
        put(tmp_path / part / "a" / "0.png", len(part))
    found, seen = scored(tmp_path)
    assert (found.part, len(seen), found.note) == ("test", 1, "the test part is scored, 1 image")
    with pytest.raises(InputError, match="has a test part of its own"):
        scored(tmp_path, which="all")
    found, _ = scored(tmp_path, learned(open_task(tmp_path).without_test_part()))
    assert found.part == "learned"
    assert found.note == "the test part is scored, 1 image; this scholar was trained on 1 of them"


def test_where_nothing_was_held_out_it_is_said(tmp_path: Path) -> None:
    put(tmp_path / "a" / "0.png", 1)
    put(tmp_path / "b" / "0.png", 2)
    with pytest.raises(InputError, match="nothing is held out of its 2 images; --all scores all of them"):
        scored(tmp_path, learned(open_task(tmp_path)))
    for level in (3, 4, 5):
        put(tmp_path / "b" / f"{level}.png", level)
    found, _ = scored(tmp_path, learned(open_task(tmp_path)))
    assert found.note.endswith("which this scholar was not trained on; none of a")
