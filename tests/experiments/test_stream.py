"""From recipes to streams: cuts of a data set, scenarios, turned and permuted images."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from scholars.errors import InputError
from scholars.experiments.recipe import Recipe
from scholars.experiments.stream import open_stream
from scholars.settings.overrides import build
from scholars.tasks.open import open_task

SHAPE = {"image": {"size": 8, "channels": 1}}


def recipe(**changes: Any) -> Recipe:
    return build(Recipe, {"name": "r", **SHAPE, **changes}, None, where="tests")


def split(**changes: Any) -> dict[str, Any]:
    return {"source": "digits", "tasks": 5, **changes}


def test_a_split_in_the_sources_order() -> None:
    tasks = open_stream(recipe(split=split()), 0)
    assert [task.name for task in tasks] == ["0+1", "2+3", "4+5", "6+7", "8+9"]
    whole = open_task("digits")
    assert sum(len(task.train) for task in tasks) == len(whole.train)
    assert sum(len(task.test) for task in tasks) == len(whole.test)
    eights = whole.test.images[whole.test.labels == 8]
    assert np.array_equal(tasks[4].test.images[tasks[4].test.labels == 0], eights)


def test_held_out_images_take_the_place_of_the_test_part() -> None:
    """None of the real test part, by which nothing may be chosen; and none that is trained on."""
    (plain,) = open_stream(recipe(tasks=["digits"]), 0)
    (held,) = open_stream(recipe(tasks=["digits"], validation=0.1), 0)
    parts = [{image.tobytes() for image in part.images} for part in (held.train, held.test, plain.test)]
    assert not parts[1] & (parts[0] | parts[2])
    assert len(held.train) + len(held.test) == len(plain.train)
    shares = np.bincount(held.test.labels) / np.bincount(plain.train.labels)
    assert np.allclose(shares, 0.1, atol=0.01)


def test_a_split_in_a_given_order_and_an_uneven_one() -> None:
    tasks = open_stream(recipe(split=split(tasks=3, order=["9", "1", "0", "2", "5"])), 0)
    assert [task.classes for task in tasks] == [("9", "1"), ("0", "2"), ("5",)]
    assert [len(task.classes) for task in open_stream(recipe(split=split(tasks=3)), 0)] == [4, 3, 3]


def test_the_seed_may_choose_the_order() -> None:
    plan = recipe(split=split(order="seed"))
    first, again, other = (open_stream(plan, seed) for seed in (0, 0, 1))
    assert [task.classes for task in first] == [task.classes for task in again] != [task.classes for task in other]
    assert [task.name for task in first] == [f"part {n}" for n in range(1, 6)]
    assert sorted(name for task in first for name in task.classes) == list("0123456789")


def test_domain_incremental_parts_share_their_classes_by_place() -> None:
    tasks = open_stream(recipe(split=split(), scenario="domain"), 0)
    assert {task.classes for task in tasks} == {("1", "2")}
    assert [task.name for task in tasks] == ["0+1", "2+3", "4+5", "6+7", "8+9"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "either tasks or split"),
        ({"tasks": ["digits"], "split": split()}, "either tasks or split"),
        ({"tasks": ["digits"], "scenario": "domain"}, "scenario=domain is about the parts of a split"),
        ({"split": split(order=["1", "1"])}, r"split\.order.*names a class twice"),
        ({"tasks": ["digits"], "methods": ["er"]}, "method er keeps a buffer"),
        ({"tasks": ["digits"], "methods": ["er"], "buffer": 0}, "buffer"),
    ],
)
def test_contradictions_are_refused_when_the_recipe_is_read(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        recipe(**changes)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"split": split(tasks=10)}, r"split\.tasks=10: 10 classes make at most 9"),
        ({"split": split(order=["0", "one", "2"])}, "no class 'one'"),
        ({"tasks": [{"source": "digits", "name": "few", "limit": 2}]}, "task 'few': class '0' has no training image"),
        (
            {"split": split(tasks=3), "scenario": "domain"},
            "scenario=domain needs the same number of classes in every task",
        ),
    ],
)
def test_what_does_not_fit_the_data_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        open_stream(recipe(**changes), 0)


def test_turned_images() -> None:
    plain, quarter = open_stream(recipe(tasks=["digits", {"source": "digits", "name": "turned", "rotate": 90}]), 0)
    assert np.array_equal(quarter.train.images, np.rot90(plain.train.images, axes=(2, 3)))
    assert np.array_equal(quarter.test.labels, plain.test.labels)


def test_inverted_images() -> None:
    plain, negative = open_stream(recipe(tasks=["digits", {"source": "digits", "name": "negative", "invert": True}]), 0)
    assert np.array_equal(negative.train.images, 255 - plain.train.images)
    assert np.array_equal(negative.test.images, 255 - plain.test.images)


def test_permuted_images() -> None:
    specs = [{"source": "digits", "name": str(seed), "permute": seed} for seed in (1, 2)]
    plain, one, two = open_stream(recipe(tasks=["digits", *specs]), 0)
    assert not np.array_equal(one.train.images, two.train.images)
    assert np.array_equal(np.sort(one.train.images.reshape(-1, 64)), np.sort(plain.train.images.reshape(-1, 64)))
    # The same order for every image, train and test.
    order = np.random.default_rng(1).permutation(64)
    assert np.array_equal(one.test.images.reshape(-1, 64), plain.test.images.reshape(-1, 64)[:, order])


def test_a_sample_of_each_class() -> None:
    task = open_task("digits")
    few = task.sampled(7, seed=3)
    assert np.bincount(few.train.labels).tolist() == [7] * 10
    assert len(few.test) == len(task.test)
    # A buffer shrinks by dropping, never by taking what was dropped before.
    fewer = {image.tobytes() for image in task.sampled(4, seed=3).train.images}
    assert fewer <= {image.tobytes() for image in few.train.images}
    assert len(task.sampled(10_000, seed=0).train) == len(task.train)


def test_archives_and_links_are_sources(tmp_path: Path) -> None:
    for level in range(8):
        file = tmp_path / "photos" / "ab"[level % 2] / f"{level}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), level).save(file)
    shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path, "photos")
    for name in "ab":
        (tmp_path / "links" / name).mkdir(parents=True)
        for file in (tmp_path / "photos" / name).iterdir():
            (tmp_path / "links" / name / file.name).symlink_to(file)
    linked = {"source": str(tmp_path / "links"), "follow_links": str(tmp_path / "photos")}
    for plan in (recipe(tasks=[str(tmp_path / "packed.zip"), linked]), recipe(split={**linked, "tasks": 1})):
        for task in open_stream(plan, 0):
            assert task.classes == ("a", "b")
            assert len(task.train) + len(task.test) == 8
    with pytest.raises(InputError, match="is a link that leaves the folder"):
        open_stream(recipe(tasks=[linked["source"]]), 0)
