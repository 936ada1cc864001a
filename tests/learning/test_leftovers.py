"""What still holds a forgotten class is found wherever it is, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from scholars.backbones.feature_cache import cached_features, features_folder
from scholars.learning.leftovers import find_leftovers
from scholars.scholar import Scholar
from scholars.storage import files
from scholars.tasks.array_cache import cached_array, resolve_cache_folder


@pytest.fixture
def home(tmp_path: Path, one: Scholar, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SCHOLARS_CACHE", str(tmp_path / "cache"))
    one.save(tmp_path / "home")
    return tmp_path / "home"


def found(home: Path, *classes: str) -> list[tuple[str, str]]:
    return [(leftover.path.name, leftover.why) for leftover in find_leftovers(home, classes)]


def decoded(key: str, *folders: str) -> Path:
    cached_array(key, 1, "photos", lambda path: np.save(path, np.zeros((1, 1, 2, 2), np.uint8)), folders)
    return resolve_cache_folder() / key


def looked_at(key: str, *folders: str) -> Path:
    cached_features(key, (1, 1, 2), lambda done: iter([np.zeros((1, 1, 2), np.float16)]), folders)
    return features_folder() / key


def test_nothing_is_left_where_nothing_is(home: Path) -> None:
    assert found(home, "3") == []


def test_kept_generations_that_know_it(home: Path, one: Scholar, two: Scholar) -> None:
    two.save(home.with_name("home.gen-2"))
    one.save(home.with_name("home.gen-1"))
    two.save(home.with_name("other.gen-2"))
    assert found(home, "8", "7") == [("home.gen-2", "generation 2, knows 8, 7")]
    assert found(home, "x") == []
    (leftover,) = find_leftovers(home, ["7"])
    leftover.remove()
    assert not home.with_name("home.gen-2").exists()
    assert home.with_name("other.gen-2").exists()


def test_a_kept_generation_that_cannot_be_opened_is_found_by_what_it_says(home: Path, two: Scholar) -> None:
    """It is of another version, or damaged: it holds what it knows nevertheless."""
    kept = home.with_name("home.gen-2")
    two.save(kept)
    document = json.loads((kept / "scholar.json").read_text())
    files.write_json(kept / "scholar.json", {**document, "format": 1, "further": True})
    (kept / "solver.safetensors").unlink()
    assert found(home, "7") == [("home.gen-2", "generation 2, knows 7")]
    for classes in (None, 7, [["7"]], {"7": 1}):
        files.write_json(kept / "scholar.json", {**document, "classes": classes})
        assert found(home, "7") == []


def test_unfinished_work(home: Path) -> None:
    work = home.with_name(".home.learning")
    work.mkdir()
    assert found(home, "3") == [(".home.learning", "unfinished learning")]
    (leftover,) = find_leftovers(home, ["3"])
    leftover.remove()
    assert not work.exists()


def test_caches_of_folders_that_are_called_like_it(home: Path) -> None:
    with_it, without = decoded("aa", "cat", "dog"), decoded("bb", "dog")
    seen, unseen = looked_at("cc", "cat"), looked_at("dd", "dog")
    assert found(home, "cat") == [
        ("aa", "decoded images of cat in the cache"),
        ("cc", "features of cat in the cache"),
    ]
    for leftover in list(find_leftovers(home, ["cat"])):
        leftover.remove()
    assert [path.exists() for path in (with_it, without, seen, unseen)] == [False, True, False, True]
    assert found(home, "dog", "cat") == [
        ("bb", "decoded images of dog in the cache"),
        ("dd", "features of dog in the cache"),
    ]


def test_the_folder_of_a_class_whose_name_no_folder_can_have(home: Path) -> None:
    decoded("aa", "a%2Fb")
    assert found(home, "a/b") == [("aa", "decoded images of a%2Fb in the cache")]
    assert found(home, "b") == []


def test_what_cannot_be_read_in_a_cache_is_passed_over(home: Path) -> None:
    decoded("aa", "cat")
    (resolve_cache_folder() / "bb").mkdir()
    (resolve_cache_folder() / "file").write_text("mine")
    (resolve_cache_folder() / "cc").mkdir()
    (resolve_cache_folder() / "cc" / "about.json").write_text("{")
    # Of an earlier version, which did not note folders.
    (resolve_cache_folder() / "dd").mkdir()
    files.write_json(resolve_cache_folder() / "dd" / "about.json", {"source": "x", "path": False})
    assert [name for name, _ in found(home, "cat")] == ["aa"]
