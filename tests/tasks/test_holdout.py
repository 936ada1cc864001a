"""Which images are held out for the test: by their content, whatever they are called."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from scholars.errors import InputError, ScholarsWarning
from scholars.tasks.holdout import hold_out_by_digest
from scholars.tasks.open import open_task

from .image_folders import fill, levels, put


def photograph(seed: int, shift: int = 0) -> Image.Image:
    """Coarse shapes, unlike those of any other seed, 96 pixels a side; shifted by some pixels."""
    coarse = np.random.default_rng(seed).integers(0, 256, (7, 7, 3), np.uint8)
    return Image.fromarray(coarse).resize((112, 112), Image.Resampling.BICUBIC).crop((shift, 0, shift + 96, 96))


def save(path: Path, picture: Image.Image, quality: int = 90) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, quality=quality)
    return path


def test_copies_in_both_parts_and_of_two_classes_are_named(tmp_path: Path) -> None:
    for part in ("train", "test"):
        put(tmp_path / part / "cat" / "same.png", 1)
    put(tmp_path / "train" / "dog" / "0.png", 2)
    put(tmp_path / "test" / "dog" / "1.png", 3)
    put(tmp_path / "test" / "dog" / "2.png", 1)
    with pytest.warns(ScholarsWarning) as said:
        open_task(tmp_path)
    both, two = (str(warning.message) for warning in said)
    assert re.search(r"1 images, or near-.* in both parts(.|\n)*train/cat/same\.png and test/cat/same\.png", both)
    assert re.search(r"1 images, or near-.* in two classes(.|\n)*train/cat/same\.png and test/dog/2\.png", two)


def test_near_duplicates_in_both_parts_and_of_two_classes_are_named(tmp_path: Path) -> None:
    save(tmp_path / "train" / "cat" / "0.jpg", photograph(0))
    save(tmp_path / "test" / "cat" / "1.jpg", photograph(0), quality=30)
    save(tmp_path / "train" / "dog" / "2.jpg", photograph(1))
    save(tmp_path / "test" / "dog" / "3.jpg", photograph(0).resize((70, 70)))
    with pytest.warns(ScholarsWarning) as said:
        open_task(tmp_path, decode=False)
    both, two = (str(warning.message) for warning in said)
    assert re.search(r"in both parts(.|\n)*train/cat/0\.jpg and test/cat/1\.jpg", both)
    assert re.search(r"in two classes(.|\n)*train/cat/0\.jpg and test/dog/3\.jpg", two)


def test_near_duplicates_are_on_one_side_and_a_fifth_of_them_is_held_out(tmp_path: Path) -> None:
    """Five copies of each photo, of other qualities and sizes."""
    for number in range(30):
        for copy, quality in enumerate((95, 80, 60, 40, 25)):
            picture = photograph(number).resize((96 + 8 * copy,) * 2)
            save(tmp_path / "thing" / f"{number}-{copy}.jpg", picture, quality)
    task = open_task(tmp_path, decode=False)
    assert task.train.files is not None
    assert task.test.files is not None
    trained, tested = (
        {key.split("/")[1].split("-")[0] for key in files.keys} for files in (task.train.files, task.test.files)
    )
    assert not trained & tested
    assert len(trained | tested) == 30
    # Were the side of a group that of its lowest digest, it would be 20 of 30.
    assert 1 <= len(tested) <= 12
    moved = [note for note in task.notes if "change sides, to be with their near-duplicates" in note]
    assert len(moved) == 1


def test_a_class_of_one_or_two_photos_is_trained_on_whole(tmp_path: Path) -> None:
    fill(tmp_path, "abc")
    put(tmp_path / "one" / "0.png", 100)
    for level in (101, 102):
        put(tmp_path / "two" / f"{level}.png", level)
    for copy in range(3):
        put(tmp_path / "copies" / f"{copy}.png", 103)
    task = open_task(tmp_path)
    counts = {
        name: (int((task.train.labels == label).sum()), int((task.test.labels == label).sum()))
        for label, name in enumerate(task.classes)
    }
    assert counts == {"a": (2, 1), "b": (2, 1), "c": (2, 1), "copies": (3, 0), "one": (1, 0), "two": (2, 0)}
    assert [
        note
        for note in task.notes
        if note.startswith("untested: copies, one, two: of less than three photos that differ")
    ]


def test_nothing_is_held_out_where_all_classes_are_small(tmp_path: Path) -> None:
    put(tmp_path / "a" / "0.png", 1)
    put(tmp_path / "b" / "0.png", 2)
    task = open_task(tmp_path)
    assert (len(task.train), len(task.test), task.split) == (2, 0, "held out")


def test_a_source_can_be_opened_whole(tmp_path: Path) -> None:
    fill(tmp_path, "ab", 5)
    whole, split = open_task(tmp_path, split=False), open_task(tmp_path)
    assert (whole.split, len(whole.train), len(whole.test)) == ("whole", 10, 10)
    assert (split.split, len(split.train) + len(split.test)) == ("held out", 10)
    with pytest.raises(InputError, match="has no test part: open it with one"):
        whole.check_classes()
    untested = whole.without_test_part()
    assert (untested.split, len(untested.train), len(untested.test)) == ("none", 10, 0)
    untested.check_classes()


def test_test_photos_of_another_folder_that_are_trained_on_are_named(tmp_path: Path) -> None:
    for number in range(4):
        save(tmp_path / "photos" / "cat" / f"{number}.jpg", photograph(number))
    for number in range(3, 6):
        save(tmp_path / "held" / "cat" / f"{number}.jpg", photograph(number), quality=40)
    task = open_task(tmp_path / "photos", decode=False, split=False)
    tests = open_task(tmp_path / "held", decode=False, split=False)
    with pytest.warns(ScholarsWarning, match=r"1 of the 3 test images of 'held' are trained on(.|\n)*cat/3\.jpg"):
        task = task.with_test_part(tests)
    assert (len(task.train), len(task.test), task.split) == (4, 3, "given")


@given(st.sets(st.binary(max_size=4), min_size=2, max_size=30), st.sets(st.binary(max_size=4), max_size=30))
def test_a_file_stays_on_its_side_when_others_are_added(contents: set[bytes], added: set[bytes]) -> None:
    before = sides(contents)
    assume(by_themselves(contents))
    after = sides(contents | added)
    assert {content: after[content] for content in contents} == before


@given(st.lists(st.binary(max_size=2), min_size=2, max_size=12))
def test_both_sides_hold_something_and_equal_files_stay_together(contents: list[bytes]) -> None:
    assume(len(set(contents)) > 1)
    digests = [hashlib.sha256(content).digest() for content in contents]
    held_out = hold_out_by_digest(digests)
    assert {True, False} == set(held_out)
    assert len(set(zip(contents, held_out, strict=True))) == len(set(contents))


def test_about_a_fifth_is_held_out() -> None:
    assert 0.18 < np.mean(list(sides({bytes([i, j]) for i in range(50) for j in range(50)}).values())) < 0.22


def test_one_of_two_is_held_out_whatever_they_are() -> None:
    assert hold_out_by_digest([b"\xf0", b"\xf1"]) == [True, False]
    assert hold_out_by_digest([b"\x01", b"\x02"]) == [True, False]


def sides(contents: set[bytes]) -> dict[bytes, bool]:
    ordered = sorted(contents)
    return dict(
        zip(ordered, hold_out_by_digest([hashlib.sha256(content).digest() for content in ordered]), strict=True)
    )


def by_themselves(contents: set[bytes]) -> bool:
    """Whether the hashes alone leave something on both sides."""
    low = [hashlib.sha256(content).digest()[0] < 51 for content in contents]
    return any(low) and not all(low)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=10)
@given(st.permutations(range(20)))
def test_names_do_not_move_the_split(tmp_path_factory: pytest.TempPathFactory, order: list[int]) -> None:
    folder = tmp_path_factory.mktemp("images")
    for number, level in enumerate(order):
        put(folder / "a" / str(number % 3) / f"{number}.png", level)
    held_out = [level for level, _ in levels(open_task(folder, classes=["a"]), "test")]
    assert held_out == [level for level, _ in levels(open_task(fill(folder / "b", "a", 20)), "test")]


def test_without_a_test_all_images_are_trained_on(tmp_path: Path) -> None:
    """Also those of a test part; one that is not used, as another is, is said to be left out."""
    put(tmp_path / "given" / "train" / "a" / "0.png", 1)
    put(tmp_path / "given" / "test" / "a" / "1.png", 2)
    put(tmp_path / "other" / "a" / "2.png", 3)
    given = open_task(tmp_path / "given")
    alone = given.without_test_part()
    assert (levels(alone, "train"), len(alone.test)) == ([(1, "a"), (2, "a")], 0)
    other = given.with_test_part(open_task(tmp_path / "other", split=False))
    assert (levels(other, "train"), levels(other, "test")) == ([(1, "a")], [(3, "a")])
    assert other.notes == ("its own test part, 1 image, is not used: that of other is",)
    fill(tmp_path / "split", "a", 5)
    split = open_task(tmp_path / "split")
    half = open_task(tmp_path / "other", split=False).with_test_part(split)
    assert f"{len(split.train)} images of split test nothing: it was split; open it with split=False" in half.notes
