"""What is said before anything is learned."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import TINY, flat
from photographs import QUICK, photograph

from scholars.errors import InputError
from scholars.learning.callbacks import Callbacks
from scholars.learning.lifelong import plan_lesson, teach
from scholars.learning.plan import describe_seconds
from scholars.scholar import Scholar
from scholars.tasks.open import open_task
from scholars.tasks.task import Task


def test_new_and_known_classes_are_counted(one: Scholar, low: Task, high: Task, tmp_path: Path) -> None:
    one.save(tmp_path / "s")
    mixed = open_task("digits").select_classes(("4", "5"))
    lines = plan_lesson(tmp_path / "s", mixed)
    train, test = ([int((part.labels == label).sum()) for label in range(2)] for part in (mixed.train, mixed.test))
    assert lines[0] == f"digits: {sum(train)} images to train on, {sum(test)} to test; the test part was given"
    assert lines[1] == f"1 new class (train + test): 5 {train[1]} + {test[1]}"
    assert lines[2] == f"1 known class (train + test): 4 {train[0]} + {test[0]}"
    assert lines[3] == "budget: normal: 60 steps of the solver, 12 of the generator"
    assert lines[4].startswith("this takes about ")
    assert any("was learned before" in line for line in lines)


def test_a_folder_of_photos(tmp_path: Path) -> None:
    """How the test images were chosen, what is untested and left out, and the backbone; and nothing is written."""
    for thing, count in (("disc", 9), ("box", 1)):
        (tmp_path / "photos" / thing).mkdir(parents=True)
        for number in range(count):
            photograph(thing, number).save(tmp_path / "photos" / thing / f"{number}.png")
    (tmp_path / "photos" / "film.mp4").write_bytes(b"film")
    task = open_task(tmp_path / "photos", decode=False)
    before = sorted(tmp_path.rglob("*"))
    lines = plan_lesson(tmp_path / "s", task, changes=QUICK, refit=True)
    assert sorted(tmp_path.rglob("*")) == before
    assert lines[0] == "backbone: efficientnet-lite0, as asked for"
    assert lines[1] == (
        f"photos: {len(task.train)} images to train on, {len(task.test)} to test; the test images are held out by "
        "their content, about a fifth in all, and learned after the test"
    )
    assert "box 1 + 0" in lines[2]
    assert lines[3] == "budget: normal"
    assert lines[4].startswith("this takes about ")
    assert lines[5].startswith("untested: box: ")
    assert lines[6] == "left out 1 file: 1 .mp4 (videos)"


def test_what_cannot_be_learned_is_refused(one: Scholar, high: Task, tmp_path: Path) -> None:
    one.save(tmp_path / "s")
    with pytest.raises(InputError, match="image shape is fixed"):
        plan_lesson(tmp_path / "s", high, changes={"image.size": 20})


def test_photos_of_classes_that_are_all_small_are_learned_untested(tmp_path: Path) -> None:
    for thing in ("disc", "box"):
        (tmp_path / "photos" / thing).mkdir(parents=True)
        photograph(thing, 0).save(tmp_path / "photos" / thing / "0.png")
    taught = teach(tmp_path / "s", open_task(tmp_path / "photos", decode=False), changes=QUICK)
    record = taught.lineage[-1]
    assert (record.train_count, record.test_count, record.accuracy) == (2, 0, None)
    assert Scholar.load(tmp_path / "s").classes == ("box", "disc")


def test_small_classes_of_pixels_are_learned_untested(low: Task, tmp_path: Path) -> None:
    few = Task("few", low.classes, low.train, low.test[:0], split="held out")
    record = teach(tmp_path / "s", few, changes=flat(TINY)).lineage[-1]
    assert (record.accuracy, record.audit is not None and record.audit.tasks) == (None, ())


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.1, "5 seconds"),
        (13, "15 seconds"),
        (89, "90 seconds"),
        (91, "2 minutes"),
        (5399, "90 minutes"),
        (7300, "2 hours"),
    ],
)
def test_times_are_rounded(seconds: float, said: str) -> None:
    assert describe_seconds(seconds) == said


def test_a_task_without_parts_is_refused_before_anything_is_said(low: Task, tmp_path: Path) -> None:
    whole = Task(low.name, low.classes, low.train, low.train, split="whole")
    said: list[str] = []
    callbacks = Callbacks(on_plan=lambda position, line: said.append(line))
    with pytest.raises(InputError, match="has no test part: open it with one"):
        teach(tmp_path / "s", whole, changes=flat(TINY), callbacks=callbacks)
    assert said == []
    assert not (tmp_path / "s").exists()
