"""Which images are held out for the test: by their content, whatever they are called."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from scholars.errors import InputError, ScholarsWarning
from scholars.tasks.holdout import hold_out_by_digest
from scholars.tasks.open import open_task

from .image_folders import fill, levels, put


def test_copies_in_both_parts_and_of_two_classes_are_named(tmp_path: Path) -> None:
    for part in ("train", "test"):
        put(tmp_path / part / "cat" / "same.png", 1)
    put(tmp_path / "train" / "dog" / "0.png", 2)
    put(tmp_path / "test" / "dog" / "1.png", 3)
    put(tmp_path / "test" / "dog" / "2.png", 1)
    with pytest.warns(ScholarsWarning) as said:
        open_task(tmp_path)
    both, two = (str(warning.message) for warning in said)
    assert re.search(r"1 images are in both parts(.|\n)*train/cat/same\.png and test/cat/same\.png", both)
    assert re.search(r"1 images are in two classes(.|\n)*train/cat/same\.png and test/dog/2\.png", two)


def test_copies_of_one_image_cannot_be_split(tmp_path: Path) -> None:
    put(tmp_path / "a" / "0.png", 3)
    put(tmp_path / "a" / "1.png", 3)
    with pytest.raises(InputError, match="one image, in 2 copies"):
        open_task(tmp_path)


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
